"""Text for people: tables, progress on a terminal, and what went wrong."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from lowrank_sr.errors import InputError


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first one aligned left, the others right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        aligned = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
        ]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def progress(total: float, description: str, unit: str, hidden: bool = False) -> AbstractContextManager[Any]:
    """A progress bar of tqdm on stderr, if that is a terminal and the work takes longer than a second.

    Inside the block `bar.update(n)` says that `n` more of the `total` units are done.
    """
    from tqdm import tqdm  # here, since it would slow `import lowrank_sr`

    hidden = hidden or sys.stderr is None  # closed, or a program without a console
    bar: AbstractContextManager[Any] = tqdm(
        total=total, desc=description, unit=unit, unit_scale=True, delay=1, disable=hidden or None, leave=False
    )
    return bar


def say(text: object) -> None:
    """Print a line to standard output, at once; raises InputError where that cannot be written, as on a full disk."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output: cannot be written: {error.strerror}") from error


def complain(message: object) -> None:
    """Print a sentence to stderr, after the program's name."""
    if sys.stderr is None:  # to which print would answer on standard output
        return
    with suppress(OSError):  # where stderr cannot be written, the exit status has to do
        print(f"lowrank-sr: {message}", file=sys.stderr)
