import numpy as np
import pytest

from lowrank_sr.conv.feature_map import from_array, upsample
from lowrank_sr.training.pointwise import bias_gradient, leaky_relu_backward, upsample_backward
from lowrank_sr.training.stack import Stack

SIZES = [(1, 1, 1), (5, 3, 7), (4, 9, 16), (3, 2, 37)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_leaky_relu(size):
    y, d_y = noise(*size), noise(*size, seed=1)
    y[0, 0, 0] = 0  # PyTorch takes the slope below zero there, too
    expected = np.where(y > 0, d_y, np.float32(0.2) * d_y)
    gradient, apart = from_array(d_y), from_array(np.zeros_like(y))
    leaky_relu_backward(from_array(y), gradient, apart, 0.2)
    np.testing.assert_array_equal(apart.array, expected)
    leaky_relu_backward(from_array(y), gradient, gradient, 0.2)
    np.testing.assert_array_equal(gradient.array, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_upsampling_is_the_transpose_of_enlarging(size):
    height, width, channels = size
    d_y = noise(2 * height, 2 * width, channels)
    d_x = from_array(noise(*size))
    upsample_backward(from_array(d_y), d_x)
    expected = d_y.reshape(height, 2, width, 2, channels).astype(float).sum((1, 3))
    np.testing.assert_allclose(d_x.array, expected, rtol=0, atol=1e-6)
    x, enlarged = from_array(noise(*size, seed=2)), from_array(np.zeros_like(d_y))
    upsample(x, enlarged)
    assert np.vdot(enlarged.array, d_y) == pytest.approx(np.vdot(x.array, d_x.array), abs=1e-4 * d_y.size**0.5)


def test_a_bias_is_in_every_pixel():
    d_y = noise(6, 5, 3)
    np.testing.assert_allclose(bias_gradient(from_array(d_y)), d_y.sum((0, 1)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_stack_keeps_crops_apart(factor):
    stack = Stack(3, 4, 5).enlarged(factor)
    crops = noise(3, 4 * factor, 5 * factor, 2)
    x = stack.allocate(2)
    x.array[:] = 1
    stack.put(crops, x)
    stack.clear_gaps(x)
    np.testing.assert_array_equal(stack.take(x), crops)
    assert x.height == 3 * 5 * factor
    for crop in range(3):
        assert not x.array[(5 * crop + 4) * factor : 5 * (crop + 1) * factor].any()
