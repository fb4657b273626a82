"""results.json while it grows: every step's numbers are kept as soon as they are there, so that a study can go on."""

import json
from pathlib import Path

from lowrank_sr.files import write_json
from lowrank_sr.study.report.poster import TABLE1

FORMAT = 2  # another one lets no study go on with what an older version has left


def read(path: Path, fingerprint: str) -> dict[str, dict]:
    """The steps that an earlier run with the same fingerprint has left in `path`; none where there is no such file."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        return dict(results["steps"]) if results["fingerprint"] == fingerprint else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(path: Path, fingerprint: str, settings: dict, machine: dict, steps: dict, claims: list[dict]) -> dict:
    """Write the results so far, and return them. What depends on the clock lies under keys named `measured`."""
    results = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "settings": settings,
        "measured": {"machine": machine},
        "steps": steps,
        "poster": TABLE1,
        "claims": claims,
    }
    write_json(path, results)
    return results


def points(steps: dict, sweep: str) -> list[dict]:
    """The points of a sweep, `speed-up`, `threshold` or `truncation`, without those that `compress` refused."""
    return [row for name, row in steps.items() if name.startswith(f"{sweep}/") and "refused" not in row]


def fastest_exact(techniques: dict[str, dict]) -> str:
    """The fastest technique that computes the network as it is."""
    exact = [name for name in techniques if not name.startswith(("svd", "cp"))]
    return max(exact, key=lambda name: techniques[name]["measured"]["speedup"])
