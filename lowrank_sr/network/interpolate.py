"""Network interpolation: between two networks of one architecture, such as a smooth one and a sharp one.

Wang et al. 2018 ("ESRGAN"), section 3.4; `net_interp.py` of its release. Where one network was trained from the other,
what lies between them is a network, too, and its pictures change from one's to the other's without a step.
"""

from dataclasses import asdict

from lowrank_sr.errors import InputError
from lowrank_sr.layers import Layer
from lowrank_sr.network.rrdbnet import RRDBNet


def interpolate(a: RRDBNet, b: RRDBNet, alpha: float) -> RRDBNet:
    """The network between `a` (alpha = 0) and `b` (alpha = 1), all of its parameters being

        theta = (1 - alpha) theta_a + alpha theta_b

    Factors of layers of one form and rank are parameters, too. This suits a compressed network and its fine-tuned
    version; factors of separately compressed networks have nothing in common.

    Raises InputError for networks of different architecture, or with a layer of different form or rank, and for an
    alpha outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha {alpha:g}: expected 0 to 1")
    first, second = asdict(a.architecture), asdict(b.architecture)
    for number, value in first.items():
        if second[number] != value:
            raise InputError(f"{number} is {value} in one network and {second[number]} in the other: expected the same")
    layers = {name: _between(name, layer, b.layers[name], alpha) for name, layer in a.layers.items()}
    sources = [str(net.meta.get("source", "unknown")) for net in (a, b)]
    source = f"{1 - alpha:g} of ({sources[0]}), {alpha:g} of ({sources[1]})"
    return RRDBNet(layers, a.method, {"source": source, "interpolation": {"alpha": alpha, "sources": sources}})


def _between(name: str, a: Layer, b: Layer, alpha: float) -> Layer:
    if type(a) is not type(b) or a.rank != b.rank:
        forms = [f"{type(layer).__name__}{'' if layer.rank is None else f' of rank {layer.rank}'}" for layer in (a, b)]
        raise InputError(f"{name} is {forms[0]} in one network and {forms[1]} in the other: expected the same")
    others = b.arrays()
    return type(a)(**{field: (1 - alpha) * array + alpha * others[field] for field, array in a.arrays().items()})
