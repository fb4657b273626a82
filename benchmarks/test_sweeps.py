"""How one layer scales: over threads, over the size of the map, and over channels, its weights warm or cold.

Warm weights are in the caches from the call before. Cold ones come from memory, as in a network whose weights do not
fit: each call takes the next of many layers, which together are larger than the caches.
"""

from functools import partial
from itertools import cycle

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv import algorithms
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense, random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.machine.threads import limited, thread_count
from lowrank_sr.study.technique import CP_KERNEL, SVD_KERNEL, SVD_KERNEL_WINOGRAD, Technique

CHANNELS, SIDE, SPEEDUP = 64, 96, 4
THREADS = sorted({1, thread_count(), *(2**i for i in range(1, 8) if 2**i < thread_count())})
SIDES = (8, 16, 32, 64, 128, 256)
WIDTHS = (16, 32, 64, 128, 256)
COLD_BYTES, MOST_COPIES = 2**28, 256  # of the weights as a kernel holds them; small layers are cold in part
TECHNIQUES = {
    technique.name: technique
    for technique in (*(Technique(method=method) for method in METHODS), SVD_KERNEL, SVD_KERNEL_WINOGRAD, CP_KERNEL)
}
EXACT_SLOW = ("im2col", "kn2row")  # left out of the sweep of cold weights


def layer(technique, channels, seed=0):
    """A square layer of noise in the form of `technique`, at a theoretical speed-up of SPEEDUP."""
    shape = (channels, channels, 3)
    if technique.form is None:
        kernel = np.random.default_rng(seed).standard_normal((channels, channels, 3, 3), dtype=np.float32)
        return Dense(kernel, np.zeros(channels, np.float32))
    return random_layer(shape, technique.form, speedup_rank(flops.break_even(technique.form, *shape), SPEEDUP))


def run(technique, channels, side, copies=1):
    """A function that computes the layer, or the next of `copies` of it, on one map."""
    x = from_array(np.random.default_rng(1).standard_normal((side, side, channels), dtype=np.float32))
    out = allocate(side, side, channels)
    layers = [layer(technique, channels, seed) for seed in range(copies)]
    calls = cycle([partial(convolution(each, technique.method), x, out, Epilogue(each.bias, 0.2)) for each in layers])
    return lambda: next(calls)()


def on_threads(threads, call):
    with limited(threads):
        return call()


def described(name, channels, side, sweep, x, **more):
    """What the report says of a contestant."""
    technique = TECHNIQUES[name]
    timed = layer(technique, channels)
    return {
        "method": name,
        "bytes": 4 * (2 * side**2 * channels + timed.parameters),
        "multiplications": algorithms.multiplications(timed, technique.method) * side**2,
        "shape": [channels, channels, 3, side, side],
        "rank": timed.rank,
        "sweep": sweep,
        "x": x,
        **more,
    }


def work(channels, side):
    return flops.dense(channels, channels, 3) * side**2


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("threads", THREADS)
def test_threads(report, threads, name):
    def contestants():
        return {each: partial(on_threads, threads, run(TECHNIQUES[each], CHANNELS, SIDE)) for each in TECHNIQUES}

    info = described(name, CHANNELS, SIDE, "threads", threads, threads=threads)
    report(f"{threads} threads, {CHANNELS} channels", name, contestants, work(CHANNELS, SIDE), **info)


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("side", SIDES)
def test_size(report, side, name):
    def contestants():
        return {each: run(TECHNIQUES[each], CHANNELS, side) for each in TECHNIQUES}

    info = described(name, CHANNELS, side, "size", side)
    report(f"{side} x {side}, {CHANNELS} channels", name, contestants, work(CHANNELS, side), **info)


@pytest.mark.parametrize("weights", ["warm", "cold"])
@pytest.mark.parametrize("name", [name for name in TECHNIQUES if name not in EXACT_SLOW])
@pytest.mark.parametrize("channels", WIDTHS)
def test_channels(report, channels, name, weights):
    side = SIDE // 3

    def copies(each):
        return min(MOST_COPIES, ceil_div(COLD_BYTES, 4 * layer(TECHNIQUES[each], channels).parameters))

    def contestants():
        names = [each for each in TECHNIQUES if each not in EXACT_SLOW]
        warm = {f"{each}, warm": run(TECHNIQUES[each], channels, side) for each in names}
        return warm | {f"{each}, cold": run(TECHNIQUES[each], channels, side, copies(each)) for each in names}

    info = described(name, channels, side, "channels", channels, weights=weights)
    report(f"{channels} channels, weights", f"{name}, {weights}", contestants, work(channels, side), **info)
