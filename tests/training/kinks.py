"""Layers for which no LeakyReLU is so near its kink that float32 and float64 may take different sides."""

from dataclasses import replace

import numpy as np
from exact_network import exact_network, in_float64

from lowrank_sr.layers import CP, Dense, Separable, random_layer

NOT_ACTIVATED = ("conv_first", "conv5", "trunk_conv", "conv_last")


def random_layers(design, forms, seed):
    """Layers of `design`, their forms in turn, so that signals neither grow nor vanish."""
    rng = np.random.default_rng(seed)

    def noise(variance, *shape):
        return rng.standard_normal(shape) * variance**0.5

    layers = {}
    for i, (name, (n, c, d)) in enumerate(design.shapes().items()):
        rank, bias = min(n, c) + 1, noise(0.01, n)
        form = forms[i % len(forms)]
        match form:
            case "svd of rank 0" | "cp of rank 0":
                layers[name] = replace(random_layer((n, c, d), form[:3].strip(), 0), bias=bias)
            case "dense":
                layers[name] = Dense(noise(2 / (9 * c), n, c, d, d), bias)
            case "svd":
                layers[name] = Separable(noise(1 / (3 * c), rank, c, d), noise(2 / (3 * rank), n, rank, d), bias)
            case "cp":
                factors = noise(1 / c, c, rank), noise(1 / 3, d, rank), noise(1 / 3, d, rank), noise(2 / rank, n, rank)
                layers[name] = CP(*factors, bias)
    return layers


def smallest_activated(design, layers, images):
    """The least magnitude of what goes into any LeakyReLU."""
    outputs = {}
    exact_network(design, in_float64(layers), images, outputs.__setitem__)
    return min(np.abs(out).min() for name, out in outputs.items() if not name.endswith(NOT_ACTIVATED))


def without_kinks(design, forms, images):
    """Layers of `design`, their forms in turn, that keep away from the kinks for these images.

    A sum in float32 is off by a few eps of the sums' size, which is 1 here; 5e-6 is 40 eps.
    """
    for seed in range(100):
        layers = random_layers(design, forms, seed)
        if smallest_activated(design, layers, images) > 5e-6:
            return layers
    raise AssertionError("no such layers")
