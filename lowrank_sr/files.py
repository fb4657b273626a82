"""Files that are either the old one or the new one, never half of it."""

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.temporary import create


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` if the block succeeds, remove it if not.

    What has got its name is whole on the disk, so that a file which exists after a power cut is complete. What a killed
    process has left in the folder is removed.

    Raises InputError, naming `path`, where the system refuses to write there (no such folder, read-only, disk full).
    """
    given, path = path, Path(os.path.realpath(path))
    descriptor, temporary = -1, None
    try:
        _check_link(given)
        if path.exists() and not path.is_file():  # a device or a pipe is written to, not replaced
            yield path
            return
        mode = path.stat().st_mode & 0o777 if path.exists() else None
        descriptor, temporary = create(path.parent, path.suffix, 0o666 if mode is None else mode | 0o600)
        yield temporary
        if mode is not None:
            with suppress(OSError):  # a file system without permissions
                temporary.chmod(mode)
        os.fsync(descriptor)
        if os.name == "nt":  # where a file that is open keeps its name
            os.close(descriptor)
            descriptor = -1
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{given}: cannot be written: {error.strerror or error}") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise InputError where it is known beforehand that a file cannot be written: no folder, or no permission."""
    path = Path(path)
    try:
        _check_link(path)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            return
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _check_link(path: str | os.PathLike[str]) -> None:
    """Raise OSError for a symbolic link that leads back to itself."""
    with suppress(FileNotFoundError):
        os.stat(path)


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
