"""What made the files of earlier batches, so that `--existing skip` makes again what is out of date.

A line of JSON for each file, in the user's state folder, one file of lines for each folder of pictures: a torn line, of
a run that was killed, is left out. A file without a line, or changed since, is taken to be as it should be.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import platformdirs

Stamp = list[int]
"""Size in bytes and time of the last change in ns."""


class Made:
    """The record of what this user's batches have made, each folder's read when it is first asked for."""

    def __init__(self, settings: str) -> None:
        """`settings` is a digest of all that a result depends on besides its source."""
        self.settings = settings
        self._known: dict[Path, dict[str, Any]] = {}

    def is_current(self, source: Path, target: Path) -> bool:
        """Whether `target` is what its source and these settings would give, as far as is known.

        A target that is not there, that nothing is known of, or that somebody has changed since, is never out of date.
        """
        row = self._rows(target.parent).get(target.name)
        of_source, of_target = stamp(source), stamp(target)
        if row is None or None in (of_source, of_target):  # what is wrong with them is said elsewhere
            return True
        return bool(row["target"] != of_target or row["made"] == [of_source, self.settings])

    def add(self, target: Path, source: Stamp | None) -> None:
        """Note that `target` was made, of a picture with that stamp; nothing where it cannot be noted."""
        row = {"name": target.name, "target": stamp(target), "made": [source, self.settings]}
        try:
            file = _file(target.parent)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as lines:
                lines.write(f"\n{json.dumps(row)}\n")  # after a torn line, too
        except (OSError, RuntimeError):
            return

    def _rows(self, folder: Path) -> dict[str, Any]:
        """The last line of each file in a folder, by its name."""
        if folder not in self._known:
            self._known[folder] = dict(_read(folder))
        return self._known[folder]


def _read(folder: Path) -> list[tuple[str, Any]]:
    try:
        lines = _file(folder).read_text(encoding="utf-8").splitlines()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
            rows.append((row["name"], {"target": row["target"], "made": row["made"]}))
        except (ValueError, KeyError, TypeError):
            continue
    return rows


def _file(folder: Path) -> Path:
    """Where the lines of a folder's files are; raises RuntimeError for a user without a home folder."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return Path(platformdirs.user_state_dir("lowrank-sr", appauthor=False)) / "made" / f"{name}.jsonl"


def stamp(path: Path) -> Stamp | None:
    """Of a file as it is now; None where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
