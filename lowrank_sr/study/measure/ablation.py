"""What of a low-rank network's loss comes from which layers, from the ranks and from the factors.

One network for each combination of

    ranks    uniform, every layer gives up the same share of its FLOPs; or chosen, where they cost the picture least
    layers   all; those in the dense blocks alone, or outside them; the poster's recipe, the marked ones or the unmarked
             ones alone
    factors  of the kernel; the same with a fitted bias; fitted

and, with factors of the kernel, one for each layer that is factorised alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from lowrank_sr import flops
from lowrank_sr.compression import fit
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.encoding import FLAT
from lowrank_sr.study.measure import networks, quality
from lowrank_sr.study.measure.networks import TABLE1_SPEEDUP
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import BIAS, CHOSEN, FITTED, KERNEL, UNIFORM, WINOGRAD, Technique

RANKS = {UNIFORM: networks.uniform_ranks, CHOSEN: networks.chosen_ranks}
ALONE_SPEEDUP = 2  # theoretical, of a layer that is factorised alone


@dataclass(frozen=True)
class Ablated:
    """A network with `layers` in `form`, of the ranks that make all of them together TABLE1_SPEEDUP times cheaper."""

    form: str
    ranks: str
    layers: str
    factors: str
    factorised: int
    theoretical_speedup: float
    quality: Annotated[Quality, FLAT]


@dataclass(frozen=True)
class Alone:
    """The dense network with one layer as an SVD pair of its kernel, at half the layer's FLOPs; its relative error."""

    layer: str
    rank: int
    error: float
    theoretical_speedup: float
    quality: Annotated[Quality, FLAT]


def ablated(study: Study, form: str, ranks: str, layers: str, factors: str) -> Ablated:
    """One combination."""
    net = combination(study, form, ranks, layers, factors)
    count = sum(layer.rank is not None for layer in net.layers.values())
    theoretical = study.net.flops_per_pixel / net.flops_per_pixel
    return Ablated(form, ranks, layers, factors, count, theoretical, quality.of_network(study, net))


def combination(study: Study, form: str, ranks: str, layers: str, factors: str) -> RRDBNet:
    """The network of a combination, by Winograd's algorithm."""
    every = _every_layer(study, form, ranks, factors)
    kept = networks.chosen_layers(study.net, layers)
    dropped = [name for name, layer in every.layers.items() if name not in kept and layer.rank is not None]
    order = list(every.layers)
    last = max((order.index(name) for name in kept if every.layers[name].rank is not None), default=-1)
    # A fit goes from the first layer to the last: a bias does not depend on the layers behind. Beside factors the dense
    # layers behind are fitted, too.
    behind = all(order.index(name) > last for name in dropped)
    if not dropped or factors == KERNEL or (factors == BIAS and behind):
        return networks.with_dense(study.net, every, dropped, WINOGRAD)
    some = {name: rank for name, rank in RANKS[ranks](study, form, TABLE1_SPEEDUP).items() if name in kept}
    return networks.factorised(study, form, some, factors)


@lru_cache(maxsize=8)
def _every_layer(study: Study, form: str, ranks: str, factors: str) -> RRDBNet:
    if (ranks, factors) in ((UNIFORM, KERNEL), (CHOSEN, FITTED)):
        return networks.network(study, Technique(form, factors))
    if factors == BIAS:
        kernels = _every_layer(study, form, ranks, KERNEL).with_method(WINOGRAD)
        return fit.refit_biases(study.net.with_method(WINOGRAD), kernels, networks.crops(study).low)
    return networks.factorised(study, form, RANKS[ranks](study, form, TABLE1_SPEEDUP), factors)


def layers_alone(study: Study) -> list[str]:
    """The layers to factorise alone: all, or those outside the dense blocks, that have such a rank."""
    names = networks.inner_layers(study.net) if "svd" in study.extent.ablated else []
    if not study.extent.every_layer_alone:
        names = [name for name in names if not name.startswith(networks.DENSE_BLOCKS)]
    return [name for name in names if flops.break_even("svd", *study.net.layers[name].shape) >= ALONE_SPEEDUP]


def alone(study: Study, name: str) -> Alone:
    """One layer alone."""
    net, rank, error = layer_alone(study, name)
    theoretical = study.net.flops_per_pixel / net.flops_per_pixel
    return Alone(name, rank, error, theoretical, quality.of_network(study, net))


def layer_alone(study: Study, name: str) -> tuple[RRDBNet, int, float]:
    """The network with layer `name` alone factorised, by Winograd's algorithm; its rank and its relative error."""
    dense = networks.dense_layer(study, name)
    rank = speedup_rank(flops.break_even("svd", *dense.shape), ALONE_SPEEDUP)
    layer, error = from_kernel(dense, "svd", rank)
    return RRDBNet(dict(study.net.layers) | {name: layer}, WINOGRAD), rank, error
