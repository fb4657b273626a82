"""The plan of a batch: everything that can be known is found out before the first picture is enlarged."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lowrank_sr.commands.batch import FileOptions, Outcome, Plan, Task, blocked
from lowrank_sr.commands.batch_sources import Source, find_sources, identity
from lowrank_sr.errors import InputError
from lowrank_sr.files import check_writable
from lowrank_sr.pictures.formats import FORMATS, SUFFIXES, listed
from lowrank_sr.pictures.reading import frames_in


@dataclass(frozen=True)
class Naming:
    """How the files that are written are called.

    `file` is the name of the only one, where one is given; else each goes to `folder`, None for that of its picture, as
    the picture's name, `suffix` and `extension`, ".png".
    """

    suffix: str
    extension: str
    folder: Path | None = None
    file: Path | None = None

    def target(self, source: Source) -> Path:
        """The file that the picture becomes."""
        if self.file is not None:
            return self.file
        folder = source.path.parent
        if self.folder is not None:
            below = folder.relative_to(source.folder) if source.folder is not None else Path()
            folder = self.folder / below
        return folder / f"{source.path.stem}{self.suffix}{self.extension}"

    def made(self, source: Path) -> bool:
        """Whether the name of `source` may be one that an earlier run has given."""
        return bool(self.suffix) and source.stem.endswith(self.suffix) and source.suffix == self.extension


def naming(output: str | None, suffix: str, extension: str | None) -> Naming:
    """Where -o, --suffix and --format lead; raises InputError where they contradict each other or name no format."""
    if "/" in suffix or os.sep in suffix:
        raise InputError(f"--suffix {suffix}: expected a part of a file's name, without a folder")
    folder_suffix = extension or ".png"
    if output is None:
        return Naming(suffix, folder_suffix)
    if not output:
        raise InputError("-o: an empty name: expected a file or a folder")
    path = Path(output)
    if os.path.isdir(path) or output.endswith(("/", os.sep)) or not path.suffix:
        if os.path.exists(path) and not os.path.isdir(path):
            raise InputError(f"-o {output}: is no folder; expected one, or a name with the suffix {listed(SUFFIXES)}")
        return Naming(suffix, folder_suffix, folder=path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"-o {output}: no image format has this suffix; expected {listed(SUFFIXES)},"
            f" or a folder as {output}{os.sep}"
        )
    if extension is not None and FORMATS[extension] != FORMATS[path.suffix.lower()]:
        raise InputError(f"-o {output}: expected the suffix of --format {extension[1:]}")
    return Naming(suffix, path.suffix, file=path)


def plan_batch(
    inputs: Iterable[str | os.PathLike[str]],
    names: Naming,
    options: FileOptions,
    every_frame: bool = False,
    check_format: Callable[[Task], object] | None = None,
) -> Plan:
    """Pair every picture in `inputs`, files and folders, with the file that it becomes.

    `check_format` raises InputError for a picture that the format of its file cannot keep.

    A picture that cannot be read or has no place to go affects only itself. In folders, what an earlier run has written
    beside the pictures is not enlarged again. Of a file with several frames or pages the first is taken, or with
    `every_frame` each, numbered from 1.

    Raises InputError as `find_sources` does, and for one file that several pictures would become.
    """
    sources, notices = find_sources(inputs, names.folder)
    if names.file is not None and len(sources) != 1:
        raise InputError(f"{names.file}: one file for {len(sources)} pictures: expected a folder")
    if names.file is None:
        made = {names.target(source) for source in sources if not names.made(source.path)}
        sources = [source for source in sources if source.folder is None or source.path not in made]
    checks = _Checks(sources)
    tasks: list[Task] = []
    decided: list[Outcome] = []
    for source in sources:
        target = names.target(source)
        try:
            frames = frames_in(source.path)
        except InputError as error:
            decided.append(Outcome(source.path, target, 0, "failed", str(error)))
            continue
        several = every_frame and len(frames) > 1
        for task in _of_frames(source.path, target, frames if several else frames[:1], several, options):
            outcome = _decided(task, checks, check_format)
            if outcome is not None:
                decided.append(outcome)
                continue
            tasks.append(task)
            if len(frames) > 1 and not several:
                notices.append(f"{source.path}: the first of {len(frames)} frames; --frames enlarges all")
    return Plan(tasks, decided, notices)


def _decided(task: Task, checks: "_Checks", check_format: Callable[[Task], object] | None) -> Outcome | None:
    """The outcome of a task that fails or is skipped before it begins, else None."""
    try:
        checks.check(task)
        outcome = blocked(task)
        if outcome is None and check_format is not None:
            check_format(task)
    except InputError as error:
        outcome = Outcome(task.source, task.target, task.frame, "failed", str(error))
    except OSError as error:  # this one alone, whatever the system has against its names
        sentence = f"{task.source}: cannot become {task.target}: {error.strerror or error}"
        outcome = Outcome(task.source, task.target, task.frame, "failed", sentence)
    return outcome


def _of_frames(source: Path, target: Path, frames: list[int], numbered: bool, options: FileOptions) -> Iterator[Task]:
    digits = len(str(len(frames)))
    for number, frame in enumerate(frames, 1):
        name = target.with_name(f"{target.stem}_{number:0{digits}d}{target.suffix}") if numbered else target
        yield Task(source, name, frame, options)


class _Checks:
    """What the targets of a batch must not be: a picture still to be read, a target already, or out of reach."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = {identity(source.path): source.path for source in sources}
        self.targets: dict[tuple[int, int] | Path, Path] = {}
        self.folders: dict[Path, str | None] = {}

    def check(self, task: Task) -> None:
        """Raise InputError, naming the picture, where its target will not do."""
        place = identity(task.target)
        if place == identity(task.source):
            raise InputError(f"{task.source}: would be overwritten by its own enlargement: expected another output")
        if place in self.sources:
            raise InputError(
                f"{task.source}: its enlargement would overwrite {self.sources[place]}: expected another output"
            )
        other = self.targets.setdefault(place, task.source)
        if other != task.source:
            raise InputError(
                f"{task.source}: would become {task.target}, as {other} does: expected pictures of different names"
            )
        if task.target.parent not in self.folders:
            self.folders[task.target.parent] = _unreachable(task.target.parent)
        reason = self.folders[task.target.parent]
        if reason is not None:
            raise InputError(f"{task.target}: cannot be written: {reason}")
        try:
            task.target.lstat()
        except FileNotFoundError:
            return
        except OSError as error:  # such as a name that is too long
            raise InputError(f"{task.target}: cannot be written: {error.strerror}") from error
        check_writable(task.target)


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
