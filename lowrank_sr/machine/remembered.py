"""What is measured once and remembered: JSON files in the user's cache folder."""

import json
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from lowrank_sr.errors import InputError
from lowrank_sr.files import write_json

_log = logging.getLogger(__name__)
_known: dict[str, dict[str, Any]] = {}  # the files' contents by their names
_said: set[str] = set()


def remembered(file: str, key: str, valid: Callable[[Any], bool], measure: Callable[[], Any], waiting: str) -> Any:
    """What `file` of the cache folder has for `key`, or else what `measure` returns, which is kept there.

    What is there counts where `valid` says so of it. `waiting` is logged once, before the first measurement.
    """
    if file not in _known:
        _known[file] = _stored(file)
    table = _known[file]
    if not valid(table.get(key)):
        if waiting not in _said:
            _said.add(waiting)
            _log.info(waiting)
        table[key] = measure()
        _store(file, table | _stored(file) | {key: table[key]})  # another process may have written it meanwhile
    return table[key]


def path_of(file: str) -> Path | None:
    """Where `file` lies; None for a user without a home folder."""
    try:
        folder = Path(platformdirs.user_cache_dir("lowrank-sr", appauthor=False))
    except RuntimeError:
        return None
    return folder / file if folder.is_absolute() else None  # some versions of platformdirs leave a "~" in it


def _store(file: str, table: dict[str, Any]) -> None:
    """Write the figures; where that cannot be, say once which folder is at fault: every run would measure again."""
    try:
        path = path_of(file)
        if path is None:
            raise InputError("there is no home folder: expected HOME or XDG_CACHE_HOME to name one")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not os.access(path, os.R_OK):
            path.unlink()  # else the new file would get its permissions
        write_json(path, table)
    except (InputError, OSError) as error:
        _warn_once(f"what was measured cannot be kept, and the next run will measure again: {error}")


@cache
def _warn_once(sentence: str) -> None:
    _log.warning(sentence)


def _stored(file: str) -> dict[str, Any]:
    """The figures in a file; nothing where there is no such file or it is not one of ours."""
    path = path_of(file)
    try:
        table = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
