"""What is measured, in order: a function for each step, by a name that says what it is."""

from collections.abc import Callable
from functools import partial

from lowrank_sr.study.measure import crops, full_size, layers, networks, quality, spectra, sweeps, techniques
from lowrank_sr.study.settings import LOW_RANK, Study


def steps(study: Study) -> dict[str, Callable[[], object]]:
    """The steps of a study by name; each returns numbers and text for results.json."""
    todo: dict[str, Callable[[], object]] = {
        "network": partial(spectra.network, study.net),
        "condition numbers": partial(spectra.condition_numbers, study.net),
    }
    low_rank = [method for method in LOW_RANK if method in study.methods]
    for method in low_rank:
        for fitted in (False, True):
            for speedup in study.extent.fitted_speedups if fitted else study.extent.speedups:
                name = f"speed-up/{networks.technique(method, fitted)}/{speedup:g}"
                todo[name] = partial(sweeps.at_speedup, study, method, fitted, speedup)
    if "svd" in low_rank:
        for fraction in study.extent.marked:
            todo[f"threshold/{fraction:g}"] = partial(sweeps.above_threshold, study, fraction)
        for kappa in study.extent.condition:
            todo[f"truncation/{kappa:g}"] = partial(sweeps.at_condition, study, kappa)

    names = networks.techniques(study)
    todo["quality/bicubic"] = partial(quality.bicubic, study)
    for name in names:
        todo[f"quality/{name}"] = partial(techniques.quality, study, name)
    todo["time"] = partial(techniques.times, study)
    for name in names:
        todo[f"memory/{name}"] = partial(techniques.memory, study, name)
    todo["crop"] = partial(crops.crop, study)
    todo["sgemm"] = partial(layers.sgemm, study)
    for name, area in layers.distinct(study.net).items():
        todo[f"layer/{name}"] = partial(layers.layer, study, name, area)
    if study.full_size:
        todo["full size"] = partial(full_size.times, study)
    return todo
