"""The command `study`: measure what has not been measured yet, then write the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.study import record
from lowrank_sr.study.encoding import decode, encode
from lowrank_sr.study.measure import (
    ablation,
    crops,
    full_size,
    layers,
    memory,
    networks,
    quality,
    spectra,
    speed,
    sweeps,
    tuning,
)
from lowrank_sr.study.report import figures, page, style, tables
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.page import Report
from lowrank_sr.study.settings import Study, check_methods, open_study
from lowrank_sr.study.technique import DIRECT, FITTED, Technique
from lowrank_sr.text import complain, progress, table


class Measurement(NamedTuple):
    """A step: the function that returns its dataclass, and what that depends on besides the study's identity.

    A step that takes no times may be measured `anywhere`.
    """

    measure: Callable[[], object]
    uses: tuple[str, ...] = ()
    anywhere: bool = False


def study(
    folder: Path,
    weights: Path | None = None,
    data: Path | None = None,
    quick: bool = False,
    full_size: bool = False,
    methods: list[str] | None = None,
    seed: int = 0,
    fresh: bool = False,
    photos: Path | None = None,
    pool: Pool | None = None,
) -> Report:
    """Run the study into `folder`: results.json, report.html, report.md, figures/, crops/ and networks/.

    Steps that an earlier run with the same settings, files, machine and code has left there are not computed again.
    With `fresh` they are, and that run's results.json is kept under another name. The steps that take no times are
    measured on the workers of `pool`, which need `folder` under the same path. Where a folder of high-resolution
    photographs is given, `photos`, networks are fine-tuned on them, too, and compared.

    Raises InputError where Matplotlib or Jinja2 is missing, for an unknown method, for weights, pictures, photographs
    or a folder that cannot be used, and for a folder that holds another study; KeyboardInterrupt, saying how to go on,
    when interrupted.
    """
    style.need("matplotlib", "jinja2")
    compared = check_methods(methods)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: {error.strerror}") from error
    work = open_study(folder, weights, data, quick, full_size, compared, seed, photos)
    path, settings, machine = folder / "results.json", work.settings.describe(), cpu.describe()
    if fresh and path.exists():
        complain(f"{path}: kept as {record.set_aside(path).name}")
    todo = steps(work)
    known = _known(work, path)
    inputs = {name: record.digest([work.identity, name, step.uses]) for name, step in todo.items()}
    done = {name: known[name] for name in todo if name in known and known[name].inputs == inputs[name]}
    done = _without_lost(work, todo, done)
    others = {name: step for name, step in known.items() if name not in todo}  # of methods that are not asked for now

    def write(claims: Sequence[object] = ()) -> None:
        ordered = {name: done[name] for name in todo if name in done}
        record.write(path, work.identity, settings, machine, ordered | others, claims)

    missing = [name for name in todo if name not in done]
    try:
        with progress(len(todo), "study", "step") as bar:
            bar.update(len(done))
            for name, found in measured(work, todo, missing, pool, bar.set_description):
                done[name] = record.Step(inputs[name], found)
                write()
                bar.update()
    except KeyboardInterrupt as interruption:  # which knows its signal
        kept = f"{len(done)} of {len(todo)} steps are in {path}: the same command goes on from there"
        interruption.args = (f"interrupted: {kept}",)
        raise
    results = record.assemble({name: done[name].found for name in todo})
    report = Report(work.settings, machine, results, judge(results))
    write(report.claims)
    figures.write(results, folder)
    page.write(report, folder)
    return report


def measured(
    study: Study,
    todo: Mapping[str, Measurement],
    names: Sequence[str],
    pool: Pool | None,
    describe: Callable[[str], object],
) -> Iterator[tuple[str, Any]]:
    """The steps `names` of `todo`, encoded, each as it is measured: those of the workers first."""
    there = [name for name in names if todo[name].anywhere] if pool is not None else []
    if pool is not None and there:
        shared = pool.share(replace(study, folder=study.folder.absolute()))  # workers have folders of their own
        describe(f"{len(there)} steps on workers")
        for name, found in pool.run(measure_step, ((name, (shared, name)) for name in there)):
            if isinstance(found, InputError):
                raise found
            yield name, found
    for name in names:
        if name not in there:
            describe(name)
            yield name, encode(todo[name].measure())


def measure_step(study: Study, name: str) -> Any:
    """The step `name` of a study, encoded, for a worker."""
    return encode(steps(study)[name].measure())


def _known(study: Study, path: Path) -> dict[str, record.Step]:
    """The steps in `path`, but for that of the details where one of their files is not as it was written."""
    known = record.read(path, study.identity)
    if "crop" in known:
        file = crops.changed(decode(crops.Crop, known["crop"].found), study.folder)
        if file is not None:
            complain(f"{study.folder / file}: is missing or has been changed: the details are made again")
            del known["crop"]
    return known


def _without_lost(
    study: Study, todo: Mapping[str, Measurement], done: dict[str, record.Step]
) -> dict[str, record.Step]:
    """`done` but for the steps of networks that must be trained again: no second training gives the same network."""
    for technique in study.finetuned:
        own = {name for name in todo if name.partition("/")[2] == technique.name}
        if not own <= done.keys() and not networks.is_kept(study, technique):
            done = {name: step for name, step in done.items() if name not in own}
    return done


def steps(study: Study) -> dict[str, Measurement]:
    """The steps of a study in order, by their names in results.json.

    `record.assemble` reads these names. What is fine-tuned comes first: it finds damaged photographs.
    """
    todo = _finetuned(study) | {
        "network": Measurement(partial(spectra.network, study.net)),
        "condition numbers": Measurement(partial(spectra.condition_numbers, study.net)),
        "quality/bicubic": Measurement(partial(quality.bicubic, study), anywhere=True),
    }
    for technique in study.techniques:
        todo[f"quality/{technique.name}"] = Measurement(partial(quality.of_technique, study, technique), anywhere=True)
    for technique in study.techniques:
        todo[f"time/{technique.name}"] = Measurement(partial(speed.of_technique, study, technique))
    for form in study.forms:
        if form in study.extent.ablated:
            for combination in ablation.combinations(study):
                name = "/".join(("ablation", form, *combination))
                todo[name] = Measurement(partial(ablation.ablated, study, form, *combination), anywhere=True)
    todo |= _sweeps(study)
    for technique in study.techniques:
        peaks = (str(memory.TIMES),)
        todo[f"memory/{technique.name}"] = Measurement(partial(memory.of_technique, study, technique), peaks)
    shown = tuple(technique.name for technique in crops.shown(study))
    todo["crop"] = Measurement(partial(crops.crop, study), shown)
    todo["sgemm"] = Measurement(partial(layers.sgemm, study))
    for name, area in layers.distinct(study.net).items():
        todo[f"layer/{name}"] = Measurement(partial(layers.layer_times, study, name, area), study.settings.methods)
    if study.settings.full_size:
        for technique in full_size.techniques(study):
            todo[f"full size/{technique.name}"] = Measurement(partial(full_size.of_technique, study, technique))
    for technique in study.techniques:
        if not (technique.factors == FITTED and technique.method == DIRECT):  # the sweep of speed-ups times those again
            todo[f"self-check/{technique.name}"] = Measurement(partial(speed.again, study, technique))
    return todo


def _finetuned(study: Study) -> dict[str, Measurement]:
    """The steps of what is fine-tuned; none of them `anywhere`, where it would be trained once more."""
    todo = {}
    if study.training_set is not None:
        uses = study.training_set.digest, f"{study.extent.minutes:g} minutes"
        found: dict[str, Callable[[Study, Technique], object]] = {
            "fine-tuning": tuning.of_technique,
            "quality": quality.of_technique,
            "time": speed.of_technique,
            "memory": memory.of_technique,
        }
        for technique in study.finetuned:
            for prefix, of_technique in found.items():
                peaks = (str(memory.TIMES),) if prefix == "memory" else ()
                todo[f"{prefix}/{technique.name}"] = Measurement(partial(of_technique, study, technique), uses + peaks)
        todo["stages"] = Measurement(partial(tuning.stage_times, study), (*uses, *study.forms))
    return todo


def _sweeps(study: Study) -> dict[str, Measurement]:
    """The steps that go through speed-ups and thresholds."""
    extent, todo = study.extent, {}
    for technique, value in sweeps.speedups(study):
        todo[f"speed-up/{technique.name}/{value:g}"] = Measurement(partial(sweeps.at_speedup, study, technique, value))
    if "svd" in study.forms:
        for name in ablation.layers_alone(study):
            todo[f"alone/{name}"] = Measurement(partial(ablation.alone, study, name), anywhere=True)
        for fraction in extent.marked:
            todo[f"threshold/{fraction:g}"] = Measurement(partial(sweeps.above_threshold, study, fraction))
        for kappa in extent.condition:
            todo[f"truncation/{kappa:g}"] = Measurement(partial(sweeps.at_condition, study, kappa))
        for fraction in extent.dropped:
            todo[f"limit/{fraction:g}"] = Measurement(partial(sweeps.above_limit, study, fraction))
    return todo


def summary(report: Report, folder: Path) -> str:
    """Table 1 and the verdicts as text, and where the report is."""
    first = tables.table1(report.results)
    verdicts = (f"{claim.claim}: {claim.measured.verdict}" for claim in report.claims)
    return "\n".join([table(first.header, first.rows), "", *verdicts, "", str(folder / "report.html")])
