"""A batch on a cluster's workers: each picture is a task."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.sent_file import SentFile, received, with_names
from lowrank_sr.commands.batch import Outcome, Task, blocked
from lowrank_sr.commands.batch_run import Executor, Progress, run_task
from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.network.rrdbnet import RRDBNet


def on_workers(pool: Pool) -> Executor:
    """What runs a batch on the workers of `pool`.

    They write the files where they find those of this machine; else each is sent back whole, and written here.
    """

    def execute(net: RRDBNet, tasks: Sequence[Task], progress: Progress) -> Iterator[Outcome]:
        sent = pool.send(net)
        calls = ((task, (sent, task, SentFile.of(task.source, pool.shared_files))) for task in tasks)
        run = _run_there if pool.shared_files else _run_and_return
        for task, result in pool.run(run, calls, name=lambda task: str(task.source)):
            progress(1)
            if isinstance(result, InputError):
                yield Outcome(task.source, task.target, task.frame, "failed", str(result))
            else:
                outcome, content = result
                yield outcome if content is None else _written(task, outcome, content)

    return execute


def _run_there(net: RRDBNet, task: Task, source: SentFile) -> tuple[Outcome, None]:
    there = replace(task, source=source.path, target=task.target.absolute())
    return replace(run_task(net, there), source=task.source, target=task.target), None


def _run_and_return(net: RRDBNet, task: Task, source: SentFile) -> tuple[Outcome, bytes | None]:
    """What became of the picture, and the content of the file that is to be written."""
    with received(source) as (path,), tempfile.TemporaryDirectory(prefix="lowrank-sr-") as folder:
        target = Path(folder) / task.target.name
        outcome = run_task(net, replace(task, source=path, target=target))
        content = target.read_bytes() if target.exists() else None
        message = with_names(outcome.message, {path: task.source, target: task.target})
    return replace(outcome, source=task.source, target=task.target, message=message), content


def _written(task: Task, outcome: Outcome, content: bytes) -> Outcome:
    """The outcome after `content` is written, making the folder."""
    existing = blocked(task)  # another process may have written it since the plan was made
    if existing is not None:
        return existing
    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(task.target) as temporary:
            temporary.write_bytes(content)
    except (OSError, InputError) as error:
        return replace(outcome, status="failed", message=str(error))
    return outcome
