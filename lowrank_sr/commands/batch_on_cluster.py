"""A batch on a cluster's workers: each picture is a task there, and so is each tile of a large one."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.sent_file import SentFile, received, with_names
from lowrank_sr.cluster.tiles import tiles_on
from lowrank_sr.commands.batch import Executor, Job, Outcome, blocked
from lowrank_sr.commands.upscale_file import PROCESS_BYTES, run_job
from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.enlarge import Progress
from lowrank_sr.network.footprint import call_bytes
from lowrank_sr.network.plan import MEMORY
from lowrank_sr.network.rrdbnet import RRDBNet

WORKER_SHARE = 0.7  # of a worker's memory; from 80% on Dask gives it no more tasks
LARGE = 0.5  # of the memory for a picture: what needs more is computed tile by tile


def on_workers(pool: Pool) -> Executor:
    """What runs a batch on the workers of `pool`.

    They write the files where they find those of this machine; else each is sent back whole, and written here. Large
    pictures come last: this machine reads and writes their rows, and the workers compute the tiles.
    """
    return partial(_execute, pool)


def _execute(pool: Pool, net: RRDBNet, jobs: Sequence[Job], progress: Progress) -> Iterator[Outcome]:
    sent = pool.send(net)
    limit = pool.memory_limit()
    large: list[Job] = []
    existing: list[Outcome] = []

    def calls() -> Iterator[tuple[Job, tuple[Any, ...]]]:
        for job in (_within(limit, job) for job in jobs):
            outcome = blocked(job)  # another process may have written it since the plan was made
            if outcome is not None:
                existing.append(outcome)
            elif _is_large(net, job):
                large.append(job)
            else:
                yield job, (sent, job, SentFile.of(job.source, pool.shared_files))

    run = _run_there if pool.shared_files else _run_and_return
    for job, result in pool.run(run, calls(), name=lambda job: str(job.source)):
        progress(1)
        if isinstance(result, InputError):
            yield Outcome(job.source, job.target, job.frame, "failed", str(result))
        else:
            outcome, content = result
            yield outcome if content is None else _written(job, outcome, content)
    for outcome in existing:
        progress(1)
        yield outcome
    for job in large:
        yield run_job(net, job, progress, tiles_on(pool, sent))


def _within(limit: int | None, job: Job) -> Job:
    """The job in no more memory than a worker may take of its `limit`."""
    memory = job.options.memory
    allowed = None if limit is None else int(WORKER_SHARE * limit)
    if allowed is None or (allowed >= PROCESS_BYTES + MEMORY if memory is None else allowed >= memory):
        return job
    return replace(job, options=replace(job.options, memory=allowed))


def _is_large(net: RRDBNet, job: Job) -> bool:
    """Whether a picture may need several tiles, or most of a worker's memory."""
    needed = call_bytes(net, job.height, job.width, thread_count())
    return needed > LARGE * (MEMORY if job.options.memory is None else job.options.memory)


def _run_there(net: RRDBNet, job: Job, source: SentFile) -> tuple[Outcome, None]:
    # A worker that has died may have written the file; its successor, called again, replaces it by the same bytes.
    options = replace(job.options, existing="overwrite")
    there = replace(job, source=source.path, target=job.target.absolute(), options=options)
    return replace(run_job(net, there), source=job.source, target=job.target), None


def _run_and_return(net: RRDBNet, job: Job, source: SentFile) -> tuple[Outcome, bytes | None]:
    """What became of the picture, and the content of the file that is to be written."""
    with received(source) as (path,), tempfile.TemporaryDirectory(prefix="lowrank-sr-") as folder:
        target = Path(folder) / job.target.name
        outcome = run_job(net, replace(job, source=path, target=target))
        content = target.read_bytes() if target.exists() else None
        message = with_names(outcome.message, {path: job.source, target: job.target})
    return replace(outcome, source=job.source, target=job.target, message=message), content


def _written(job: Job, outcome: Outcome, content: bytes) -> Outcome:
    """The outcome after `content` is written, making the folder."""
    existing = blocked(job)  # another process may have written it since the plan was made
    if existing is not None:
        return existing
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(job.target) as temporary:
            temporary.write_bytes(content)
    except (OSError, InputError) as error:
        return replace(outcome, status="failed", message=str(error))
    return outcome
