"""The table of algorithms, what they count, and how much memory they say that they take."""

import tracemalloc

import numpy as np
import pytest
from reference import EVERY_WAY, random_layer

from lowrank_sr import flops
from lowrank_sr.conv.algorithm import Call
from lowrank_sr.conv.algorithms import algorithm_of, dense_block_algorithm_of, multiplications
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate
from lowrank_sr.conv.methods import convolution, dense_block_convolution
from lowrank_sr.conv.upsampled import upsampled_multiplications
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.machine.threads import thread_count

TRACED_BESIDES = 64 * 1024  # records, and what Python itself allocates on the way


def traced(run):
    """The bytes that `run` leaves behind, and the most that it held."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run()
        after, peak = tracemalloc.get_traced_memory()
        return after - before, peak - before
    finally:
        tracemalloc.stop()


def test_multiplications_are_half_the_flops_but_for_winograd():
    dense, pair, cp = (random_layer(kind, np.random.default_rng(0), 8, 4, 5) for kind in (Dense, Separable, CP))
    for layer in (dense, pair, cp):
        assert multiplications(layer, "direct") == flops.per_pixel(layer) / 2
    # a tile's elements for its pixels
    assert multiplications(dense, "winograd") == pytest.approx(64 / 36 * 8 * 4)
    assert multiplications(pair, "winograd") == pytest.approx(8 / 6 * 5 * (4 + 8))
    assert multiplications(cp, "winograd") == flops.per_pixel(cp) / 2


@EVERY_WAY
def test_over_an_enlarged_map_those_of_the_taps_and_elements_that_are_left(kind, method):
    """Of the 9 taps directly 4; of the 8 elements of F(6, 3) in each direction 7."""
    layer = random_layer(kind, np.random.default_rng(0), 8, 4, 5)
    share = {
        (Dense, "direct"): 4 / 9,
        (Dense, "winograd"): 49 / 64,
        (Separable, "winograd"): 7 / 8,
    }.get((kind, method), 1)
    expected = share * multiplications(layer, method)
    assert upsampled_multiplications(layer, method) == pytest.approx(expected)


@EVERY_WAY
@pytest.mark.parametrize("keep_transformed", [False, True])
@pytest.mark.parametrize("size", [(5, 6), (48, 50), (200, 90)], ids=str)
@pytest.mark.parametrize("channels", [(96,), (10, 5, 5, 5, 5)], ids=str)
def test_a_call_allocates_no_more_than_it_says(kind, method, keep_transformed, size, channels):
    """Of what NumPy allocates; loops have in addition what they work in, which `scratch` contains."""
    layer = random_layer(kind, np.random.default_rng(0), 32, sum(channels), 24)
    maps, out, epilogue = [allocate(*size, each) for each in channels], allocate(*size, 32), Epilogue(layer.bias)
    run, fresh = (convolution(layer, method, keep_transformed) for _ in range(2))
    run([allocate(1, 1, each) for each in channels], allocate(1, 1, 32), epilogue)  # compiled, and transforms kept
    call, kept = algorithm_of(layer, method).scratch(layer, Call(channels, *size, thread_count()), keep_transformed)
    held, peak = traced(lambda: run(maps, out, epilogue))
    assert held <= TRACED_BESIDES
    assert peak <= call + TRACED_BESIDES
    if method == "im2col":
        assert call <= peak + TRACED_BESIDES
    held, peak = traced(lambda: fresh(maps, out, epilogue))
    assert abs(held - kept) <= TRACED_BESIDES
    assert peak <= call + kept + TRACED_BESIDES


@pytest.mark.parametrize("kind", [Dense, Separable])
@pytest.mark.parametrize("size", [(5, 6), (48, 50), (200, 90)], ids=str)
def test_a_dense_block_allocates_no_more_than_it_says(kind, size):
    rng = np.random.default_rng(0)
    layers = [random_layer(kind, rng, n, c, 24) for n, c in ((32, 64), (32, 96), (64, 128))]
    run = dense_block_convolution(layers, ["winograd"] * 3)
    epilogues = [Epilogue(layer.bias) for layer in layers]
    x, outs = allocate(*size, 64), [allocate(*size, n) for n in (32, 32, 64)]
    together = dense_block_algorithm_of([algorithm_of(layer, "winograd") for layer in layers])
    call, kept = together.scratch(layers, Call((64, 32, 32), *size, thread_count()))
    run(allocate(1, 1, 64), [allocate(1, 1, n) for n in (32, 32, 64)], epilogues)
    held, peak = traced(lambda: run(x, outs, epilogues))
    assert held <= TRACED_BESIDES
    assert 0.3 * call <= peak <= call + TRACED_BESIDES  # the rest is what the loops work in
    fresh = dense_block_convolution(layers, ["winograd"] * 3)
    held, _ = traced(lambda: fresh(x, outs, epilogues))
    assert abs(held - kept) <= TRACED_BESIDES
