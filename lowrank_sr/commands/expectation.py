"""How long a batch will take, told early to those for whom a faster network would do."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from lowrank_sr.commands.batch import Job
from lowrank_sr.network.enlarge import Progress

SECONDS_WATCHED = 3
LONG_SECONDS = 60


def watched(progress: Progress, jobs: Sequence[Job], tell: Callable[[float], object]) -> Progress:
    """`progress`, which calls `tell` once with the seconds that the batch will take, where that is more than a minute.

    The pixels done in the SECONDS_WATCHED seconds after the first step say how long the others take. Everything has to
    be compiled before.
    """
    start: tuple[float, float] | None = None  # seconds, and pictures done by then
    done, told = 0.0, False

    def report(share: float) -> None:
        nonlocal start, done, told
        progress(share)
        done += share
        now = time.perf_counter()
        if start is None:
            start = now, done
        elif not told and now - start[0] >= SECONDS_WATCHED and done > start[1]:
            told = True
            seconds = (now - start[0]) * _pixels(jobs, len(jobs)) / _pixels(jobs, done, start[1])
            if seconds > LONG_SECONDS:
                tell(seconds)

    return report


def _pixels(jobs: Sequence[Job], done: float, before: float = 0) -> float:
    """The pixels of the first `done` pictures without those of the first `before`."""
    pixels = np.array([job.height * job.width for job in jobs], float)
    first = np.arange(len(jobs))
    return float(pixels @ (np.clip(done - first, 0, 1) - np.clip(before - first, 0, 1)))
