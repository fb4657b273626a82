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
from lowrank_sr.study.origin import origin
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
    path = folder / "results.json"
    if fresh and path.exists():
        complain(f"{path}: kept as {record.set_aside(path).name}")
    known = record.read(path, {part.settings.weights: part.identity for part in parts})
    every = [_Running(part, steps(part), known.get(part.settings.weights)) for part in parts]
    total, chapters = sum(len(each.todo) for each in every), []
    try:
        with progress(total, "study", "step") as bar:
            bar.update(sum(len(each.done) for each in every))
            for each in every:
                for _ in each.measure(pool, bar.set_description):
                    record.write(path, known | {each.name: each.known()})
                    bar.update()
                chapters.append(each.chapter())
                known |= {each.name: each.known(chapters[-1].claims)}
                record.write(path, known)
    except KeyboardInterrupt as interruption:  # which knows its signal
        kept = f"{sum(len(each.done) for each in every)} of {total} steps are in {path}"
        interruption.args = (f"interrupted: {kept}: the same command goes on from there",)
        raise
    report = Report(cpu.describe(), chapters)
    _write(report, folder)
    return report


def _write(report: Report, folder: Path) -> None:
    """Draw the figures and write the pages."""
    for chapter in report.chapters:
        own = folder / chapter.slug
        figures.write(figures.figures_of(chapter.results, own), own)
    networks = {chapter.settings.weights: chapter.results for chapter in report.chapters}
    figures.write(figures.of_all(networks), folder)
    page.write(report, folder)


class _Running:
    """A part of a study while it is measured: what is to do, what is done, and what was known before."""

    def __init__(self, study: Study, todo: Todo, before: record.Part | None) -> None:
        self.study, self.todo, self.name, self.before = study, todo, study.settings.weights, before
        self.done = _usable(study, todo, before.steps) if before else {}
        self.origin = before.origin if before else origin()

    def measure(self, pool: Pool | None, describe: Callable[[str], object]) -> Iterator[None]:
        """Measure what is missing, a step at a time."""
        missing = [step for step in self.todo if step not in self.done]
        for step, found in measured(
            self.study, self.todo, missing, pool, lambda text: describe(f"{self.name}: {text}")
        ):
            self.done[step] = record.Step(_inputs(self.study, step, self.todo), found)
            self.origin = origin()
            yield

    def known(self, claims: Sequence[object] = ()) -> record.Part:
        """What results.json is to hold: what is done, in order, and methods that are not asked for now."""
        ordered = {step: self.done[step] for step in self.todo if step in self.done}
        others = {step: of for step, of in self.before.steps.items() if step not in self.todo} if self.before else {}
        settings = self.study.settings.describe()
        return record.Part(self.study.identity, settings, self.origin, ordered | others, claims)

    def chapter(self) -> Chapter:
        """What the report says of the network."""
        results = record.assemble({step: self.done[step].found for step in self.todo})
        return Chapter(self.study.settings, results, judge(results))


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
        for name in ablation.layers_alone(study) if extent.alone else ():
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
    for name, area in layers.distinct(study.net).items() if extent.layers else ():
        add(f"layer/{name}", layers.layer_times, study, name, area, uses=[*study.settings.methods, "in their block"])
    swept = {technique for technique, speedup in sweeps.speedups(study) if speedup == networks.TABLE1_SPEEDUP}
    for each in study.techniques if extent.again else ():
        if each not in swept:  # which that times again anyway
            add(f"self-check/{each.name}", speed.again, study, each)
    return todo
