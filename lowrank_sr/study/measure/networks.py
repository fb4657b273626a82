"""The networks of a study: which layers are of low rank, of which ranks, by which factors.

Those of Table 1 are kept in networks/. What several others share, the calibration crops and what an error in each layer
does to the picture, is computed once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.compression import calibration, fit
from lowrank_sr.compression.calibration import Calibration, Crops, calibrated
from lowrank_sr.compression.network import ENDS
from lowrank_sr.compression.prices import TARGETS
from lowrank_sr.compression.ranks import UNCORRECTED, candidates, within_cost
from lowrank_sr.compression.sensitivity import Sensitivity, sensitivities
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.network.overlap import digest
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.study.measure import spectra
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import (
    ALL,
    BIAS,
    BLOCKS,
    BUNDLED,
    DIRECT,
    FITTED,
    KERNEL,
    MARKED,
    OUTSIDE,
    TUNED,
    WINOGRAD,
    Technique,
)
from lowrank_sr.text import complain
from lowrank_sr.training import finetune, folder
from lowrank_sr.training.length import Length

TABLE1_SPEEDUP = 2  # theoretical, of the low-rank networks in Table 1 and the figures
DENSE_BLOCKS = "RRDB_trunk."  # what the names of their layers begin with


@dataclass(frozen=True)
class Done:
    """The steps of a training, and the seconds that they took."""

    steps: int
    seconds: float


@dataclass(frozen=True)
class Training:
    """How many photographs were large enough to be trained on, and how long that took."""

    photographs: int
    measured: Done


def network(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique: a low-rank one has the ranks that make all its layers TABLE1_SPEEDUP times cheaper.

    Where the technique is of some layers only, these are as they are among all, and the others are dense. The bundled
    low-rank form has its own ranks.
    """
    if technique.factors == BUNDLED:
        assert study.settings.in_low_rank is not None
        return load(study.settings.in_low_rank, method=technique.method)
    if technique.factors == TUNED:
        return _kept(study, technique).with_method(technique.method)
    if technique.form is None:
        return study.net.with_method(technique.method)
    every = _kept(study, replace(technique, method=DIRECT, layers=ALL))
    dense = set(inner_layers(study.net)) - chosen_layers(study.net, technique.layers)
    return with_dense(study.net, every, dense, technique.method)


