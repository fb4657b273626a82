"""The figure of FLOPs against time from a pytest-benchmark JSON file, drawn as the study draws its own."""

import json
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.study.report import style
from lowrank_sr.study.report.figure_layers import flops_and_time


def plot_benchmarks(source: Path, target: Path | None = None) -> Path:
    """Draw the benchmarks in `source` into `target`, by default a PNG file beside it; return its path.

    Raises InputError where Matplotlib is missing, for a file that is no such JSON or has no benchmark with FLOPs, and
    for a target that cannot be written.
    """
    style.need_matplotlib()
    rows = read(Path(source))
    target = Path(target) if target else Path(source).with_suffix(".png")
    with style.styled():
        style.save(flops_and_time(rows, roof=None), target)
    return target


def read(path: Path) -> list[dict]:
    """`technique`, `gflop`, median `seconds` of each benchmark that says its FLOPs; raises InputError as above."""
    try:
        benchmarks = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        rows = [
            {
                "technique": str(each["extra_info"]["method"]),
                "gflop": float(each["extra_info"]["flops"]) / 1e9,
                "seconds": float(each["stats"]["median"]),
            }
            for each in benchmarks
            if "flops" in each.get("extra_info", {})
        ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: is not the JSON that pytest-benchmark writes for this project's benchmarks"
        ) from None
    rows = [row for row in rows if row["gflop"] > 0 and row["seconds"] > 0]
    if not rows:
        raise InputError(f"{path}: has no benchmark with FLOPs and seconds")
    return rows
