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
from lowrank_sr.study.report.page import Chapter, Report
from lowrank_sr.study.settings import Study
from lowrank_sr.text import complain, progress


class Measurement(NamedTuple):
    """A step: what returns its dataclass, what that uses besides the study's identity, whether it takes no times."""

    measure: Callable[[], object]
    uses: tuple[str, ...] = ()
    anywhere: bool = False  # where it takes none, it may be measured on any worker


Todo = Mapping[str, Measurement]  # by the name of the step


def study(parts: Sequence[Study], folder: Path, fresh: bool = False, pool: Pool | None = None) -> Report:
    """Run a study into `folder`: results.json, report.html, report.md, figures/, and a folder for each network's part.

    Steps that an earlier run with the same settings, files, machine and code has left there are not computed again.
    With `fresh` they are, and that run's results.json is kept under another name. The steps that take no times are
    measured on the workers of `pool`, which need the folder under the same path.

    Raises InputError for a folder that holds another study or cannot be written to; KeyboardInterrupt, saying how to go
    on, when interrupted.
    """
    path, machine = folder / "results.json", cpu.describe()
    if fresh and path.exists():
        complain(f"{path}: kept as {record.set_aside(path).name}")
    every = {part.settings.weights: (part, steps(part)) for part in parts}
    known = record.read(path, {name: part.identity for name, (part, _) in every.items()})
    done = {
        name: _usable(part, todo, known[name].steps) if name in known else {} for name, (part, todo) in every.items()
    }

    def write(claims: Mapping[str, Sequence[object]]) -> None:
        """Networks and methods that are not asked for now keep what is known of them."""
        written = dict(known)
        for name, (part, todo) in every.items():
            ordered = {step: done[name][step] for step in todo if step in done[name]}
            others = {step: of for step, of in known[name].steps.items() if step not in todo} if name in known else {}
            settings = part.settings.describe()
            written[name] = record.Part(part.identity, settings, ordered | others, claims.get(name, ()))
        record.write(path, machine, written)

    total = sum(len(todo) for _, todo in every.values())
    try:
        with progress(total, "study", "step") as bar:
            bar.update(sum(map(len, done.values())))
            for name, (part, todo) in every.items():
                missing = [step for step in todo if step not in done[name]]
                describe = partial(_describe, bar, name)
                for step, found in measured(part, todo, missing, pool, describe):
                    done[name][step] = record.Step(_inputs(part, step, todo), found)
                    write({})
                    bar.update()
    except KeyboardInterrupt as interruption:  # which knows its signal
        kept = f"{sum(map(len, done.values()))} of {total} steps are in {path}: the same command goes on from there"
        interruption.args = (f"interrupted: {kept}",)
        raise
    chapters = []
    for name, (part, todo) in every.items():
        results = record.assemble({step: done[name][step].found for step in todo})
        chapters.append(Chapter(part.settings, results, judge(results)))
    report = Report(machine, chapters)
    write({chapter.settings.weights: chapter.claims for chapter in chapters})
    for chapter in chapters:
        own = folder / chapter.slug
        figures.write(figures.figures_of(chapter.results, own), own)
    figures.write(figures.of_all({chapter.settings.weights: chapter.results for chapter in chapters}), folder)
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


def _describe(bar: Any, network: str, step: str) -> None:
    bar.set_description(f"{network}: {step}")


def _inputs(study: Study, step: str, todo: Todo) -> str:
    """The digest of what a step is measured from."""
    return record.digest([study.identity, step, todo[step].uses])


def _usable(study: Study, todo: Todo, known: dict[str, record.Step]) -> dict[str, record.Step]:
    """What of the `known` steps need not be measured again: their inputs are the same, and their files as written."""
    same = {step: known[step] for step in todo if step in known and known[step].inputs == _inputs(study, step, todo)}
    file = crops.changed(decode(crops.Crop, same["crop"].found), study.folder) if "crop" in same else None
    if file is not None:
        complain(f"{study.folder / file}: is missing or has been changed: the details are made again")
        del same["crop"]
    return _without_lost(study, todo, same)


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
    for sigma in extent.blurs:
        add(f"blur/{sigma:g}", quality.of_blur, study, sigma, anywhere=True)
    for each in study.techniques:
        add(f"quality/{each.name}", quality.of_technique, study, each, anywhere=True)
    for each in study.techniques:
        add(f"time/{each.name}", speed.of_technique, study, each)
    for form in (form for form in study.forms if form in extent.ablated):
        for combination in extent.combinations:
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
    again = {technique for technique, speedup in sweeps.speedups(study) if speedup == networks.TABLE1_SPEEDUP}
    for each in study.techniques:
        if each not in again:  # which the sweep of speed-ups times
            add(f"self-check/{each.name}", speed.again, study, each)
    return todo
