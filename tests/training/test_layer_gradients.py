"""The derivative of each form of a layer: y is linear in its input and in each of its arrays, so it is y itself."""

from dataclasses import replace

import numpy as np
import pytest
from exact_network import kernel_of
from reference import EPS, exact_convolution

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import from_array
from lowrank_sr.layers import CP, Dense, Separable, random_layer
from lowrank_sr.training.cp import CPBackward
from lowrank_sr.training.dense import DenseBackward
from lowrank_sr.training.separable import SeparableBackward

BACKWARD = {Dense: DenseBackward, Separable: SeparableBackward, CP: CPBackward}
SHAPES = [(5, 3, 1, 1), (3, 7, 13, 2), (32, 64, 8, 9), (17, 40, 6, 25)]  # N, C, height, width


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", [None, "svd", "cp"])
def test_every_gradient_is_the_adjoint_of_a_linear_map(form, shape):
    n, c, height, width = shape
    rng = np.random.default_rng(0)
    layer = random_layer((n, c, 3), form, rank=19)
    layer = replace(layer, **{f: rng.standard_normal(a.shape, dtype=np.float32) for f, a in layer.arrays().items()})
    x = rng.standard_normal((height, width, c), dtype=np.float32)
    d_y = rng.standard_normal((height, width, n), dtype=np.float32)
    added = rng.standard_normal((height, width, c), dtype=np.float32)

    d_x = from_array(np.zeros_like(x))
    epilogue = Epilogue(np.zeros(c, np.float32), scale=0.5, skip=from_array(added))
    gradients = BACKWARD[type(layer)](layer)(from_array(x), from_array(d_y), d_x, epilogue)

    exact = {field: a.astype(float) for field, a in layer.arrays().items()}
    assert gradients.keys() == exact.keys()
    directions = {field: rng.standard_normal(a.shape) for field, a in exact.items()} | {
        "x": rng.standard_normal(x.shape)
    }
    for field, direction in directions.items():
        # the convolution with `direction` in the place of what it is linear in, and no bias but where it is that
        kernel = kernel_of(exact | {field: direction})
        bias = direction if field == "bias" else np.zeros(n)
        y = exact_convolution(direction if field == "x" else x, 0 * kernel if field == "bias" else kernel, bias)
        gradient = 2 * (d_x.array - added) if field == "x" else gradients[field]
        # sums of up to 9 C H W terms in float32, by Winograd's algorithm ten times as inexact as as written
        allowed = 100 * EPS * np.linalg.norm(y) * np.linalg.norm(d_y)
        assert abs(np.vdot(gradient, direction) - np.vdot(d_y, y)) < allowed, field
