"""Where the numbers of a results.json come from: the machine, the day, and the commit of a checkout."""

import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lowrank_sr.machine import cpu

_CHECKOUT = Path(__file__).parents[2]


def origin() -> dict[str, Any]:
    """The machine by `cpu.describe`, the day in UTC as 2026-11-30, and the commit, "-dirty" where files differ."""
    return {"date": datetime.now(UTC).date().isoformat(), **_commit(), "machine": cpu.describe()}


@cache
def _commit() -> dict[str, str]:
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    if not (_CHECKOUT / ".git").exists():
        return {}
    try:
        return {"commit": subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()}
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout that is another user's
        return {}
