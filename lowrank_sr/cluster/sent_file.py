"""Files on machines that need not share a file system: what is read is sent along, what is written is sent back."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowrank_sr.errors import InputError


@dataclass(frozen=True)
class SentFile:
    """A file that a task reads: the client's path, and the content, or why there is none; None: it is read there."""

    path: Path
    content: bytes | InputError | None

    @classmethod
    def of(cls, path: Path, shared: bool) -> "SentFile":
        """The file in `path`; its content goes along unless client and workers have a `shared` file system."""
        if shared:
            return cls(path.absolute(), None)
        try:
            return cls(path, path.read_bytes())
        except OSError as error:
            return cls(path, InputError(f"{path}: cannot be read: {error.strerror}"))


@contextmanager
def received(*files: SentFile) -> Iterator[list[Path]]:
    """Yield where a worker finds `files`, until the end of the block; an InputError in it names the client's paths.

    Raises InputError where the client could not read one of them.
    """
    with tempfile.TemporaryDirectory(prefix="lowrank-sr-") as folder:
        paths = []
        for i, file in enumerate(files):
            path = file.path
            if isinstance(file.content, InputError):
                raise file.content
            if file.content is not None:
                path = Path(folder) / str(i) / file.path.name
                path.parent.mkdir()
                path.write_bytes(file.content)
            paths.append(path)
        try:
            yield paths
        except InputError as error:
            names = {path: file.path for path, file in zip(paths, files, strict=True)}
            raise InputError(with_names(str(error), names)) from error


def with_names(message: str, names: Mapping[Path, Path]) -> str:
    """`message` with the client's paths, the values, in the place of a worker's, the keys."""
    for here, there in names.items():
        message = message.replace(str(here), str(there))
    return message
