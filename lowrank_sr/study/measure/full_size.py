"""ESRGAN's 23-block network with random weights: the dense methods, and its dense blocks factorised."""

from lowrank_sr import flops
from lowrank_sr.conv.methods import METHODS
from lowrank_sr.layers import random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.network.auto import AUTO
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import speed
from lowrank_sr.study.settings import DIRECT, WINOGRAD, Study

SPEEDUP = 4  # theoretical, of each layer of the dense blocks
LOW_RANK_METHODS = {"svd": DIRECT, "svd winograd": WINOGRAD, "cp": WINOGRAD}  # by technique


def factorised(net: RRDBNet, form: str, speedup: float = SPEEDUP, method: str = AUTO) -> RRDBNet:
    """`net` by `method`, every layer of its dense blocks "svd" or "cp" of a theoretical `speedup`: noise, for timing.

    Raises InputError where a layer has no rank that is so fast.
    """
    layers = dict(net.layers)
    for name, layer in net.layers.items():
        if name.startswith("RRDB_trunk."):
            rank = speedup_rank(flops.break_even(form, *layer.shape), speedup)
            layers[name] = random_layer(layer.shape, form, rank)
    return RRDBNet(layers, method)


def times(study: Study) -> dict:
    """Every technique in turn."""
    net, side = RRDBNet.random(seed=study.seed), study.extent.full_side
    compared = {name: net.with_method(name) for name in study.methods if name in METHODS}
    for name, method in LOW_RANK_METHODS.items():
        form = name.split()[0]
        if form in study.methods and method in study.methods:
            compared[name] = factorised(net, form, method=method)
    rows = speed.compare_networks(compared, side, study.extent.rounds)
    return {"side": side, "num_block": net.architecture.num_block, "speedup": SPEEDUP, "techniques": rows}
