"""Layers of rank 0: by every method they give their bias, through the epilogue, and multiply nothing."""

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.conv.algorithms import METHODS, multiplications
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import from_array
from lowrank_sr.conv.methods import convolution, dense_block_convolution
from lowrank_sr.conv.upsampled import upsampled_convolution, upsampled_multiplications
from lowrank_sr.layers import random_layer

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("form", ["svd", "cp"])
@pytest.mark.parametrize("method", METHODS)
def test_the_bias_through_the_epilogue(form, method):
    layer, bias = random_layer((21, 5, 3), form, 0), noise(21)
    skip, outer = noise(9, 13, 21), noise(9, 13, 21)
    out = from_array(outer)  # it may be one of those that are added
    epilogue = Epilogue(bias, slope=0.2, scale=0.5, skip=from_array(skip), skip_scale=3, outer=out)
    convolution(layer, method)(from_array(noise(9, 13, 5)), out, epilogue)
    expected = 0.5 * np.where(bias > 0, bias, 0.2 * bias) + 3 * skip + outer
    np.testing.assert_allclose(out.array, expected, rtol=1e-5, atol=1e-6)
    assert not out.buffer[0].any()  # the border stays zeros
    assert multiplications(layer, method) == flops.per_pixel(layer) == 0
    assert not layer.kernel().any()
    assert layer.kernel().shape == (21, 5, 3, 3)


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_over_an_enlarged_map(form):
    layer, bias, out = random_layer((4, 5, 3), form, 0), noise(4), from_array(noise(6, 10, 4))
    upsampled_convolution(layer, "winograd")(from_array(noise(3, 5, 5)), out, Epilogue(bias))
    np.testing.assert_array_equal(out.array, np.broadcast_to(bias, (6, 10, 4)))
    assert upsampled_multiplications(layer, "winograd") == 0


def test_one_layer_of_a_dense_block():
    """Its map is constant, and those after it read it so."""
    shapes, ranks = [(4, 6, 3), (4, 10, 3), (6, 14, 3)], [3, 0, 5]
    layers = [random_layer(shape, "svd", rank) for shape, rank in zip(shapes, ranks, strict=True)]
    biases = [noise(shape[0]) for shape in shapes]
    x, outs = from_array(noise(8, 7, 6)), [from_array(noise(8, 7, n)) for n, _, _ in shapes]
    dense_block_convolution(layers, ["winograd"] * 3)(x, outs, [Epilogue(bias) for bias in biases])
    np.testing.assert_array_equal(outs[1].array, np.broadcast_to(biases[1], (8, 7, 4)))
    alone = from_array(noise(8, 7, 6))
    convolution(layers[2], "direct")([x, *outs[:2]], alone, Epilogue(biases[2]))
    np.testing.assert_allclose(outs[2].array, alone.array, rtol=1e-4, atol=1e-5)
