"""FLOPs against time: every layer shape of ESRGAN as an SVD pair and as CP, over ranks, beside the dense methods."""

from functools import partial

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import METHODS, convolution
from lowrank_sr.layers import random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.study.measure.layers import METHOD

SHAPES = [(32, 64, 96), (32, 96, 96), (32, 128, 96), (32, 160, 96), (64, 192, 96), (64, 64, 96), (64, 64, 384)]
SPEEDUPS = (1.5, 2, 3, 4, 6, 8)  # in theory; the ranks that give them
CASES = [*((name, None) for name in METHODS), *((name, speedup) for name in METHOD for speedup in SPEEDUPS)]


def layer(n, c, technique, speedup):
    """The layer of a contestant: dense, or with factors of noise."""
    if speedup is None:
        return random_layer((n, c, 3))
    form = technique.split()[0]
    return random_layer((n, c, 3), form, speedup_rank(flops.break_even(form, n, c, 3), speedup))


def name(technique, speedup):
    return technique if speedup is None else f"{technique} x{speedup}"


@pytest.mark.parametrize(("technique", "speedup"), CASES, ids=[name(*case) for case in CASES])
@pytest.mark.parametrize(("n", "c", "side"), SHAPES)
def test_layer(report, n, c, side, technique, speedup):
    def contestants():
        x = from_array(np.random.default_rng(1).standard_normal((side, side, c), dtype=np.float32))
        out, runs = allocate(side, side, n), {}
        for case in CASES:
            each, method = layer(n, c, *case), METHOD.get(case[0], case[0])
            runs[name(*case)] = partial(convolution(each, method), x, out, Epilogue(each.bias, 0.2))
        return runs

    own = layer(n, c, technique, speedup)
    report(
        f"{c} to {n} channels, {side} x {side}, ranks",
        name(technique, speedup),
        contestants,
        flops.per_pixel(own) * side**2,
        method=technique,
        bytes=4 * (side**2 * (c + n) + own.parameters),
        shape=[n, c, 3, side, side],
        rank=own.rank,
        effective_flops=flops.dense(n, c, 3) * side**2,
    )
