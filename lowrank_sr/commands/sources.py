"""The pictures that a batch is asked for: files, and folders with all that is below them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import READ_SUFFIXES, listed

_SUFFIXES_NAMED = 3  # of files that are left out


class Source(NamedTuple):
    """A picture file, and the folder below which it was found, None where it was named itself."""

    path: Path
    folder: Path | None


def find_sources(inputs: Iterable[str | os.PathLike[str]], output: Path | None) -> tuple[list[Source], list[str]]:
    """The pictures in `inputs`, folders with all folders below them, each once; and sentences about what was left out.

    Hidden files and folders are left out without a word, and so is the folder `output`. Symbolic links are followed,
    each folder is entered once.

    Raises InputError for an empty name, and for a folder that cannot be listed or has no picture below it.
    """
    sources: list[Source] = []
    notices: list[str] = []
    for given in inputs:
        if not os.fspath(given):  # an unset variable of a shell, and Path("") is the current folder
            raise InputError("an empty name: expected a picture or a folder of pictures")
        path = Path(given)
        if not os.path.isdir(path):  # Path.is_dir raises what it may not look at
            sources.append(Source(path, None))
            continue
        if not os.access(path, os.R_OK | os.X_OK):
            raise InputError(f"{path}: cannot be listed: Permission denied; expected a folder of pictures")
        others: list[Path] = []
        found = list(_pictures_below(path, output, notices, others))
        if not found:
            raise InputError(f"{path}: has no image; expected files with the suffix {listed(READ_SUFFIXES)}")
        sources.extend(Source(picture, path) for picture in found)
        if others:
            notices.append(_left_out(path, others))
    return _each_once(sources), notices


def _left_out(folder: Path, files: list[Path]) -> str:
    """A sentence about files that are no pictures, by their suffix."""
    suffixes = sorted({file.suffix.lower() or "no suffix" for file in files})
    kinds = ", ".join(suffixes[:_SUFFIXES_NAMED]) + (", ..." if len(suffixes) > _SUFFIXES_NAMED else "")
    count = "1 file is" if len(files) == 1 else f"{len(files)} files are"
    return f"{folder}: {count} left out, by their suffix no pictures: {kinds}"


def _each_once(sources: list[Source]) -> list[Source]:
    """The sources without those that came before, written otherwise or below another folder; links have own names."""
    first: dict[object, Source] = {}
    for source in sources:
        first.setdefault((identity(source.path.parent), source.path.name), source)
    return list(first.values())


def _pictures_below(folder: Path, output: Path | None, notices: list[str], others: list[Path]) -> Iterator[Path]:
    """The pictures; what cannot be listed is said in `notices`, files that are no pictures come into `others`."""

    def report(error: OSError) -> None:
        notices.append(f"{error.filename}: cannot be listed: {error.strerror}; its pictures are left out")

    entered = {identity(output)} if output is not None and os.path.isdir(output) else set()
    entered.discard(identity(folder))
    for name, folders, files in os.walk(folder, onerror=report, followlinks=True):
        here = Path(name)
        if identity(here) in entered:  # by a symbolic link, or where the results go
            folders.clear()
            continue
        entered.add(identity(here))
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        for file in sorted(file for file in files if not file.startswith(".")):
            if Path(file).suffix.lower() in READ_SUFFIXES:
                yield here / file
            elif os.path.isfile(here / file):
                others.append(here / file)


def identity(path: Path) -> tuple[int, int] | Path:
    """What two names of one file or folder have in common."""
    try:
        status = path.stat()
    except OSError:
        return Path(os.path.normcase(os.path.realpath(path)))
    return status.st_dev, status.st_ino
