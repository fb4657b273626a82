import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EPS

from lowrank_sr.conv.feature_map import allocate
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.training.correlation import COLUMN, POINT, ROW, SQUARE, correlation


def definition(x, gradient, taps):
    """correlation[c, t, n], one tap after the other, in float64."""
    height, width, _ = x.shape
    padded = np.pad(x.astype(float), ((1, 1), (1, 1), (0, 0)))
    shifted = [padded[1 + i : 1 + i + height, 1 + j : 1 + j + width] for i, j in taps]
    return np.stack([np.einsum("yxc,yxn->cn", each, gradient.astype(float)) for each in shifted], axis=1)


def slice_of(values, first_channel, channels):
    """A map of these values in a range of the channels of a wider one, of noise."""
    height, width, count = values.shape
    buffer = allocate(height, width, channels)
    buffer.array[:] = np.random.default_rng(9).standard_normal(buffer.array.shape)
    part = buffer.slice(first_channel, count)
    part.array[:] = values
    return part


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 20),
    st.sampled_from([SQUARE, COLUMN, ROW, POINT]),
)  # fmt: skip
def test_it_is_the_definition(c, n, height, width, taps):
    rng = np.random.default_rng(0)
    x, gradient = (rng.standard_normal((height, width, k), dtype=np.float32) for k in (c, n))
    with blas_threads(1):
        result = correlation(slice_of(x, 3, c + 5), slice_of(gradient, 1, n + 2), taps)
    assert result.shape == (c, len(taps), n)
    # Higham 2002, equation 3.5: sums of H W terms of size 1
    bound = height * width * EPS / 2 * definition(np.abs(x), np.abs(gradient), taps)
    assert (np.abs(result - definition(x, gradient, taps)) <= bound + EPS).all()


def test_maps_of_different_pixels_are_refused():
    with pytest.raises(ValueError, match="differ"):
        correlation(allocate(3, 4, 2), allocate(4, 3, 2), POINT)
