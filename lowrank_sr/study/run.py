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
)
from lowrank_sr.study.report import figures, page
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.page import Report
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import DIRECT, FITTED
from lowrank_sr.text import complain, progress


class Measurement(NamedTuple):
    """A step: what returns its dataclass, what that uses besides the study's identity, whether it takes no times."""

    measure: Callable[[], object]
    uses: tuple[str, ...] = ()
    anywhere: bool = False  # where it takes none, it may be measured on any worker


Todo = Mapping[str, Measurement]  # by the name of the step


def study(work: Study, fresh: bool = False, pool: Pool | None = None) -> Report:
    """Run a study into its folder: results.json, report.html, report.md, figures/, crops/ and networks/.

    Steps that an earlier run with the same settings, files, machine and code has left there are not computed again.
    With `fresh` they are, and that run's results.json is kept under another name. The steps that take no times are
    measured on the workers of `pool`, which need the folder under the same path.

    Raises InputError for a folder that holds another study or cannot be written to; KeyboardInterrupt, saying how to go
    on, when interrupted.
    """
    folder = work.folder
    path, settings, machine = folder / "results.json", work.settings.describe(), cpu.describe()
    if fresh and path.exists():
        complain(f"{path}: kept as {record.set_aside(path).name}")
    todo, known = steps(work), _known(work, path)
    inputs = {name: record.digest([work.identity, name, step.uses]) for name, step in todo.items()}
    same = {name: known[name] for name in todo if name in known and known[name].inputs == inputs[name]}
    done = _without_lost(work, todo, same)
    others = {name: step for name, step in known.items() if name not in todo}  # of methods that are not asked for now

    def write(claims: Sequence[object] = ()) -> None:
        ordered = {name: done[name] for name in todo if name in done} | others
        record.write(path, work.identity, settings, machine, ordered, claims)

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
    study: Study, todo: Todo, names: Sequence[str], pool: Pool | None, describe: Callable[[str], object]
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
    file = crops.changed(decode(crops.Crop, known["crop"].found), study.folder) if "crop" in known else None
    if file is not None:
        complain(f"{study.folder / file}: is missing or has been changed: the details are made again")
        del known["crop"]
    return known


def _without_lost(study: Study, todo: Todo, done: dict[str, record.Step]) -> dict[str, record.Step]:
    """`done` but for the steps of networks that must be trained again: no second training gives the same network."""
    for technique in study.finetuned:
        own = {name for name in todo if name.partition("/")[2] == technique.name}
        if not own <= done.keys() and not networks.is_kept(study, technique):
            done = {name: step for name, step in done.items() if name not in own}
    return done


def steps(study: Study) -> dict[str, Measurement]:
    """The steps of a study in order, by their names in results.json, which `record.assemble` reads.

    What is fine-tuned comes first: it finds damaged photographs. None of that may be measured `anywhere`, where it
    would be trained once more.
    """
    todo: dict[str, Measurement] = {}

    def add(
        name: str, measure: Callable[..., object], *of: Any, uses: Sequence[str] = (), anywhere: bool = False
    ) -> None:
        todo[name] = Measurement(partial(measure, *of), tuple(uses), anywhere)

    extent, peaks = study.extent, [str(memory.TIMES)]
    if study.training_set is not None:
        photographs = [study.training_set.digest, f"{extent.minutes:g} minutes"]
        for each in study.finetuned:
            add(f"fine-tuning/{each.name}", networks.training, study, each, uses=photographs)
            add(f"quality/{each.name}", quality.of_technique, study, each, uses=photographs)
            add(f"time/{each.name}", speed.of_technique, study, each, uses=photographs)
            add(f"memory/{each.name}", memory.of_technique, study, each, uses=photographs + peaks)
        add("stages", speed.stage_times, study, uses=[*photographs, *study.forms])
    add("network", spectra.describe, study.net)
    add("condition numbers", spectra.condition_numbers, study.net)
    add("quality/bicubic", quality.bicubic, study, anywhere=True)
    for each in study.techniques:
        add(f"quality/{each.name}", quality.of_technique, study, each, anywhere=True)
    for each in study.techniques:
        add(f"time/{each.name}", speed.of_technique, study, each)
    for form in (form for form in study.forms if form in extent.ablated):
        for combination in ablation.combinations(study):
            add("/".join(("ablation", form, *combination)), ablation.ablated, study, form, *combination, anywhere=True)
    for each, value in sweeps.speedups(study):
        add(f"speed-up/{each.name}/{value:g}", sweeps.at_speedup, study, each, value)
    if "svd" in study.forms:
        for name in ablation.layers_alone(study):
            add(f"alone/{name}", ablation.alone, study, name, anywhere=True)
        for fraction in extent.marked:
            add(f"threshold/{fraction:g}", sweeps.above_threshold, study, fraction)
        for kappa in extent.condition:
            add(f"truncation/{kappa:g}", sweeps.at_condition, study, kappa)
        for fraction in extent.dropped:
            add(f"limit/{fraction:g}", sweeps.above_limit, study, fraction)
    for each in study.techniques:
        add(f"memory/{each.name}", memory.of_technique, study, each, uses=peaks)
    add("crop", crops.crop, study, uses=[each.name for each in crops.shown(study)])
    add("sgemm", layers.sgemm, study)
    for name, area in layers.distinct(study.net).items():
        add(f"layer/{name}", layers.layer_times, study, name, area, uses=[*study.settings.methods, "in their block"])
    for each in full_size.techniques(study) if study.settings.full_size else ():
        add(f"full size/{each.name}", full_size.of_technique, study, each)
    for each in study.techniques:
        if not (each.factors == FITTED and each.method == DIRECT):  # the sweep of speed-ups times those again
            add(f"self-check/{each.name}", speed.again, study, each)
    return todo
