"""A network as `network/esrgan.py` says, in float64: what fast walks, gradients and PyTorch are compared with."""

import numpy as np
from reference import exact_convolution

import lowrank_sr as lsr
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.layers import Dense
from lowrank_sr.network.esrgan import forward

SIZES = [(1, 1), (2, 3), (13, 7), (24, 31)]


def exact_network(design, arrays, images, watch=lambda name, out: None):
    """(..., H, W, C) -> (..., scale H, scale W, C); `arrays` are those of the layers, by the names of both, float64.

    `watch` sees what each layer gives, before the activation.
    """

    def compute(name, x):
        kernel, bias = kernel_of(arrays[name]), arrays[name]["bias"]
        flat = [exact_convolution(each, kernel, bias) for each in x.reshape(-1, *x.shape[-3:])]
        out = np.stack(flat).reshape(*x.shape[:-1], len(bias))
        watch(name, out)
        return out

    return forward(design, images, compute)


def kernel_of(arrays, einsum=np.einsum):
    """The (N, C, d, d) kernel of a layer's arrays, by the einsum of NumPy or another library."""
    if "vertical" in arrays:
        return einsum("nkj,kci->ncij", arrays["horizontal"], arrays["vertical"])
    if "cp_in" in arrays:
        return einsum("nr,ir,jr,cr->ncij", arrays["cp_out"], arrays["cp_y"], arrays["cp_x"], arrays["cp_in"])
    return arrays["weight"]


def in_float64(layers):
    """The arrays of layers, by the names of both."""
    return {name: {field: a.astype(float) for field, a in layer.arrays().items()} for name, layer in layers.items()}


def exact_picture(net, image):
    """What the network makes of an image, in float64."""
    return exact_network(net.architecture, in_float64(net.layers), image.astype(float))


def random_net(design, seed=0):
    """A dense network whose signals neither grow nor vanish."""
    rng = np.random.default_rng(seed)
    layers = {
        name: Dense(
            rng.standard_normal((n, c, d, d), dtype=np.float32) * np.float32((2 / (c * d * d)) ** 0.5),
            0.1 * rng.standard_normal(n, dtype=np.float32),
        )
        for name, (n, c, d) in design.shapes().items()
    }
    return lsr.RRDBNet(layers)


def image_for(design, size):
    """Noise of the channels that the network takes."""
    return np.random.default_rng(5).random((*size, design.image_channels), dtype=np.float32)


def assert_makes(net, image, expected, methods=tuple(METHODS)):
    """The network makes `expected` of the image by each of the methods, but for rounding."""
    for method in methods:
        out = net.with_method(method)(image)
        assert out.shape == expected.shape
        error = np.abs(out - expected).max()
        assert error <= 2e-5 * np.ptp(expected), (method, error / np.ptp(expected))
