"""FLOPs against time: every layer shape of ESRGAN as an SVD pair and as CP, over ranks, beside the dense methods."""

from functools import partial

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv import algorithms
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.study.technique import CP_KERNEL, SVD_KERNEL, SVD_KERNEL_WINOGRAD, Technique

SHAPES = [(32, 64, 96), (32, 96, 96), (32, 128, 96), (32, 160, 96), (64, 192, 96), (64, 64, 96), (64, 64, 384)]
SPEEDUPS = (1.5, 2, 3, 4, 6, 8)  # in theory; the ranks that give them
LOW_RANK = (SVD_KERNEL, SVD_KERNEL_WINOGRAD, CP_KERNEL)
CASES = [
    *((Technique(method=method), None) for method in METHODS),
    *((technique, speedup) for technique in LOW_RANK for speedup in SPEEDUPS),
]


def layer(n, c, technique, speedup):
    """The layer of a contestant: dense, or with factors of noise."""
    if speedup is None:
        return random_layer((n, c, 3))
    rank = speedup_rank(flops.break_even(technique.form, n, c, 3), speedup)
    return random_layer((n, c, 3), technique.form, rank)


def name(technique, speedup):
    return technique.name if speedup is None else f"{technique.name} x{speedup}"


@pytest.mark.parametrize(("technique", "speedup"), CASES, ids=[name(*case) for case in CASES])
@pytest.mark.parametrize(("n", "c", "side"), SHAPES)
def test_layer(report, n, c, side, technique, speedup):
    def contestants():
        x = from_array(np.random.default_rng(1).standard_normal((side, side, c), dtype=np.float32))
        out, runs = allocate(side, side, n), {}
        for case in CASES:
            contestant = layer(n, c, *case)
            runs[name(*case)] = partial(convolution(contestant, case[0].method), x, out, Epilogue(contestant.bias, 0.2))
        return runs

    timed = layer(n, c, technique, speedup)
    report(
        f"{c} to {n} channels, {side} x {side}, ranks",
        name(technique, speedup),
        contestants,
        flops.per_pixel(timed) * side**2,
        method=technique.name,
        bytes=4 * (side**2 * (c + n) + timed.parameters),
        multiplications=algorithms.multiplications(timed, technique.method) * side**2,
        shape=[n, c, 3, side, side],
        rank=timed.rank,
        effective_flops=flops.dense(n, c, 3) * side**2,
    )
