"""The low-rank networks of a study: which layers, of which ranks, by which factors.

What several of them share, the calibration crops and what an error in each layer does to the picture, is computed once.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

import numpy as np

from lowrank_sr.compression import calibration, fit
from lowrank_sr.compression.calibration import Crops
from lowrank_sr.compression.network import ENDS
from lowrank_sr.compression.ranks import TARGETS, candidates, within_cost
from lowrank_sr.compression.sensitivity import Sensitivity, sensitivities
from lowrank_sr.layers import Dense
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import spectra
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import ALL, BIAS, BLOCKS, FITTED, KERNEL, MARKED, WINOGRAD

TABLE1_SPEEDUP = 2  # theoretical, of the low-rank networks in Table 1 and the figures
DENSE_BLOCKS = "RRDB_trunk."  # what the names of their layers begin with


def inner_layers(net: RRDBNet) -> list[str]:
    """The layers that may be factorised: all but the first and the last."""
    return [name for name in net.layers if name not in ENDS]


def chosen_layers(net: RRDBNet, layers: str) -> set[str]:
    """The names of the layers that a technique's `layers` stands for."""
    inner = set(inner_layers(net))
    if layers == ALL:
        return inner
    if layers == BLOCKS:
        return {name for name in inner if name.startswith(DENSE_BLOCKS)}
    marked = set(spectra.condition_numbers(net).marked)
    return marked if layers == MARKED else inner - marked


def dense_layer(study: Study, name: str) -> Dense:
    """A layer of the study's network."""
    layer = study.net.layers[name]
    assert isinstance(layer, Dense)  # `open_study` refuses a network that is compressed already
    return layer


def with_dense(net: RRDBNet, small: RRDBNet, names: Collection[str], method: str) -> RRDBNet:
    """`small` by `method`, with layers `names` as they are in `net`."""
    layers = {name: net.layers[name] if name in names else layer for name, layer in small.layers.items()}
    return RRDBNet(layers, method, small.meta)


def at_speedup(study: Study, form: str, factors: str, speedup: float, layers: str = ALL) -> RRDBNet:
    """The network at a theoretical `speedup` of the whole: fitted factors have chosen ranks, others a uniform share.

    Raises InputError where its layers cannot become as cheap.
    """
    chosen = factors == FITTED
    ranks = chosen_ranks(study, form, speedup) if chosen else uniform_ranks(study, form, speedup, layers)
    return factorised(study, form, ranks, factors)


def uniform_ranks(study: Study, form: str, speedup: float, layers: str = ALL) -> dict[str, int]:
    """Ranks by name: every layer gives up the same share of its FLOPs."""
    names = chosen_layers(study.net, layers)
    return within_cost(candidates(study.net, dict.fromkeys(names), form, TARGETS["flops"]), speedup)


def chosen_ranks(study: Study, form: str, speedup: float) -> dict[str, int]:
    """Ranks by name: they are where they cost the picture least, by the sensitivities of the layers."""
    return within_cost(candidates(study.net, measured_sensitivities(study), form, TARGETS["flops"]), speedup)


def factorised(study: Study, form: str, ranks: Mapping[str, int], factors: str) -> RRDBNet:
    """The network with layers of these `ranks`, their `factors` those of the kernel, with a fitted bias, or fitted.

    The fit runs by Winograd's algorithm rather than `auto`, so that every run with the same seed gives the same.
    """
    low = None if factors == KERNEL else crops(study).low
    part = fit.BIAS if factors == BIAS else fit.FACTORS
    dense = study.net.with_method(WINOGRAD)
    small, _ = fit.factorised(dense, form, ranks, low, study.settings.seed, lambda: None, part)
    return small


@lru_cache(maxsize=1)
def crops(study: Study) -> Crops:
    """What the networks are calibrated on."""
    every = calibration.crops(calibration.read_pictures(), study.net.scale, study.settings.seed)
    count = len(every.low)
    step = count // (study.extent.calibration or count)  # of different pictures: a picture's crops follow each other
    return Crops(every.low[::step], every.high[::step])


@lru_cache(maxsize=1)
def measured_sensitivities(study: Study) -> dict[str, Sensitivity]:
    """Those of every layer that may be factorised, by name."""
    dense = study.net.with_method(WINOGRAD)
    return sensitivities(dense, crops(study).low, inner_layers(dense), study.settings.seed, lambda: None)


def inner_singular_values(net: RRDBNet) -> dict[str, np.ndarray]:
    """The singular values of every layer that may be factorised, by name."""
    values = spectra.singular_values_of(net)
    return {name: values[name] for name in inner_layers(net)}
