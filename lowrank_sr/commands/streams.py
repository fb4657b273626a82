"""Standard input and output as the files that pictures are read from and written to."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowrank_sr.errors import InputError

STREAM = "-"  # what the command line calls them


@dataclass(frozen=True)
class Streams:
    """The inputs and the output of a command, with files in `folder` in the place of streams."""

    inputs: Sequence[str]
    output: str | None
    folder: Path | None = None
    to_stdout: bool = False

    def shown(self, text: str) -> str:
        """`text` without the names of files that the user has not given: stdin and stdout in their place."""
        if self.folder is None:
            return text
        if self.to_stdout and text == self.output:
            return ""
        return text.replace(f"{self.folder}/", "")


@contextmanager
def replaced(inputs: Sequence[str], output: str | None, extension: str | None) -> Iterator[Streams]:
    """Yield files in the place of "-": one that holds standard input, one that is copied to standard output at the end.

    Without `output`, what comes from standard input goes to standard output. `extension` is that of the file for
    standard output, by default ".png".

    Raises InputError for other pictures in addition to standard input, for terminals and closed streams, and for output
    that cannot be written.
    """
    from_stdin = STREAM in inputs
    if not from_stdin and output != STREAM:
        yield Streams(inputs, output)
        return
    if from_stdin and len(inputs) > 1:
        raise InputError("standard input: expected as the only picture")
    to_stdout = output in (None, STREAM)
    if to_stdout and sys.stdout is None:
        raise InputError("standard output: is closed; expected a pipe or a file for the picture")
    if to_stdout and sys.stdout.isatty():
        raise InputError("standard output: is a terminal; expected a pipe or a file for the picture")
    with tempfile.TemporaryDirectory(prefix="lowrank-sr-") as name:
        folder = Path(name)
        if from_stdin:
            inputs = [str(_spooled(folder / "stdin"))]
        written = folder / f"stdout{extension or '.png'}"
        yield Streams(inputs, str(written) if to_stdout else output, folder, to_stdout)
        if to_stdout and written.exists():
            _send(written)


def _spooled(path: Path) -> Path:
    if sys.stdin is None:
        raise InputError("standard input: is closed; expected a picture")
    if sys.stdin.isatty():
        raise InputError("standard input: is a terminal; expected a picture")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise InputError(f"standard input: cannot be read: {error.strerror}") from error
    return path


def _send(path: Path) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output: cannot be written: {error.strerror}") from error
