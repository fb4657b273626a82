"""The network of each technique in Table 1; what is computed for it is kept in networks/."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lowrank_sr.errors import InputError
from lowrank_sr.network.overlap import digest
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.study.measure import low_rank
from lowrank_sr.study.measure.low_rank import TABLE1_SPEEDUP
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import ALL, DIRECT, FITTED, TUNED, Technique
from lowrank_sr.text import complain
from lowrank_sr.training import finetune, folder
from lowrank_sr.training.finetune import Length


def network(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique: a low-rank one has the ranks that make all its layers TABLE1_SPEEDUP times cheaper.

    Where the technique is of some layers only, these have the ranks and factors that they have among all, and the
    others are dense. What is of low rank or fine-tuned is kept in networks/.
    """
    if technique.factors == TUNED:
        return _kept(study, technique).with_method(technique.method)
    if technique.form is None:
        return study.net.with_method(technique.method)
    every = _kept(study, replace(technique, method=DIRECT, layers=ALL))
    names = low_rank.chosen_layers(study.net, technique.layers)
    dense = [name for name in every.layers if name not in names]
    return low_rank.with_dense(study.net, every, dense, technique.method)


def _kept(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique of all layers, from networks/ where this study has written it."""
    path, made_for = _path(study, technique), _made_for(study, technique)
    if path.exists():
        try:
            kept = load(path)
        except InputError:
            complain(f"{path}: is damaged: the network is computed again")
        else:
            if _is_unchanged(kept, made_for):
                return kept
            made = kept.meta.get("study")
            if isinstance(made, dict) and made_for.items() <= made.items():
                complain(f"{path}: has been changed: the network is computed again")
    new = _computed(study, technique)
    new.meta["study"] = {**made_for, "digest": digest(new)}
    path.parent.mkdir(exist_ok=True)
    new.save(path)
    return new


def is_kept(study: Study, technique: Technique) -> bool:
    """Whether the network of a technique of all layers is in networks/ as this study has written it."""
    try:
        kept = load(_path(study, technique))
    except InputError:
        return False
    return _is_unchanged(kept, _made_for(study, technique))


def _is_unchanged(kept: RRDBNet, made_for: dict[str, Any]) -> bool:
    """Whether a network that was read is one of `made_for`, number by number as it was written."""
    return bool(kept.meta.get("study") == {**made_for, "digest": digest(kept)})


def _path(study: Study, technique: Technique) -> Path:
    return study.folder / "networks" / f"{technique.name.replace(' ', '-')}.npz"


def _made_for(study: Study, technique: Technique) -> dict[str, Any]:
    """What the network depends on."""
    depends: dict[str, Any] = {"fingerprint": study.fingerprint}
    if technique.factors == TUNED:
        assert study.training_set is not None
        depends |= {"photographs": study.training_set.digest, "minutes": study.extent.minutes}
    return depends


def _computed(study: Study, technique: Technique) -> RRDBNet:
    if technique.factors == TUNED:
        return _tuned(study, technique)
    assert technique.form is not None
    return low_rank.at_speedup(study, technique.form, technique.factors, TABLE1_SPEEDUP)


def _tuned(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique before its training, after one of all its layers together on the photographs.

    A low-rank network learns from the dense one, whose output on a crop varies less from step to step than a
    photograph's distance from it; the dense network from the photographs.
    """
    assert study.training_set is not None
    net = network(study, replace(technique, factors=FITTED))  # a dense one is as it is
    teacher = None if technique.form is None else study.net
    pictures = folder.read(study.training_set.paths, net.scale, finetune.SIDE, with_teacher=False)
    return finetune.trained(net, pictures, teacher, Length(None, study.extent.minutes), study.settings.seed)
