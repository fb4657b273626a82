"""Files that are either the old one or the new one, never half of it."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lowrank_sr.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Raises InputError, naming `path`, where the system refuses to write there (no such folder, read-only, disk full).
    """
    path = Path(path).resolve()
    temporary = None
    try:
        if path.exists() and not path.is_file():  # a device or a pipe is written to, not replaced
            yield path
            return
        descriptor, name = tempfile.mkstemp(prefix=".lowrank-sr-", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those of any new file: mkstemp's are for its owner alone."""
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def write_json(path: str | os.PathLike[str], data: object) -> None:
    """Write `data` as indented JSON, infinities and NaN as null; raises InputError where `path` cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(finite(data), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def finite(data: object) -> object:
    """`data` as JSON can hold it, None in place of infinities and NaN."""
    match data:
        case dict():
            return {key: finite(value) for key, value in data.items()}
        case list() | tuple():
            return [finite(value) for value in data]
        case float() if not math.isfinite(data):
            return None
    return data
