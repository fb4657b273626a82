"""FLOPs against time: every layer shape of ESRGAN as an SVD pair and as CP, over ranks, beside the dense methods."""

from functools import partial

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv import METHODS, convolution
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.lowrank.ranks import cp_break_even, speedup_rank, svd_break_even

SHAPES = [(32, 64, 96), (32, 96, 96), (32, 128, 96), (32, 160, 96), (64, 192, 96), (64, 64, 96), (64, 64, 384)]
SPEEDUPS = (1.5, 2, 3, 4, 6, 8)  # in theory; the ranks that give them


def layers(n, c):
    """Every contestant's layer by name: the dense methods, then pairs and CP by rank."""
    values = partial(np.random.default_rng(0).standard_normal, dtype=np.float32)
    bias, shape = np.zeros(n, np.float32), (n, c, 3, 3)
    found = dict.fromkeys(METHODS, Dense(values(shape), bias))
    for speedup in SPEEDUPS:
        rank = speedup_rank(svd_break_even(shape), speedup)
        found[f"SVD x{speedup}"] = Separable(values((rank, c, 3)), values((n, rank, 3)), bias)
    for speedup in SPEEDUPS:
        rank = speedup_rank(cp_break_even(shape), speedup)
        found[f"CP x{speedup}"] = CP(*(values((side, rank)) for side in (c, 3, 3, n)), bias)
    return found


NAMES = [*METHODS, *(f"{kind} x{speedup}" for kind in ("SVD", "CP") for speedup in SPEEDUPS)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "c", "side"), SHAPES)
def test_layer(report, n, c, side, name):
    own = layers(n, c)

    def contestants():
        x = from_array(np.random.default_rng(1).standard_normal((side, side, c), dtype=np.float32))
        out = allocate(side, side, n)
        return {
            each: partial(convolution(layer, each if each in METHODS else "auto"), x, out, Epilogue(layer.bias, 0.2))
            for each, layer in own.items()
        }

    layer = own[name]
    report(
        f"{c} to {n} channels, {side} x {side}, ranks",
        name,
        contestants,
        flops.per_pixel(layer) * side**2,
        bytes=4 * (side**2 * (c + n) + layer.parameters),
        shape=[n, c, 3, side, side],
        rank=layer.rank,
        effective_flops=flops.dense(n, c, 3) * side**2,
    )
