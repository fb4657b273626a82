"""A study of a tiny network."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.factors import pair_kernel
from lowrank_sr.lowrank import svd
from lowrank_sr.study.settings import open_studies

METHODS = ["direct", "im2col", "winograd", "svd", "cp"]


def tiny_network(seed=0):
    """A network whose kernels are nearly of low rank, as trained ones are, and which enlarges without exploding."""
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=seed)
    layers = {}
    for name, layer in net.layers.items():
        near = pair_kernel(*svd.truncate(layer.weight, 2))
        weight = (0.5 * near + 0.05 * layer.weight).astype(np.float32)
        layers[name] = lsr.Dense(weight, 0.1 * layer.bias)
    return lsr.RRDBNet(layers)


def arguments(root, output, *more):
    given = ["--weights", root / "tiny.npz", "--data", root / "pictures", "--quick", "--threads", 1]
    return ["study", "-o", str(output), *map(str, given), "--methods", *METHODS, *more]


def opened(root, folder, weights="tiny.npz", methods=("direct", "svd"), seed=0, photos=None):
    (study,) = open_studies(folder, [root / weights], root / "pictures", True, methods, seed, photos)
    return study
