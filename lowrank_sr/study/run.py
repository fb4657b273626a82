"""The command `study`: measure what has not been measured yet, then write the report."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.study import record
from lowrank_sr.study.encoding import encode
from lowrank_sr.study.measure import crops, full_size, layers, networks, spectra, sweeps
from lowrank_sr.study.report import figures, markdown, page, style, tables
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.content import Report
from lowrank_sr.study.settings import Study, check_methods, open_study
from lowrank_sr.study.technique import Technique
from lowrank_sr.text import progress, table


def study(
    folder: Path,
    weights: Path | None = None,
    data: Path | None = None,
    quick: bool = False,
    full_size: bool = False,
    methods: list[str] | None = None,
    seed: int = 0,
) -> Report:
    """Run the study into `folder`: results.json, report.html, report.md, figures/, crops/ and networks/.

    Steps that an earlier run with the same settings, files, machine and code has left there are not computed again.

    Raises InputError where Matplotlib is missing, for an unknown method, and for weights, pictures or a folder that
    cannot be used.
    """
    style.need_matplotlib()
    compared = check_methods(methods)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: {error.strerror}") from error
    work = open_study(folder, weights, data, quick, full_size, compared, seed)
    path, settings, machine = folder / "results.json", work.settings.describe(), cpu.describe()
    todo = steps(work)
    earlier = record.read(path, work.fingerprint)
    done = {name: earlier[name] for name in todo if name in earlier}

    with progress(len(todo), "study", "step") as bar:
        bar.update(len(done))
        for name, measure in todo.items():
            if name not in done:
                bar.set_description(name)
                done[name] = encode(measure())
                record.write(path, work.fingerprint, settings, machine, done)
                bar.update()
    ordered = {name: done[name] for name in todo}
    results = record.assemble(ordered)
    report = Report(work.settings, machine, results, judge(results))
    record.write(path, work.fingerprint, settings, machine, ordered, report.claims)
    figures.write(results, folder)
    markdown.write(report, folder)
    page.write(report, folder)
    return report


def steps(study: Study) -> dict[str, Callable[[], object]]:
    """The steps of a study in order, by their names in results.json; each returns a dataclass.

    `record.assemble` reads these names.
    """
    extent = study.extent
    todo: dict[str, Callable[[], object]] = {
        "network": partial(spectra.network, study.net),
        "condition numbers": partial(spectra.condition_numbers, study.net),
    }
    for form in study.forms:
        for fitted, speedups in ((False, extent.speedups), (True, extent.fitted_speedups)):
            technique = Technique(form, fitted)
            for speedup in speedups:
                todo[f"speed-up/{technique.name}/{speedup:g}"] = partial(sweeps.at_speedup, study, technique, speedup)
    if "svd" in study.forms:
        for fraction in extent.marked:
            todo[f"threshold/{fraction:g}"] = partial(sweeps.above_threshold, study, fraction)
        for kappa in extent.condition:
            todo[f"truncation/{kappa:g}"] = partial(sweeps.at_condition, study, kappa)

    todo["quality/bicubic"] = partial(networks.bicubic_quality, study)
    for technique in study.techniques:
        todo[f"quality/{technique.name}"] = partial(networks.technique_quality, study, technique)
    todo["time"] = partial(networks.times, study)
    for technique in study.techniques:
        todo[f"memory/{technique.name}"] = partial(networks.memory, study, technique)
    todo["crop"] = partial(crops.crop, study)
    todo["sgemm"] = partial(layers.sgemm, study)
    for name, area in layers.distinct(study.net).items():
        todo[f"layer/{name}"] = partial(layers.layer_times, study, name, area)
    if study.settings.full_size:
        todo["full size"] = partial(full_size.times, study)
    return todo


def summary(report: Report, folder: Path) -> str:
    """Table 1 and the verdicts as text, and where the report is."""
    first = tables.table1(report.results)
    verdicts = (f"{claim.claim}: {claim.measured.verdict}" for claim in report.claims)
    return "\n".join([table(first.header, first.rows), "", *verdicts, "", str(folder / "report.html")])
