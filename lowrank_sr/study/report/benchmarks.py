"""This project's benchmarks, as pytest-benchmark has written them on one machine or several, as a figure and as CSV."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.study.report import figure_benchmarks, style

BANDWIDTH, SGEMM = "bandwidth", "sgemm"  # the methods of benchmarks/test_machine.py: the machine's own limits


@dataclass(frozen=True)
class Row:
    """A benchmark: FLOPs by the formula, multiplications done, bytes that it must move, and quartiles of the seconds.

    `sweep` says what varies in a group of benchmarks ("threads", "size" or "channels") and `x` its value; `weights` are
    "warm" or "cold". A layer's shape is N, C, d, height, width; others have none.
    """

    machine: str
    group: str
    name: str
    method: str
    rank: int | None
    shape: str
    threads: int
    weights: str
    sweep: str
    x: float | None
    flops: float
    multiplications: float
    bytes: float | None
    peak_extra_bytes: float | None
    seconds: float
    seconds_low: float
    seconds_high: float

    @property
    def is_layer(self) -> bool:
        """Whether it is a single layer, whose bytes are its maps and its weights."""
        return self.shape.count("x") == 4

    @property
    def operations(self) -> float:
        """2 for each multiplication that is done."""
        return 2 * self.multiplications


@dataclass(frozen=True)
class Machine:
    """One machine's benchmarks, and its limits where they were measured: GB/s of memory, GFLOP/s of sgemm."""

    name: str
    rows: tuple[Row, ...]
    bandwidth: float | None
    sgemm: float | None


def plot_benchmarks(sources: Sequence[Path], target: Path | None = None, table: Path | None = None) -> Path:
    """Draw the benchmarks in `sources`, a file for each machine, into `target`; return its path.

    The default is a PNG file beside the first of them. `table` is a CSV file for the rows.

    Raises InputError where Matplotlib is missing, for a file that is no such JSON or has no benchmark with FLOPs, and
    for a target that cannot be written.
    """
    style.need_matplotlib()
    machines = [read(Path(source)) for source in sources]
    target = Path(target) if target else Path(sources[0]).with_suffix(".png")
    with style.styled():
        style.save(figure_benchmarks.draw(machines), target)
    if table is not None:
        write_csv([row for machine in machines for row in machine.rows], table)
    return target


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write a line for each row, under the names of its fields; raises InputError where `path` cannot be written."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read(path: Path) -> Machine:
    """The benchmarks of a file that report their FLOPs or are a limit; raises InputError as `plot_benchmarks`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cpu = content.get("machine_info", {}).get("cpu", {}).get("brand_raw", "")
        name = f"{path.stem}: {cpu}" if cpu else path.stem
        rows = [_row(row, name) for row in content["benchmarks"] if "flops" in row.get("extra_info", {})]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: is not the JSON that pytest-benchmark writes for this project's benchmarks"
        ) from None
    rows = [row for row in rows if row.seconds > 0]
    limits = {row.method: row for row in rows if row.method in (BANDWIDTH, SGEMM)}
    timed = tuple(row for row in rows if row.method not in limits and row.flops > 0)
    if not timed:
        raise InputError(f"{path}: has no benchmark with FLOPs and seconds")
    memory, product = limits.get(BANDWIDTH), limits.get(SGEMM)
    return Machine(
        name,
        timed,
        bandwidth=(memory.bytes or 0) / memory.seconds / 1e9 if memory else None,
        sgemm=product.flops / product.seconds / 1e9 if product else None,
    )


def _row(benchmark: dict[str, Any], machine: str) -> Row:
    info, stats = benchmark["extra_info"], benchmark["stats"]
    flops, seconds = float(info["flops"]), float(stats["median"])
    return Row(
        machine=machine,
        group=str(benchmark.get("group") or ""),
        name=str(benchmark.get("name") or ""),
        method=str(info["method"]),
        rank=info.get("rank"),
        shape="x".join(str(size) for size in info.get("shape", ())),
        threads=int(info["threads"]),
        weights=str(info.get("weights", "warm")),
        sweep=str(info.get("sweep", "")),
        x=info.get("x"),
        flops=flops,
        multiplications=float(info.get("multiplications", flops / 2)),
        bytes=info.get("bytes"),
        peak_extra_bytes=info.get("peak_extra_bytes"),
        seconds=seconds,
        seconds_low=float(stats.get("q1", seconds)),
        seconds_high=float(stats.get("q3", seconds)),
    )
