"""Where the numbers of a results.json come from: the commit of this package, where it is a checkout, and the day."""

import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]


def origin() -> dict[str, str]:
    """The day, as 2026-11-30 in UTC, and the commit, "-dirty" where files differ; no commit outside a checkout."""
    return {"date": datetime.now(UTC).date().isoformat()} | _commit()


@cache
def _commit() -> dict[str, str]:
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    if not (_CHECKOUT / ".git").exists():
        return {}
    try:
        return {"commit": subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()}
    except (OSError, subprocess.SubprocessError):  # no git, or a checkout that is another user's
        return {}
