"""Temporary files that a later run recognises and removes, should their process be killed.

Each is locked as long as its process lives. The operating system knows of that lock in every container, where a process
number in a file's name would mean nothing. Windows refuses by itself to remove a file that is open.
"""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".lowrank-sr-"


def create(folder: Path, suffix: str) -> tuple[int, Path]:
    """Create a file in `folder` that is recognised as in use while its descriptor is open; both are returned."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=suffix, dir=folder)
        try:
            _lock(descriptor)
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks, where `remove_abandoned` removes nothing
            return descriptor, Path(name)
        if os.path.exists(name):
            return descriptor, Path(name)
        os.close(descriptor)  # another process has taken it for abandoned before it was locked


@cache
def remove_abandoned(folder: Path) -> None:
    """Remove, once in this process, the files in `folder` whose processes are gone."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # in use, or of another user
            if fcntl is None:
                path.unlink()
                continue
            descriptor = os.open(path, os.O_RDWR)
            try:
                _lock(descriptor)
                path.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file until its descriptor is closed; raises BlockingIOError where another process has."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
