"""Networks with layers of noise in low rank, which take the time of real ones, whatever their factors."""

from collections.abc import Sequence

from lowrank_sr import flops
from lowrank_sr.compression.prices import RANK_STEP
from lowrank_sr.layers import Layer, random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.network.auto import AUTO
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure.networks import DENSE_BLOCKS, inner_layers

BLOCK_SPEEDUP = 4  # theoretical, of each layer of the dense blocks


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
