"""A dense block as one operator: the same bits as its layers one after the other."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_rounds_to_layer, random_layer

from lowrank_sr.conv.dense_block import transforms_bytes
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, dense_block_convolution
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.threads import limited

WAYS = [(Dense, "winograd"), (Dense, "direct"), (Separable, "winograd"), (CP, "direct")]


class Block:
    """Layers that read `channels[0]` and what those before them wrote, and maps for them."""

    def __init__(self, rng, kind, height, width, channels):
        ranks = rng.integers(1, NR + 5, len(channels))  # one panel of them, or two
        self.layers = [
            random_layer(kind, rng, n, sum(channels[: k + 1]), int(ranks[k])) for k, n in enumerate(channels[1:])
        ]
        self.x = from_array(rng.standard_normal((height, width, channels[0]), dtype=np.float32))
        self.skip = from_array(rng.standard_normal((height, width, channels[-1]), dtype=np.float32))
        self.size = height, width
        self.channels = channels

    def epilogues(self):
        *growing, last = self.layers
        return [
            *(Epilogue(layer.bias, slope=0.2) for layer in growing),
            Epilogue(last.bias, scale=0.2, skip=self.skip),
        ]

    def new_maps(self):
        return [allocate(*self.size, n) for n in self.channels[1:]]

    def at_once(self, *methods):
        outs = self.new_maps()
        dense_block_convolution(self.layers, methods)(self.x, outs, self.epilogues())
        return outs

    def one_by_one(self, *methods):
        outs = self.new_maps()
        for k, (layer, method) in enumerate(zip(self.layers, methods, strict=True)):
            convolution(layer, method)([self.x, *outs[:k]], outs[k], self.epilogues()[k])
        return outs


def assert_same_bits(block, method):
    methods = [method] * len(block.layers)
    for actual, expected in zip(block.at_once(*methods), block.one_by_one(*methods), strict=True):
        np.testing.assert_array_equal(actual.buffer, expected.buffer)  # with its border of zeros


@pytest.mark.parametrize(("kind", "method"), WAYS, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (13, 31), (6, 12 * MR + 5), (61, 7), (50, 50)], ids=str)
def test_same_bits_as_layer_by_layer(kind, method, size):
    """Pictures of one group, of one tile's height or width, and of more groups than are kept."""
    block = Block(np.random.default_rng(0), kind, *size, [LANES, 5, NR + 1, LANES, 3])
    assert_same_bits(block, method)


@pytest.mark.parametrize("kind", [Dense, Separable])
def test_rounds_to_float64(kind):
    block = Block(np.random.default_rng(1), kind, 20, 23, [64, 32, 32, 64])
    outs = block.at_once(*["winograd"] * 3)
    read = [block.x.array]
    for layer, out in zip(block.layers[:-1], outs, strict=False):
        before = np.concatenate(read, axis=2)
        # LeakyReLU undone: exactly where it does nothing, else to one more rounding
        sums = np.where(out.array > 0, out.array, out.array / np.float32(0.2))
        assert_rounds_to_layer(sums, before, layer, "winograd")
        read.append(out.array)


@pytest.mark.parametrize("kind", [Dense, Separable])
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.lists(st.integers(1, 20), min_size=2, max_size=7),
    st.integers(0, 2**32),
)
def test_any_size_and_any_number_of_layers(kind, height, width, channels, seed):
    assert_same_bits(Block(np.random.default_rng(seed), kind, height, width, channels), "winograd")


@pytest.mark.parametrize("kind", [Dense, Separable])
def test_same_bits_for_any_number_of_threads(kind):
    """Ten times: what depends on who is first would not come out the same each time."""
    block = Block(np.random.default_rng(2), kind, 70, 90, [64, 32, 32, 32, 32, 64])
    methods = ["winograd"] * 5
    with limited(1):
        expected = block.at_once(*methods)
    with limited(numba.config.NUMBA_NUM_THREADS):
        for _ in range(10):
            for actual, each in zip(block.at_once(*methods), expected, strict=True):
                np.testing.assert_array_equal(actual.array, each.array)


@pytest.mark.parametrize("methods", [("winograd", "direct", "winograd"), ("winograd",) * 3], ids=str)
def test_blocks_of_several_forms_or_methods_are_computed_layer_by_layer(methods):
    rng = np.random.default_rng(6)
    dense, mixed = (Block(rng, Dense, 13, 14, [8, 5, 9, 16]) for _ in range(2))
    mixed.layers[1] = random_layer(CP, rng, 9, 13, 7)
    for block in (dense, mixed):
        for actual, expected in zip(block.at_once(*methods), block.one_by_one(*methods), strict=True):
            np.testing.assert_array_equal(actual.array, expected.array)


def test_a_result_that_is_added_to_itself():
    """ESRGAN's third block of three writes over the map that it adds."""
    block = Block(np.random.default_rng(3), Dense, 20, 23, [16, 8, 16])
    outer = block.skip.array.copy()
    first, last = block.epilogues()
    results = [allocate(20, 23, 8), block.skip]
    ends = [first, last._replace(outer=block.skip)]
    dense_block_convolution(block.layers, ["winograd"] * 2)(block.x, results, ends)
    separate = from_array(outer)
    run = convolution(block.layers[1], "winograd")
    run([block.x, results[0]], separate, last._replace(skip=separate, outer=separate))
    np.testing.assert_array_equal(results[1].array, separate.array)


def test_maps_that_do_not_fit_are_refused():
    block = Block(np.random.default_rng(4), Dense, 6, 7, [8, 4, 8])
    run = dense_block_convolution(block.layers, ["winograd"] * 2)
    with pytest.raises(ValueError, match="input of 13 channels: the layer reads 12"):
        run(block.x, [allocate(6, 7, 5), block.skip], block.epilogues())
    with pytest.raises(ValueError, match="map of 6 x 8 does not fit output 6 x 7"):
        run(block.x, [allocate(6, 7, 4), allocate(6, 8, 8)], block.epilogues())


def test_what_no_method_computes_is_refused():
    rng = np.random.default_rng(5)
    layers = [random_layer(Dense, rng, 4, 8), Dense(np.zeros((8, 12, 5, 5)), np.zeros(8))]
    with pytest.raises(InputError, match="kernel of 5 x 5: expected 3 x 3"):
        dense_block_convolution(layers, ["winograd"] * 2)
    with pytest.raises(InputError, match="'fft': expected one of direct"):
        dense_block_convolution(layers[:1], ["fft"])


def test_transforms_are_kept_for_some_rows_only():
    """Twice as high a picture takes no more, where its rows are shorter than the picture is high."""
    channels = [64, 32, 32, 32, 32]
    assert transforms_bytes(400, 96, channels, 2) == transforms_bytes(800, 96, channels, 2)
    assert transforms_bytes(400, 96, channels, 2) < 64 * 4 * sum(channels) * (400 * 96 / 36) / 2
