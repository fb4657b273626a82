"""A batch of pictures: everything that can be known is found out before the first of them is enlarged."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lowrank_sr.commands.made import Made, Stamp, stamp
from lowrank_sr.commands.naming import Naming
from lowrank_sr.commands.sources import Source, find_sources, identity
from lowrank_sr.errors import InputError
from lowrank_sr.files import check_writable
from lowrank_sr.network.enlarge import Progress
from lowrank_sr.network.manner import PLAIN, Manner
from lowrank_sr.network.overlap import digest
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.reading import PictureFile, frames_in


@dataclass(frozen=True)
class FileOptions:
    """How every picture of a batch is enlarged.

    `existing` says what happens to a file that is there already: "keep" leaves it, "skip" too, unless it is out of
    date, "overwrite" replaces it, "fail" is an error of this one picture. `outscale` is output size over input size,
    None for the network's own; `memory`, `overlap`, `manner`, `strip` and `quality` are those of `upscale_file`.
    """

    existing: str
    outscale: float | None = None
    memory: int | None = None
    overlap: int | None = None
    manner: Manner = PLAIN
    strip: bool = False
    quality: int | None = None


def settings_digest(net: RRDBNet, options: FileOptions) -> str:
    """Of all that a result depends on, besides its picture and the last bits of a method: 16 hexadecimal digits."""
    return hashlib.sha256(repr([digest(net), replace(options, existing="", memory=None)]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Job:
    """Enlarge one frame or page (from 0) of the file `source`, of `height` x `width` pixels, into the file `target`."""

    source: Path
    target: Path
    frame: int
    height: int
    width: int
    options: FileOptions
    stamp: Stamp | None = None  # of the source as it was planned


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

    jobs: list[Job]
    decided: list[Outcome]
    notices: list[str]


Executor = Callable[[RRDBNet, Sequence[Job], Progress], Iterable[Outcome]]
"""execute(net, jobs, progress): the outcome of each job as it is there, in any order."""


def blocked(job: Job) -> Outcome | None:
    """The outcome of a job whose target exists and is not to be overwritten, else None."""
    return _blocked(job.source, job.target, job.frame, job.options.existing)


def _blocked(source: Path, target: Path, frame: int, existing: str) -> Outcome | None:
    if existing == "overwrite" or not os.path.isfile(target):
        return None
    if existing in ("skip", "keep"):
        return Outcome(source, target, frame, "skipped", f"{target}: exists")
    sentence = f"{target}: exists; --existing keep leaves such files, --existing overwrite replaces them"
    return Outcome(source, target, frame, "failed", sentence)


def plan_batch(
    inputs: Iterable[str | os.PathLike[str]],
    names: Naming,
    options: FileOptions,
    every_frame: bool = False,
    check_format: Callable[[PictureFile, Path], object] | None = None,
    made: Made | None = None,
) -> Plan:
    """Pair every picture in `inputs`, files and folders, with the file that it becomes.

    `check_format` raises InputError for a picture that the format of its file cannot keep. `made` tells what is out of
    date; without it nothing is.

    A picture that cannot be read or has no place to go affects only itself. In folders, what an earlier run has written
    beside the pictures is not enlarged again. Of a file with several frames or pages the first is taken, or with
    `every_frame` each, numbered from 1. Unless the file exists already the header is read, and again when the picture's
    turn comes: its profile and metadata are not held meanwhile, which for thousands of pictures would be much.

    Raises InputError as `find_sources` does, and for one file that several pictures would become.
    """
    sources, notices = find_sources(inputs, names.folder)
    if names.file is not None and len(sources) != 1:
        raise InputError(f"{names.file}: one file for {len(sources)} pictures: expected a folder")
    if names.file is None:
        results = {names.target(source) for source in sources if not names.made(source.path)}
        sources = [source for source in sources if source.folder is None or source.path not in results]
    checks = _Checks(sources)
    jobs: list[Job] = []
    decided: list[Outcome] = []
    said: set[str] = set()
    for source in sources:
        for frame, target in _targets(source.path, names.target(source), every_frame):
            of_picture = options
            if options.existing == "skip" and made and not made.is_current(source.path, target):
                of_picture = replace(options, existing="overwrite")
            outcome = _blocked(source.path, target, frame or 0, of_picture.existing)
            if outcome is not None:  # then the picture need not be opened
                decided.append(checks.of(source.path, target, frame or 0) or outcome)
                continue
            try:
                picture = PictureFile(source.path, frame)
                outcome = checks.of(source.path, target, picture.frame)
                if outcome is None and check_format is not None:
                    check_format(picture, target)
            except InputError as error:
                outcome = Outcome(source.path, target, frame or 0, "failed", str(error))
            if outcome is not None:
                decided.append(outcome)
                continue
            jobs.append(
                Job(source.path, target, picture.frame, picture.height, picture.width, of_picture, stamp(source.path))
            )
            if picture.notice is not None and picture.notice not in said:  # once in a batch
                said.add(picture.notice)
                notices.append(f"{source.path}: {picture.notice}")
            if picture.frames is not None and picture.frames > 1:
                notices.append(f"{source.path}: the first of {picture.frames} frames; --frames enlarges all")
    return Plan(jobs, decided, notices)


def _targets(source: Path, target: Path, every_frame: bool) -> Iterator[tuple[int | None, Path]]:
    """The frames to enlarge, None for the first, whichever that is, and the file that each becomes."""
    try:
        frames = frames_in(source) if every_frame else []
    except InputError:  # which opening it will say again
        frames = []
    if len(frames) < 2:
        yield None, target
        return
    digits = len(str(len(frames)))
    for number, frame in enumerate(frames, 1):
        yield frame, target.with_name(f"{target.stem}_{number:0{digits}d}{target.suffix}")


class _Checks:
    """What the targets of a batch must not be: a picture still to be read, a target already, or out of reach."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = {identity(source.path): source.path for source in sources}
        self.targets: dict[tuple[int, int] | Path, Path] = {}
        self.folders: dict[Path, str | None] = {}

    def of(self, source: Path, target: Path, frame: int) -> Outcome | None:
        """The outcome of a picture whose target will not do, else None."""
        try:
            self._check(source, target)
        except InputError as error:
            return Outcome(source, target, frame, "failed", str(error))
        except OSError as error:  # this one alone, whatever the system has against its names
            sentence = f"{source}: cannot become {target}: {error.strerror or error}"
            return Outcome(source, target, frame, "failed", sentence)
        return None

    def _check(self, source: Path, target: Path) -> None:
        """Raise InputError, naming the picture, where its target will not do."""
        place = identity(target)
        if place == identity(source):
            raise InputError(f"{source}: would be overwritten by its own enlargement: expected another output")
        if place in self.sources:
            raise InputError(
                f"{source}: its enlargement would overwrite {self.sources[place]}: expected another output"
            )
        other = self.targets.setdefault(place, source)
        if other != source:
            raise InputError(f"{source}: would become {target}, as {other} does: expected pictures of different names")
        if target.parent not in self.folders:
            self.folders[target.parent] = _unreachable(target.parent)
        reason = self.folders[target.parent]
        if reason is not None:
            raise InputError(f"{target}: cannot be written: {reason}")
        try:
            target.lstat()
        except FileNotFoundError:
            return
        except OSError as error:  # such as a name that is too long
            raise InputError(f"{target}: cannot be written: {error.strerror}") from error
        check_writable(target)


def _unreachable(folder: Path) -> str | None:
    """What is wrong with a folder to write in, which may be still to be made."""
    for ancestor in (folder, *folder.parents):
        if os.path.isdir(ancestor):
            if os.access(ancestor, os.W_OK | os.X_OK):
                return None
            return f"no permission in {ancestor}"
        if os.path.lexists(ancestor):
            return f"{folder} cannot be made a folder: {ancestor} is a file"
    return f"{folder} cannot be made a folder"
