"""The figure of FLOPs against time from a pytest-benchmark JSON file, drawn as the study draws its own."""

import json
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.study.report import style
from lowrank_sr.study.report.figure_layers import Timed, flops_and_time


def plot_benchmarks(source: Path, target: Path | None = None) -> Path:
    """Draw the benchmarks in `source` into `target`, by default a PNG file beside it; return its path.

    Raises InputError where Matplotlib is missing, for a file that is no such JSON or has no benchmark with FLOPs, and
    for a target that cannot be written.
    """
    style.need_matplotlib()
    points = read(Path(source))
    target = Path(target) if target else Path(source).with_suffix(".png")
    with style.styled():
        style.save(flops_and_time(points, sgemm_rate=None), target)
    return target


def read(path: Path) -> list[Timed]:
    """The median seconds of each benchmark that reports its FLOPs; raises InputError as `plot_benchmarks`."""
    try:
        benchmarks = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        points = [
            Timed(
                technique=str(row["extra_info"]["method"]),
                gflop=float(row["extra_info"]["flops"]) / 1e9,
                seconds=float(row["stats"]["median"]),
            )
            for row in benchmarks
            if "flops" in row.get("extra_info", {})
        ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: is not the JSON that pytest-benchmark writes for this project's benchmarks"
        ) from None
    points = [point for point in points if point.gflop > 0 and point.seconds > 0]
    if not points:
        raise InputError(f"{path}: has no benchmark with FLOPs and seconds")
    return points
