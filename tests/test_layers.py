"""Layers check their shapes when they are made, and stand for the kernels that their factors multiply out to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lowrank_sr as lsr
from lowrank_sr.layers import CP, Dense, Separable, random_layer

FORMS = [(None, Dense), ("svd", Separable), ("cp", CP)]


@pytest.mark.parametrize(("form", "kind"), FORMS)
@settings(deadline=None)
@given(n=st.integers(1, 5), c=st.integers(1, 5), d=st.sampled_from([1, 3, 5]), rank=st.integers(1, 6), data=st.data())
def test_one_length_that_does_not_fit_is_refused(form, kind, n, c, d, rank, data):
    layer = random_layer((n, c, d), form, rank)
    assert layer.shape == (n, c, d)
    assert layer.kernel().shape == (n, c, d, d)
    name = data.draw(st.sampled_from(list(kind.AXES)))
    axis = data.draw(st.integers(0, len(kind.AXES[name]) - 1))
    letters = "".join(kind.AXES.values())
    arrays = layer.arrays()
    longer = np.concatenate([arrays[name], arrays[name]], axis=axis)
    if letters.count(kind.AXES[name][axis]) == 1:  # an axis that stands alone, such as Dense's C, may have any length
        assert kind(**{**arrays, name: longer}).arrays()[name].shape == longer.shape
    else:
        with pytest.raises(lsr.InputError, match=r"has shape \(.*\): expected \("):
            kind(**{**arrays, name: longer})


@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_dimensions_and_empty_arrays_are_refused(form, kind):
    arrays = random_layer((4, 3, 3), form, 2).arrays()
    for name, array in arrays.items():
        for wrong in (array[None], array[:0]):
            with pytest.raises(lsr.InputError, match=rf"^{name} has shape|^\w+ has shape"):
                kind(**{**arrays, name: wrong})


@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_layers_are_contiguous_float32_whatever_they_are_made_of(form, kind):
    arrays = {
        name: np.asfortranarray(array, float) for name, array in random_layer((4, 3, 3), form, 2).arrays().items()
    }
    for array in kind(**arrays).arrays().values():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
