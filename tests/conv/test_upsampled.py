"""Over a map enlarged by 2 without the enlarged map: equal to the convolution of the enlarged one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EPS, EVERY_WAY, dense_kernel, error_bound, exact_convolution, exact_layer, random_layer

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolutions
from lowrank_sr.conv.upsampled import merge_taps, upsampled_convolution
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.machine.cpu import LANES, NR


def enlarged(x):
    return x.repeat(2, 0).repeat(2, 1)


def run(layer, method, x, **ends):
    out = allocate(2 * x.shape[0], 2 * x.shape[1], layer.shape[0])
    upsampled_convolution(layer, method)(from_array(x), out, Epilogue(layer.bias, **ends))
    return out


def assert_rounds_to_enlarged(actual, layer, method, x):
    """Within the error of the convolution of the enlarged map, and one rounding more for each sum of two taps."""
    large = enlarged(x)
    merging = 2 * EPS * exact_convolution(np.abs(large), np.abs(dense_kernel(layer, np.abs)), np.abs(layer.bias))
    bound = error_bound(large, layer, method) + merging
    assert (np.abs(actual - exact_layer(large, layer)) <= bound).all()


@EVERY_WAY
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 6), (13, 14)], ids=str)
@pytest.mark.parametrize("channels", [(1, 1), (LANES + 1, NR), (3, NR + 3)], ids=str)
def test_equals_the_enlarged_map(kind, method, size, channels):
    rng = np.random.default_rng(1)
    c, n = channels
    layer, x = random_layer(kind, rng, n, c, 9), rng.standard_normal((*size, c), dtype=np.float32)
    out = run(layer, method, x)
    assert_rounds_to_enlarged(out.array, layer, method, x)
    out.array[:] = 0
    assert not out.buffer.any()  # nothing is written beside the picture


@EVERY_WAY
@settings(max_examples=8, deadline=None)
@given(*(st.integers(1, 20) for _ in range(4)), st.integers(0, 2**32))
def test_any_size(kind, method, height, width, c, n, seed):
    rng = np.random.default_rng(seed)
    layer, x = random_layer(kind, rng, n, c, 5), rng.standard_normal((height, width, c), dtype=np.float32)
    assert_rounds_to_enlarged(run(layer, method, x).array, layer, method, x)


@EVERY_WAY
def test_the_activation_is_that_of_the_epilogue(kind, method):
    rng = np.random.default_rng(2)
    layer, x = random_layer(kind, rng, 8, 8, 5), rng.standard_normal((7, 8, 8), dtype=np.float32)
    plain = run(layer, method, x).array
    activated = run(layer, method, x, slope=0.2, scale=0.5).array
    np.testing.assert_array_equal(activated, np.float32(0.5) * np.maximum(plain, np.float32(0.2) * plain))


def test_each_phase_reads_two_by_two_taps():
    kernel = random_layer(Dense, np.random.default_rng(3), 2, 3)
    for a in (0, 1):
        for b in (0, 1):
            merged = merge_taps(kernel, a, b).weight
            assert (merged != 0).any((0, 1)).sum() == 4
            np.testing.assert_allclose(merged.sum((2, 3)), kernel.weight.sum((2, 3)), atol=9 * EPS)


def test_what_cannot_be_added_or_does_not_fit_is_refused():
    layer = random_layer(Dense, np.random.default_rng(4), 4, 4)
    convolve, x, out = upsampled_convolution(layer, "winograd"), allocate(3, 4, 4), allocate(6, 8, 4)
    for name in ("skip", "outer"):
        with pytest.raises(ValueError, match="nothing can be added"):
            convolve(x, out, Epilogue(layer.bias, **{name: out}))
    with pytest.raises(ValueError, match="map of 3 x 4 does not fit output 3 x 3"):
        convolve(x, allocate(6, 6, 4), Epilogue(layer.bias))
    with pytest.raises(ValueError, match="map of 4 x 4 does not fit output 3 x 4"):
        convolutions([layer, layer], "winograd")(x, [x, allocate(4, 4, 4)], Epilogue(layer.bias))
    with pytest.raises(InputError, match="'fft': expected one of"):
        upsampled_convolution(layer, "fft")
