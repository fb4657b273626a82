"""Weights for a network of any size where what it computes does not matter."""

import numpy as np

from lowrank_sr.conv.feature_map import DTYPE
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.network.architecture import Architecture

SCALES = (1, 2, 4, 8, 16)
CHANNELS = 3  # RGB
BIAS_DEVIATION = 0.1


def random_layers(num_feat: int, num_block: int, num_grow_ch: int, scale: int, seed: int) -> dict[str, Dense]:
    """The layers of an RRDBNet by name, drawn from normal distributions, as He et al. (2015, section 2.2) initialise.

    The variance of a weight is 2 / (C d²), so that the magnitude of feature maps stays the same from layer to layer.

    Raises InputError for sizes that are no whole numbers from 1, and for a scale other than 1, 2, 4, 8 or 16.
    """
    if scale not in SCALES:
        raise InputError(f"scale {scale}: expected 1, 2, 4, 8 or 16")
    for name, size in {"num_feat": num_feat, "num_block": num_block, "num_grow_ch": num_grow_ch}.items():
        if not (isinstance(size, (int, np.integer)) and size >= 1):
            raise InputError(f"{name} {size}: expected a whole number from 1")
    rng = np.random.default_rng(seed)
    design = Architecture(num_feat, num_block, num_grow_ch, int(scale).bit_length() - 1, CHANNELS, CHANNELS)
    layers = {}
    for name, (n, c, d) in design.shapes().items():
        weight = rng.standard_normal((n, c, d, d), dtype=DTYPE) * np.float32((2 / (c * d * d)) ** 0.5)
        layers[name] = Dense(weight, BIAS_DEVIATION * rng.standard_normal(n, dtype=DTYPE))
    return layers