def _kept(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique of all layers, from networks/ where this study has written it."""
    made_for, path = _made_for(study, technique), _path(study, technique)
    kept, wrong = _read(path, made_for)
    if kept is not None:
        return kept
    if wrong:
        complain(f"{path}: {wrong}: the network is computed again")
    new = _computed(study, technique)
    new.meta["study"] = {**made_for, "digest": digest(new)}
    path.parent.mkdir(exist_ok=True)
    new.save(path)
    return new


def is_kept(study: Study, technique: Technique) -> bool:
    """Whether the network of a technique of all layers is in networks/ as this study has written it."""
    return _read(_path(study, technique), _made_for(study, technique))[0] is not None


def _read(path: Path, made_for: dict[str, Any]) -> tuple[RRDBNet | None, str]:
    """The network in a file, if it is one of `made_for`, number by number as it was written; else what is wrong."""
    try:
        kept = load(path)
    except InputError:
        return None, "is damaged" if path.exists() else ""
    made = kept.meta.get("study")
    if made == {**made_for, "digest": digest(kept)}:
        return kept, ""
    return None, "has been changed" if isinstance(made, dict) and made_for.items() <= made.items() else ""


def _path(study: Study, technique: Technique) -> Path:
    return study.folder / "networks" / f"{technique.name.replace(' ', '-')}.npz"


def _made_for(study: Study, technique: Technique) -> dict[str, Any]:
    """What the network depends on."""
    if technique.factors != TUNED:
        return {"fingerprint": study.fingerprint}
    assert study.training_set is not None
    photographs, minutes = study.training_set.digest, study.extent.minutes
    return {"fingerprint": study.fingerprint, "photographs": photographs, "minutes": minutes}


def _computed(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique of low rank; or the fitted one after a training on the photographs.

    A low-rank network learns from the dense one, whose output on a crop varies less from step to step than a
    photograph's distance from it; the dense network from the photographs.
    """
    if technique.factors != TUNED:
        assert technique.form is not None
        return at_speedup(study, technique.form, technique.factors, TABLE1_SPEEDUP)
    assert study.training_set is not None
    net = network(study, replace(technique, factors=FITTED))  # a dense one is as it is
    teacher = None if technique.form is None else study.net
    pictures = folder.read(study.training_set.paths, net.scale, finetune.SIDE, with_teacher=False)
    return finetune.trained(net, pictures, teacher, Length(None, study.extent.minutes), study.settings.seed)


def training(study: Study, technique: Technique) -> Training:
    """Train the network of a technique, unless it is in networks/ already."""
    record = network(study, technique).meta["finetuning"]
    return Training(record["photographs"], Done(record["steps"], record["seconds"]))


def inner_layers(net: RRDBNet) -> list[str]:
    """The layers that may be factorised: all but the first and the last."""
    return [name for name in net.layers if name not in ENDS]


def chosen_layers(net: RRDBNet, layers: str) -> set[str]:
    """The names of the layers that a technique's `layers` stands for."""
    inner = set(inner_layers(net))
    if layers == ALL:
        return inner
    if layers in (BLOCKS, OUTSIDE):
        return {name for name in inner if name.startswith(DENSE_BLOCKS) == (layers == BLOCKS)}
    marked = set(spectra.condition_numbers(net).marked)
    return marked if layers == MARKED else inner - marked


def dense_layer(study: Study, name: str) -> Dense:
    """A layer of the study's network."""
    layer = study.net.layers[name]
    assert isinstance(layer, Dense)  # `open_studies` refuses a network that is compressed already
    return layer


def with_dense(net: RRDBNet, small: RRDBNet, names: Collection[str], method: str) -> RRDBNet:
    """`small` by `method`, with layers `names` as they are in `net`."""
    layers = {name: net.layers[name] if name in names else layer for name, layer in small.layers.items()}
    return RRDBNet(layers, method, small.meta)


def at_speedup(study: Study, form: str, factors: str, speedup: float, layers: str = ALL) -> RRDBNet:
    """The network at a theoretical `speedup` of the whole: fitted factors have chosen ranks, others a uniform share.

    Raises InputError where its layers cannot become as cheap.
    """
    if factors == FITTED:
        return factorised(study, form, chosen_ranks(study, form, speedup), factors)
    return factorised(study, form, uniform_ranks(study, form, speedup, layers), factors)


def uniform_ranks(study: Study, form: str, speedup: float, layers: str = ALL) -> dict[str, int]:
    """Ranks by name: every layer gives up the same share of its FLOPs."""
    names = chosen_layers(study.net, layers)
    return within_cost(candidates(study.net, dict.fromkeys(names), form, TARGETS["flops"]), speedup)


def chosen_ranks(study: Study, form: str, speedup: float) -> dict[str, int]:
    """Ranks by name: they are where they cost the picture least, by the sensitivities of the layers."""
    every = candidates(study.net, measured_sensitivities(study), form, TARGETS["flops"], UNCORRECTED)
    return within_cost(every, speedup)


def factorised(study: Study, form: str, ranks: Mapping[str, int], factors: str) -> RRDBNet:
    """The network with layers of these `ranks`, their `factors` those of the kernel, with a fitted bias, or fitted.

    The fit runs by Winograd's algorithm rather than `auto`, so that every run with the same seed gives the same.
    """
    seen, part = None if factors == KERNEL else calibration_of(study), fit.BIAS if factors == BIAS else fit.FACTORS
    dense, seed = study.net.with_method(WINOGRAD), study.settings.seed
    return fit.factorised(dense, form, ranks, seen, seed, lambda: None, part)[0]


@lru_cache(maxsize=1)
def crops(study: Study) -> Crops:
    """What the networks are calibrated on."""
    every = calibration.crops(calibration.read_pictures(), study.net.scale, study.settings.seed)
    return every._replace(low=every.low[: study.extent.calibration])


@lru_cache(maxsize=1)
def calibration_of(study: Study) -> Calibration:
    """The crops, and what an error in each layer does to the picture on them."""
    return calibrated(study.net.with_method(WINOGRAD), crops(study).low, study.settings.seed)


@lru_cache(maxsize=1)
def measured_sensitivities(study: Study) -> dict[str, Sensitivity]:
    """Those of every layer that may be factorised, by name."""
    dense = study.net.with_method(WINOGRAD)
    return sensitivities(dense, calibration_of(study), inner_layers(dense), lambda: None)


def inner_singular_values(net: RRDBNet) -> dict[str, np.ndarray]:
    """The singular values of every layer that may be factorised, by name."""
    values = spectra.singular_values_of(net)
    return {name: values[name] for name in inner_layers(net)}
