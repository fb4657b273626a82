"""The network's layers and the singular values of their kernels: Figure 2."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from lowrank_sr.compression.network import ENDS
from lowrank_sr.lowrank.conditioning import condition_number
from lowrank_sr.lowrank.ranks import energy_rank
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.rrdbnet import RRDBNet

LARGEST_CONDITION = 1e12  # that of a singular kernel, since JSON has no infinity


@dataclass(frozen=True)
class Network:
    """What the network is."""

    scale: int
    num_feat: int
    num_block: int
    num_grow_ch: int
    layers: int
    parameters: int
    flops_per_pixel: float


@dataclass(frozen=True)
class LayerSpectrum:
    """A layer of `shape` (N, C, d): its condition number, and the rank that keeps 90% of the energy."""

    name: str
    shape: tuple[int, ...]
    condition: float
    marked: bool  # its condition number is above the threshold
    rank_90: int
    full_rank: int
    rank_90_percent: float  # of full rank


@dataclass(frozen=True)
class ConditionNumbers:
    """The threshold, the names of the layers above it, and all layers in network order."""

    threshold: float
    marked: tuple[str, ...]
    layers: tuple[LayerSpectrum, ...]


def describe(net: RRDBNet) -> Network:
    """What the network is."""
    of, layers = net.architecture, len(net.layers)
    shape = net.scale, of.num_feat, of.num_block, of.num_grow_ch
    return Network(*shape, layers, net.parameters, net.flops_per_pixel)


@lru_cache(maxsize=4)
def condition_numbers(net: RRDBNet) -> ConditionNumbers:
    """The condition number of every layer's kernel, and a threshold in the widest gap of those inside the network.

    The first and the last layer are not marked: they stay dense.
    """
    sigmas = singular_values_of(net)
    kappas = {name: condition(sigma) for name, sigma in sigmas.items()}
    inner = {name: kappa for name, kappa in kappas.items() if name not in ENDS}
    threshold = widest_gap(list(inner.values()))
    marked = [name for name, kappa in inner.items() if kappa > threshold]
    rows = []
    for name, layer in net.layers.items():
        n, c, d = layer.shape
        full, rank = d * min(n, c), energy_rank(sigmas[name], 0.9)
        rows.append(LayerSpectrum(name, (n, c, d), kappas[name], name in marked, rank, full, 100 * rank / full))
    return ConditionNumbers(threshold, tuple(marked), tuple(rows))


@lru_cache(maxsize=4)
def singular_values_of(net: RRDBNet) -> dict[str, np.ndarray]:
    """The singular values of every layer's matricised kernel, largest first, by name."""
    with blas_threads(1):
        return {name: singular_values(layer.kernel()) for name, layer in net.layers.items()}


def condition(sigma: np.ndarray) -> float:
    """The condition number of a kernel with these singular values, largest first; LARGEST_CONDITION if it is singular.

    A singular value within the rounding of the largest counts as zero.
    """
    rounding = np.finfo(np.float64).eps * len(sigma) * sigma[0]
    return min(condition_number(sigma), LARGEST_CONDITION) if sigma[-1] > rounding else LARGEST_CONDITION


def widest_gap(kappas: list[float]) -> float:
    """A threshold in the middle of the widest gap between condition numbers, on a logarithmic scale.

    Where all of them are the same it is that number, which none is above.
    """
    below, above = max(pairwise(sorted(kappas)), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(below * above)
