"""Several maps in the place of one: their concatenation along the channels, which is never computed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EVERY_WAY, assert_rounds_to_layer, random_layer

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.machine.cpu import LANES, NR

CHANNELS = [[1, 5, 8], [LANES, 2 * LANES], [3], [LANES + 1, 1, 1, 3 * LANES - 1, 2]]


def cut(array, channels):
    """A map for each of `channels`, in the middle of a buffer of its own whose other channels nothing may read."""
    maps, first = [], 0
    for count in channels:
        whole = allocate(*array.shape[:2], 2 + count + LANES)
        part = whole.slice(2, count)
        whole.buffer[:] = np.nan
        whole.buffer[:, :, 2 : 2 + count] = 0
        part.array[:] = array[:, :, first : first + count]
        maps.append(part)
        first += count
    return maps


def run_on_maps(layer, method, maps):
    out = allocate(maps[0].height, maps[0].width, layer.shape[0])
    convolution(layer, method)(maps, out, Epilogue(layer.bias))
    return out.array


@EVERY_WAY
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("n", [3, NR, NR + 3])
def test_equals_the_concatenated_map(kind, method, channels, n):
    rng = np.random.default_rng(n)
    layer = random_layer(kind, rng, n, sum(channels), 9)
    x = rng.standard_normal((13, 14, sum(channels)), dtype=np.float32)
    result = run_on_maps(layer, method, cut(x, channels))
    assert_rounds_to_layer(result, x, layer, method)
    if method != "kn2row":  # one GEMM for each map, whose channels BLAS adds in another order
        np.testing.assert_array_equal(result, convolve(x, layer, method))


@EVERY_WAY
@settings(max_examples=10, deadline=None)
@given(
    *(st.integers(1, 20) for _ in range(3)), st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(0, 2**32)
)
def test_any_number_of_maps_of_any_size(kind, method, height, width, n, channels, seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(kind, rng, n, sum(channels), 5)
    x = rng.standard_normal((height, width, sum(channels)), dtype=np.float32)
    assert_rounds_to_layer(run_on_maps(layer, method, cut(x, channels)), x, layer, method)


@EVERY_WAY
def test_one_convolution_of_maps_cut_in_other_places(kind, method):
    """What is prepared at the first call fits the next, whatever the maps."""
    rng = np.random.default_rng(3)
    layer = random_layer(kind, rng, NR + 3, 14, 9)
    x = rng.standard_normal((7, 9, 14), dtype=np.float32)
    run, out = convolution(layer, method), allocate(7, 9, NR + 3)
    for channels in ([1, 5, 8], [14], [8, 6], [1] * 14):
        run(cut(x, channels), out, Epilogue(layer.bias))
        assert_rounds_to_layer(out.array, x, layer, method)


@EVERY_WAY
def test_one_map_twice(kind, method):
    rng = np.random.default_rng(0)
    layer = random_layer(kind, rng, 5, 14, 6)
    half = rng.standard_normal((7, 9, 7), dtype=np.float32)
    x = from_array(half)
    assert_rounds_to_layer(run_on_maps(layer, method, (x, x)), np.concatenate([half, half], 2), layer, method)


@EVERY_WAY
def test_rows_of_larger_maps(kind, method):
    channels = [1, 5, 8]
    rng = np.random.default_rng(1)
    layer = random_layer(kind, rng, NR + 3, 14, 9)
    x = rng.standard_normal((18, 10, 14), dtype=np.float32)
    maps = [each.rows(6, 11) for each in cut(x, channels)]
    whole = run_on_maps(layer, method, cut(x, channels))
    if method in ("im2col", "kn2row"):  # BLAS adds in an order that depends on how many rows it is given
        np.testing.assert_allclose(run_on_maps(layer, method, maps), whole[6:11], rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(run_on_maps(layer, method, maps), whole[6:11])


@EVERY_WAY
@pytest.mark.parametrize("size", [(6, 8, 5), (7, 7, 5), (8, 7, 5)], ids=str)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_map_of_another_size_is_refused(kind, method, size, place):
    layer = random_layer(kind, np.random.default_rng(2), 4, 15, 4)
    maps = [allocate(6, 7, 5) for _ in range(3)]
    maps[place] = allocate(*size)
    with pytest.raises(ValueError, match=f"map of {size[0]} x {size[1]} does not fit output 6 x 7"):
        convolution(layer, method)(maps, allocate(6, 7, 4), Epilogue(layer.bias))


@EVERY_WAY
@pytest.mark.parametrize("channels", [[], [14], [5, 5, 4], [5, 5, 5, 1], [15, 1]], ids=str)
def test_a_sum_of_channels_that_the_layer_does_not_read_is_refused(kind, method, channels):
    layer = random_layer(kind, np.random.default_rng(2), 4, 15, 4)
    maps = [allocate(6, 7, count) for count in channels]
    with pytest.raises(ValueError, match=f"input of {sum(channels)} channels: the layer reads 15"):
        convolution(layer, method)(maps, allocate(6, 7, 4), Epilogue(layer.bias))
