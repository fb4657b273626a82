"""A planned batch is run: here, picture after picture, or by another executor."""

import time
from collections.abc import Callable, Iterable, Sequence

from lowrank_sr.commands.batch import Outcome, Plan, Progress, Task, blocked
from lowrank_sr.commands.expectation import watched
from lowrank_sr.commands.upscale_file import upscale_file
from lowrank_sr.errors import InputError
from lowrank_sr.network.enlarge import Compute
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import complain, progress, say

Executor = Callable[[RRDBNet, Sequence[Task], Progress], Iterable[Outcome]]
"""execute(net, tasks, progress): the outcome of each task as it is there, in any order."""


def run_here(net: RRDBNet, tasks: Sequence[Task], progress: Progress) -> Iterable[Outcome]:
    """Run the tasks in this process, in their order."""
    return (run_task(net, task, progress) for task in tasks)


def run_task(net: RRDBNet, task: Task, progress: Progress | None = None, compute: Compute | None = None) -> Outcome:
    """Enlarge one picture; what is wrong with it becomes its outcome. `progress` is called for 1 in all.

    `compute` computes the tiles, where that is not this process.
    """
    start, done = time.perf_counter(), 0.0

    def report(share: float) -> None:
        nonlocal done
        done += share
        if progress is not None:
            progress(share)

    outcome = blocked(task)  # another process may have written it since the plan was made
    try:
        if outcome is None:
            options = task.options
            upscale_file(
                net,
                task.source,
                task.target,
                report,
                options.memory,
                options.overlap,
                compute,
                frame=task.frame,
                outscale=options.outscale,
            )
            seconds = time.perf_counter() - start
            outcome = Outcome(task.source, task.target, task.frame, "enlarged", seconds=seconds)
    except InputError as error:
        outcome = Outcome(task.source, task.target, task.frame, "failed", str(error))
    report(1 - done)
    return outcome


def run_batch(
    net: RRDBNet,
    plan: Plan,
    outcomes: list[Outcome],
    quiet: bool = False,
    shown: Callable[[str], str] = str,
    execute: Executor = run_here,
    faster: str | None = None,
) -> None:
    """Carry a plan out, saying what is written and what fails; append to `outcomes` what became of each picture.

    With `quiet` only failures are said. Sentences and names pass through `shown`, which gives "" for what is not said.
    Where the batch takes more than a minute, `faster`, the name of a faster network, is recommended.
    """
    outcomes += plan.decided
    for sentence in [] if quiet else plan.notices:
        complain(shown(sentence))
    for outcome in outcomes:
        _tell(outcome, quiet, shown)
    description = plan.tasks[0].source.name if len(plan.tasks) == 1 else "upscale"
    with progress(len(plan.tasks), description, "picture", hidden=quiet) as bar:

        def recommend(seconds: float) -> None:
            with bar.external_write_mode():
                complain(f"about {_minutes(seconds)}; --weights {faster} would take a quarter of that, and is smoother")

        advance = bar.update if quiet or faster is None else watched(bar.update, plan.tasks, recommend)
        for outcome in execute(net, plan.tasks, advance):
            outcomes.append(outcome)
            with bar.external_write_mode():
                _tell(outcome, quiet, shown)
    if len(outcomes) > 1 and not quiet:
        _summarise(outcomes)


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else "a minute"


def _tell(outcome: Outcome, quiet: bool, shown: Callable[[str], str]) -> None:
    if outcome.status == "failed":
        complain(shown(outcome.message))
    elif outcome.status == "enlarged" and not quiet:
        name = shown(str(outcome.target))
        if name:
            say(name)


def _summarise(outcomes: list[Outcome]) -> None:
    """Say how many pictures failed or were skipped, where any was."""
    count = {status: sum(outcome.status == status for outcome in outcomes) for status in ("skipped", "failed")}
    if any(count.values()):
        enlarged = len(outcomes) - sum(count.values())
        others = [f"{number} {status}" for status, number in count.items() if number]
        complain(f"{enlarged} of {len(outcomes)} pictures enlarged, {', '.join(others)}")
