"""The network as its equations say, in float64, for stacks of crops: what the gradients are checked against."""

import numpy as np
from reference import exact_convolution

from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.network.unshuffle import pixel_unshuffle

FORMS = ["dense", "svd", "cp"]


def random_layers(design, forms, seed):
    """Layers of `design`, their forms in turn, so that signals neither grow nor vanish."""
    rng = np.random.default_rng(seed)

    def noise(variance, *shape):
        return rng.standard_normal(shape) * variance**0.5

    layers = {}
    for i, (name, (n, c, d)) in enumerate(design.shapes().items()):
        rank, bias = min(n, c) + 1, noise(0.01, n)
        match forms[i % len(forms)]:
            case "dense":
                layers[name] = Dense(noise(2 / (9 * c), n, c, d, d), bias)
            case "svd":
                layers[name] = Separable(noise(1 / (3 * c), rank, c, d), noise(2 / (3 * rank), n, rank, d), bias)
            case "cp":
                factors = noise(1 / c, c, rank), noise(1 / 3, d, rank), noise(1 / 3, d, rank), noise(2 / rank, n, rank)
                layers[name] = CP(*factors, bias)
    return layers


def forward(design, arrays, images):
    """(B, H, W, C) -> (B, scale H, scale W, C), and the least magnitude of what went into any LeakyReLU.

    `arrays` are those of the layers by the names of both, in float64.
    """
    smallest = np.inf

    def conv(name, x):
        kernel = kernel_of(arrays[name])
        return np.stack([exact_convolution(each, kernel, arrays[name]["bias"]) for each in x])

    def activated(y):
        nonlocal smallest
        smallest = min(smallest, np.abs(y).min())
        return np.where(y > 0, y, 0.2 * y)

    def dense_block(name, x):
        grown = x
        for k in range(1, 5):
            grown = np.concatenate([grown, activated(conv(f"{name}.conv{k}", grown))], axis=-1)
        return x + 0.2 * conv(f"{name}.conv5", grown)

    features = conv("conv_first", np.stack([pixel_unshuffle(image, design.unshuffle) for image in images]))
    trunk = features
    for i in range(design.num_block):
        inner = trunk
        for j in (1, 2, 3):
            inner = dense_block(f"RRDB_trunk.{i}.RDB{j}", inner)
        trunk = trunk + 0.2 * inner
    features = features + conv("trunk_conv", trunk)
    for i in range(1, design.upsamplings + 1):
        features = activated(conv(f"upconv{i}", features.repeat(2, 1).repeat(2, 2)))
    return conv("conv_last", activated(conv("HRconv", features))), smallest


def kernel_of(arrays, einsum=np.einsum):
    """The (N, C, d, d) kernel of a layer's arrays, by the einsum of NumPy or another library."""
    if "vertical" in arrays:
        return einsum("nkj,kci->ncij", arrays["horizontal"], arrays["vertical"])
    if "cp_in" in arrays:
        return einsum("nr,ir,jr,cr->ncij", arrays["cp_out"], arrays["cp_y"], arrays["cp_x"], arrays["cp_in"])
    return arrays["weight"]


def in_float64(layers):
    return {name: {field: a.astype(float) for field, a in layer.arrays().items()} for name, layer in layers.items()}


def without_kinks(design, forms, images):
    """Layers with no LeakyReLU so near its kink, for these images, that float32 may fall on its other side.

    A sum in float32 is off by a few eps of the sums' size, which is 1 here; 5e-6 is 40 eps.
    """
    for seed in range(100):
        layers = random_layers(design, forms, seed)
        if forward(design, in_float64(layers), images)[1] > 5e-6:
            return layers
    raise AssertionError("no such layers")
