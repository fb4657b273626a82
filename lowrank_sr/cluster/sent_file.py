"""Files on machines that need not share a file system: what is read is sent along, what is written is sent back."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowrank_sr.errors import InputError


@dataclass(frozen=True)
class SentFile:
    """A file that a task reads: the client's path, and the content where the worker cannot read it there."""

    path: Path
    content: bytes | None

    @classmethod
    def of(cls, path: Path, shared: bool) -> "SentFile":
        """The file in `path`; its content goes along unless client and workers have a `shared` file system.

        Raises InputError where it cannot be read.
        """
        if shared:
            return cls(path.absolute(), None)
        try:
            return cls(path, path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@contextmanager
def received(*files: SentFile) -> Iterator[list[Path]]:
    """Yield where a worker finds `files`, until the end of the block; an InputError names the client's paths."""
    with tempfile.TemporaryDirectory(prefix="lowrank-sr-") as folder:
        paths = []
        for i, file in enumerate(files):
            path = file.path
            if file.content is not None:
                path = Path(folder) / str(i) / file.path.name
                path.parent.mkdir()
                path.write_bytes(file.content)
            paths.append(path)
        with named({path: file.path for path, file in zip(paths, files, strict=True)}):
            yield paths


@contextmanager
def named(names: Mapping[Path, Path]) -> Iterator[None]:
    """Let an InputError of the block speak of the client's paths, the values, instead of a worker's, the keys."""
    try:
        yield
    except InputError as error:
        message = str(error)
        for here, there in names.items():
            message = message.replace(str(here), str(there))
        raise InputError(message) from error
