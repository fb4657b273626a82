"""What Table 1 and Figure 3 show of each technique: quality, time, size, memory."""

import numpy as np

from lowrank_sr.conv import METHODS
from lowrank_sr.layers import CP, Dense, Layer, Separable
from lowrank_sr.lowrank import ranks
from lowrank_sr.memory import peak_extra_bytes
from lowrank_sr.rrdbnet import RRDBNet
from lowrank_sr.study import networks, speed
from lowrank_sr.study import quality as of_pictures
from lowrank_sr.study.settings import LOW_RANK, Study

FULL_SIZE_SPEEDUP = 4  # theoretical, of the dense blocks of ESRGAN's 23-block network


def quality(study: Study, name: str) -> dict:
    """A technique's PSNR and SSIM."""
    return of_pictures.network(study, networks.network(study, name))


def times(study: Study) -> dict:
    """Every technique on one picture, in turn, and how large it is (float32)."""
    compared = {name: networks.network(study, name) for name in networks.techniques(study)}
    rows = speed.compare_networks(compared, study.extent.side, study.extent.rounds)
    for name, net in compared.items():
        rows[name] |= {"parameters": net.parameters, "size_mb": 4 * net.parameters / 1e6}
    return {"side": study.extent.side, "techniques": rows}


def memory(study: Study, name: str) -> dict:
    """Peak memory above what the process held before, by the side of the picture."""
    net = networks.network(study, name)
    net(speed.noise(16))  # prepares the kernels and compiles the loops
    rows = []
    for side in study.extent.memory_sides:
        image = speed.noise(side)
        peak = peak_extra_bytes(lambda image=image: net(image))
        rows.append({"side": side, "measured": {"peak_mb": None if peak is None else peak / 1e6}})
    return {"sides": rows}


def full_size(study: Study) -> dict:
    """ESRGAN's 23-block network with random weights: the dense methods, and its dense blocks factorised."""
    net, side = RRDBNet.random(seed=study.seed), study.extent.full_side
    compared = {name: net.with_method(name) for name in study.methods if name in METHODS}
    for method in LOW_RANK:
        if method in study.methods:
            layers = {
                name: _random_factors(layer, method, study.seed) if name.startswith("RRDB_trunk.") else layer
                for name, layer in net.layers.items()
            }
            compared[method] = RRDBNet(layers)
    rows = speed.compare_networks(compared, side, study.extent.rounds)
    return {"side": side, "num_block": net.architecture.num_block, "speedup": FULL_SIZE_SPEEDUP, "techniques": rows}


def _random_factors(layer: Dense, method: str, seed: int) -> Layer:
    """Factors of the rank at which `layer` has the theoretical speed-up: for timing, so their values do not matter."""
    (n, c, d), rng = layer.shape, np.random.default_rng(seed)
    break_even = ranks.svd_break_even if method == "svd" else ranks.cp_break_even
    rank = ranks.speedup_rank(break_even(layer.weight.shape), FULL_SIZE_SPEEDUP)

    def factor(*shape: int) -> np.ndarray:  # small, so that 69 dense blocks in a row do not overflow
        return np.float32(0.02) * rng.standard_normal(shape, dtype=np.float32)

    if method == "svd":
        return Separable(factor(rank, c, d), factor(n, rank, d), layer.bias)
    return CP(factor(c, rank), factor(d, rank), factor(d, rank), factor(n, rank), layer.bias)
