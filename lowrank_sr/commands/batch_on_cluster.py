"""A batch on a cluster's workers: pictures are tasks, and so are the tiles of large ones."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.sent_file import SentFile, received, with_names
from lowrank_sr.cluster.tiles import tiles_on
from lowrank_sr.commands.batch import Outcome, Progress, Task, blocked
from lowrank_sr.commands.batch_run import Executor, run_task
from lowrank_sr.commands.upscale_file import PROCESS_BYTES
from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.enlarge import MEMORY
from lowrank_sr.network.footprint import call_bytes
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.reading import PictureFile

WORKER_SHARE = 0.7  # of a worker's memory; from 80% on Dask gives it no more tasks
LARGE = 0.5  # of the memory for a picture: what needs more is computed tile by tile


def on_workers(pool: Pool) -> Executor:
    """What runs a batch on the workers of `pool`.

    They write the files where they find those of this machine; else each is sent back whole, and written here. Large
    pictures come last: this machine reads and writes their rows, and the workers compute the tiles.
    """
    return partial(_execute, pool)


def _execute(pool: Pool, net: RRDBNet, tasks: Sequence[Task], progress: Progress) -> Iterator[Outcome]:
    sent = pool.send(net)
    limit = pool.memory_limit()
    large: list[Task] = []
    existing: list[Outcome] = []

    def calls() -> Iterator[tuple[Task, tuple[Any, ...]]]:
        for task in (_within(limit, task) for task in tasks):
            outcome = blocked(task)  # another process may have written it since the plan was made
            if outcome is not None:
                existing.append(outcome)
            elif _is_large(net, task):
                large.append(task)
            else:
                yield task, (sent, task, SentFile.of(task.source, pool.shared_files))

    run = _run_there if pool.shared_files else _run_and_return
    for task, result in pool.run(run, calls(), name=lambda task: str(task.source)):
        progress(1)
        if isinstance(result, InputError):
            yield Outcome(task.source, task.target, task.frame, "failed", str(result))
        else:
            outcome, content = result
            yield outcome if content is None else _written(task, outcome, content)
    for outcome in existing:
        progress(1)
        yield outcome
    for task in large:
        yield run_task(net, task, progress, tiles_on(pool, sent))


def _within(limit: int | None, task: Task) -> Task:
    """The task in no more memory than a worker may take of its `limit`."""
    memory = task.options.memory
    allowed = None if limit is None else int(WORKER_SHARE * limit)
    if allowed is None or (allowed >= PROCESS_BYTES + MEMORY if memory is None else allowed >= memory):
        return task
    return replace(task, options=replace(task.options, memory=allowed))


def _is_large(net: RRDBNet, task: Task) -> bool:
    """Whether a picture may need several tiles, or most of a worker's memory."""
    try:
        picture = PictureFile(task.source, task.frame)
    except InputError:  # which the worker will find too
        return False
    needed = call_bytes(net, picture.height, picture.width, thread_count())
    return needed > LARGE * (MEMORY if task.options.memory is None else task.options.memory)


def _run_there(net: RRDBNet, task: Task, source: SentFile) -> tuple[Outcome, None]:
    # A worker that has died may have written the file; its successor, called again, replaces it by the same bytes.
    options = replace(task.options, existing="overwrite")
    there = replace(task, source=source.path, target=task.target.absolute(), options=options)
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
