"""A batch of pictures as plain data: what is to be done, and what became of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[float], object]
"""progress(share): called after each step with the share of a picture that was done in it."""


@dataclass(frozen=True)
class FileOptions:
    """How every picture of a batch is enlarged.

    `existing` says what happens to a file that is there already: "skip" leaves it, "overwrite" replaces it, "fail" is
    an error of this one picture. `outscale` is output size over input size, None for the network's own; `memory` and
    `overlap` are those of `upscale_file`.
    """

    existing: str
    outscale: float | None = None
    memory: int | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Task:
    """Enlarge one frame or page (from 0) of the file `source` into the file `target`."""

    source: Path
    target: Path
    frame: int
    options: FileOptions


@dataclass(frozen=True)
class Outcome:
    """What became of a picture: `status` is "enlarged", "skipped" or "failed", and `message` says why."""

    source: Path
    target: Path
    frame: int
    status: str
    message: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a batch will do, in order, what is decided already, and sentences that its user should read first."""

    tasks: list[Task]
    decided: list[Outcome]
    notices: list[str]


def blocked(task: Task) -> Outcome | None:
    """The outcome of a task whose target exists and is not to be overwritten, else None."""
    if task.options.existing == "overwrite" or not os.path.isfile(task.target):
        return None
    if task.options.existing == "skip":
        return Outcome(task.source, task.target, task.frame, "skipped", f"{task.target}: exists")
    sentence = f"{task.target}: exists; --existing skip leaves such files, --existing overwrite replaces them"
    return Outcome(task.source, task.target, task.frame, "failed", sentence)
