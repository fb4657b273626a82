"""How long a batch will take, told early to those for whom a faster network would do."""

import time
from collections.abc import Callable, Sequence

from lowrank_sr.commands.batch import Task
from lowrank_sr.errors import InputError
from lowrank_sr.pictures.reading import PictureFile

Progress = Callable[[float], object]

SECONDS_WATCHED = 3  # from the first step on, when everything is compiled and chosen
LONG_SECONDS = 60


def watched(progress: Progress, tasks: Sequence[Task], tell: Callable[[float], object]) -> Progress:
    """`progress`, which calls `tell` once with the seconds that the batch will take, where that is more than a minute.

    The pixels done in the first SECONDS_WATCHED seconds say how long the others take.
    """
    start: float | None = None
    done, told = 0.0, False  # done: pictures

    def report(share: float) -> None:
        nonlocal start, done, told
        progress(share)
        now = time.perf_counter()
        if start is None:
            start = now
            return
        done += share
        if not told and now - start >= SECONDS_WATCHED:
            told = True
            seconds = (now - start) / _share_of_pixels(tasks, done)
            if seconds > LONG_SECONDS:
                tell(seconds)

    return report


def _share_of_pixels(tasks: Sequence[Task], done: float) -> float:
    """What part of all pixels is done when `done` pictures are, the first ones."""
    pixels = [_pixels(task) for task in tasks]
    whole = int(done)
    finished = sum(pixels[:whole]) + (done - whole) * sum(pixels[whole : whole + 1])
    return finished / sum(pixels)


def _pixels(task: Task) -> int:
    try:
        picture = PictureFile(task.source, task.frame)
    except InputError:  # which is said when its turn comes
        return 1
    return picture.height * picture.width
