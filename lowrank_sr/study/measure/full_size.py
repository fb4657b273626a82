"""ESRGAN's 23-block network with random weights: the dense methods, and its dense blocks factorised."""

from collections.abc import Sequence
from dataclasses import dataclass

from lowrank_sr import flops
from lowrank_sr.compression.prices import RANK_STEP
from lowrank_sr.layers import Layer, random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.network.auto import AUTO
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure.networks import DENSE_BLOCKS, inner_layers
from lowrank_sr.study.measure.speed import Speed, compare_with
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import CP_KERNEL, DIRECT, SVD_KERNEL, SVD_KERNEL_WINOGRAD, WINOGRAD, Technique

BLOCK_SPEEDUP = 4  # theoretical, of each layer of the dense blocks
# The low-rank techniques, and the method of the dense layers beside the factorised ones. CP has no method of its own:
# its dense layers run by the faster one.
LOW_RANK_METHODS = {SVD_KERNEL: DIRECT, SVD_KERNEL_WINOGRAD: WINOGRAD, CP_KERNEL: WINOGRAD}


@dataclass(frozen=True)
class FullSizeTime:
    """A technique in turn with direct convolution; its dense blocks at a theoretical `speedup` of each layer."""

    num_block: int
    speedup: float
    speed: Speed


def factorised(net: RRDBNet, form: str, speedup: float = BLOCK_SPEEDUP, method: str = AUTO) -> RRDBNet:
    """`net` by `method`, every layer of its dense blocks "svd" or "cp" of a theoretical `speedup`: noise, for timing.

    Raises InputError where a layer has no rank that is so fast.
    """
    blocks = [name for name in net.layers if name.startswith(DENSE_BLOCKS)]
    return RRDBNet(_with_noise(net, form, speedup, blocks, step=1), method)


def wholly_factorised(net: RRDBNet, form: str, speedup: float = BLOCK_SPEEDUP) -> RRDBNet:
    """`net` by "auto", all layers but the first and the last "svd" or "cp", of ranks that `compress` chooses among.

    They are multiples of RANK_STEP. Raises InputError where a layer has no rank that is so fast.
    """
    return RRDBNet(_with_noise(net, form, speedup, inner_layers(net), RANK_STEP))


def _with_noise(net: RRDBNet, form: str, speedup: float, names: Sequence[str], step: int) -> dict[str, Layer]:
    """The layers of `net`, those in `names` noise in `form`, of the largest rank in steps of `step` that is so fast."""
    layers = dict(net.layers)
    for name in names:
        shape = layers[name].shape
        rank = speedup_rank(flops.break_even(form, *shape), speedup)
        layers[name] = random_layer(shape, form, max(1, rank // step * step))
    return layers


def techniques(study: Study) -> list[Technique]:
    """What is compared, direct convolution first."""
    low_rank = [technique for technique, method in LOW_RANK_METHODS.items() if method in study.dense_methods]
    dense = [Technique(method=method) for method in study.dense_methods]
    return dense + [technique for technique in low_rank if technique.form in study.forms]


def of_technique(study: Study, technique: Technique) -> FullSizeTime:
    """One technique."""
    net, side = RRDBNet.random(seed=study.settings.seed), study.extent.full_side
    if technique.form is None:
        compared = net.with_method(technique.method)
    else:
        compared = factorised(net, technique.form, method=LOW_RANK_METHODS[technique])
    speeds = compare_with(net.with_method(DIRECT), {technique: compared}, side, study.extent.rounds)
    return FullSizeTime(net.architecture.num_block, BLOCK_SPEEDUP, speeds[technique])
