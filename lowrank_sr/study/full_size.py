"""ESRGAN's 23-block network with random weights: the dense methods, and its dense blocks factorised."""

from lowrank_sr.compression.factorise import BREAK_EVEN
from lowrank_sr.conv import METHODS
from lowrank_sr.layers import random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.rrdbnet import RRDBNet
from lowrank_sr.study import speed
from lowrank_sr.study.settings import LOW_RANK, Study

SPEEDUP = 4  # theoretical, of each layer of the dense blocks


def factorised(net: RRDBNet, form: str, speedup: float = SPEEDUP) -> RRDBNet:
    """`net` with noise of a theoretical `speedup` for every layer of its dense blocks: for timing.

    Raises InputError where a layer has no rank that is so fast.
    """
    layers = dict(net.layers)
    for name, layer in net.layers.items():
        if name.startswith("RRDB_trunk."):
            rank = speedup_rank(BREAK_EVEN[form](layer.weight.shape), speedup)
            layers[name] = random_layer(layer.shape, form, rank)
    return RRDBNet(layers)


def times(study: Study) -> dict:
    """Every technique in turn, what is dense beside the factors by the fastest method."""
    net, side = RRDBNet.random(seed=study.seed), study.extent.full_side
    compared = {name: net.with_method(name) for name in study.methods if name in METHODS}
    compared |= {form: factorised(net, form) for form in LOW_RANK if form in study.methods}
    rows = speed.compare_networks(compared, side, study.extent.rounds)
    return {"side": side, "num_block": net.architecture.num_block, "speedup": SPEEDUP, "techniques": rows}
