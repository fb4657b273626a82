"""Every layer shape of ESRGAN by every method, at low resolution and, for the tail's shapes, at the output's."""

from functools import partial

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv import algorithms
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense, random_layer

TRUNK = [(64, 3), (32, 64), (32, 96), (32, 128), (32, 160), (64, 192), (64, 64)]
TAIL = [(64, 64), (3, 64)]
CASES = [(n, c, 96) for n, c in TRUNK] + [(n, c, 384) for n, c in TAIL]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "c", "side"), CASES)
def test_layer(report, n, c, side, method):
    def contestants():
        rng = np.random.default_rng(0)
        x = from_array(rng.standard_normal((side, side, c), dtype=np.float32))
        layer = Dense(rng.standard_normal((n, c, 3, 3), dtype=np.float32), np.zeros(n, np.float32))
        out, epilogue = allocate(side, side, n), Epilogue(layer.bias, slope=0.2)
        return {name: partial(convolution(layer, name), x, out, epilogue) for name in METHODS}

    work = flops.dense(n, c, 3) * side**2
    touched = 4 * (side**2 * (c + n) + 9 * n * c)
    report(
        f"{c} to {n} channels, {side} x {side}",
        method,
        contestants,
        work,
        bytes=touched,
        multiplications=algorithms.multiplications(random_layer((n, c, 3)), method) * side**2,
        shape=[n, c, 3, side, side],
    )
