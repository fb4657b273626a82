"""Temporary files that a later run recognises and removes, should their process be killed.

Each is locked as long as its process lives. The operating system knows of that lock in every container, where a process
number in a file's name would mean nothing. Windows refuses by itself to remove a file that is open.
"""

import os
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = ".lowrank-sr-"


def create(folder: Path, suffix: str, mode: int = 0o666) -> tuple[int, Path]:
    """Create a file in `folder` that is recognised as in use while its descriptor is open; both are returned.

    `mode` has its permissions, less the umask's. What killed processes have left there is removed, where locks tell.
    """
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{suffix}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            _lock(descriptor)
        except BlockingIOError:  # by another process, which takes it for abandoned
            os.close(descriptor)
            continue
        except OSError:  # a file system without locks
            return descriptor, path
        if not os.path.exists(path):  # removed before it was locked
            os.close(descriptor)
            continue
        if _locked_for_writers(path):
            _unlock(descriptor)
        else:
            remove_abandoned(folder)
        return descriptor, path


def _locked_for_writers(path: Path) -> bool:
    """Whether a lock keeps out who opens the file by its name, as SMB's do on Linux: any write, this process's too."""
    with suppress(OSError):  # a full disk is found later
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, b"\0")
            os.ftruncate(descriptor, 0)
        except PermissionError:
            return True
        finally:
            os.close(descriptor)
    return False


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


def _unlock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
