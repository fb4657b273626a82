"""What `pytest benchmarks --benchmark-json FILE` measured, on one machine or several, as a figure and as CSV.

A column for each machine: operations against time, the roofline, and the sweeps.

    python benchmarks/plot.py now.json there.json -o two.png --csv rows.csv
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.study.report import style
from lowrank_sr.study.report.draw_speed import Timed, operations_and_time
from lowrank_sr.study.report.style import INK, MUTED, PAPER
from lowrank_sr.text import complain, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDWIDTH, SGEMM = "bandwidth", "sgemm"  # the methods of test_machine.py: the machine's own limits
WIDTH, HEIGHT = 5.6, 4.2  # inches of a panel
SWEEPS = {"threads": "threads", "size": "side of the map (pixels)", "channels": "channels, C = N"}


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
    style.need("matplotlib")
    machines = [read(Path(source)) for source in sources]
    target = Path(target) if target else Path(sources[0]).with_suffix(".png")
    with style.styled():
        style.save(draw(machines), target)
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


def draw(machines: Sequence[Machine]) -> "Figure":
    """The panels that any of `machines` has numbers for, one under the other, machines beside each other."""
    panels: list[Callable[[Axes, Machine], None]] = [_by_flops, _by_multiplications]
    if any(_roofs(machine) for machine in machines):
        panels.append(_roofline)
    for sweep in SWEEPS:
        if any(row.sweep == sweep for machine in machines for row in machine.rows):
            panels.append(partial(_sweep, sweep))
    figure = style.paper(WIDTH * len(machines), HEIGHT * len(panels) + 1)
    axes = figure.subplots(len(panels), len(machines), sharex="row", sharey="row", squeeze=False)
    for column, machine in enumerate(machines):
        axes[0, column].set_title(machine.name, fontsize=10.5)
        for panel, axis in zip(panels, axes[:, column], strict=True):
            panel(axis, machine)
    for axis in axes[:, 1:].flat:
        axis.set_ylabel("")
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3 * len(machines), fontsize=9)
    return figure


def _by_flops(axis: "Axes", machine: Machine) -> None:
    rows = [row for row in machine.rows if not row.sweep]
    if rows:
        points = [Timed(row.group, row.method, row.flops / 1e9, row.seconds) for row in rows]
        operations_and_time(axis, points, machine.sgemm)
    axis.set(xlabel="GFLOP, by the formula of its form", ylabel="time (ms)")


def _by_multiplications(axis: "Axes", machine: Machine) -> None:
    rows = [row for row in machine.rows if not row.sweep]
    if rows:
        points = [Timed(row.group, row.method, row.multiplications / 1e9, row.seconds) for row in rows]
        operations_and_time(axis, points, machine.sgemm / 2 if machine.sgemm else None)
    axis.set(xlabel="$10^9$ multiplications that are done", ylabel="time (ms)")


def _roofs(machine: Machine) -> bool:
    return bool(machine.bandwidth and machine.sgemm and any(row.is_layer and row.bytes for row in machine.rows))


def _roofline(axis: "Axes", machine: Machine) -> None:
    """Operations a second against operations a byte, under the limits of memory and of arithmetic."""
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="operations a byte: 2 a multiplication, maps and weights moved once", ylabel="$10^9$ operations/s")
    if not _roofs(machine):
        return
    bandwidth, peak = machine.bandwidth or 0.0, machine.sgemm or 0.0
    rows = [row for row in machine.rows if row.is_layer and row.bytes and row.weights == "warm"]
    intensity = [row.operations / (row.bytes or 1.0) for row in rows]
    span = np.geomspace(min(*intensity, peak / bandwidth) / 2, max(*intensity, peak / bandwidth) * 2, 64)
    axis.plot(span, np.minimum(peak, bandwidth * span), color=INK, linewidth=1.8, label="roof")
    for text, place in ((f"memory, {bandwidth:.0f} GB/s", span[0]), (f"sgemm, {peak:.0f} GFLOP/s", peak / bandwidth)):
        height = min(peak, bandwidth * place)
        axis.annotate(text, (place, height), xytext=(2, 6), textcoords="offset points", fontsize=9)
    for name in dict.fromkeys(row.method for row in rows):
        xs = [x for x, row in zip(intensity, rows, strict=True) if row.method == name]
        ys = [row.operations / row.seconds / 1e9 for row in rows if row.method == name]
        axis.plot(xs, ys, linestyle="none", markeredgecolor=PAPER, markeredgewidth=0.6, **style.clock_look(name))


def _sweep(sweep: str, axis: "Axes", machine: Machine) -> None:
    """Effective GFLOP/s over what the sweep varies; dashed where the weights come from memory."""
    rows = [row for row in machine.rows if row.sweep == sweep]
    for weights, line in (("warm", "-"), ("cold", "--")):
        for name in dict.fromkeys(row.method for row in rows if row.weights == weights):
            points = sorted(
                (row.x or 0.0, row.flops / row.seconds / 1e9)
                for row in rows
                if row.method == name and row.weights == weights
            )
            look = style.clock_look(name) | ({} if weights == "warm" else {"label": None, "markerfacecolor": PAPER})
            axis.plot(*zip(*points, strict=True), linestyle=line, **look)
    if any(row.weights == "cold" for row in rows):
        axis.plot([], [], color=MUTED, linestyle="--", label="cold weights")
    ticks = sorted({row.x for row in rows if row.x})
    axis.set(xscale="log", ylabel="effective GFLOP/s", ylim=(0, None), xlabel=SWEEPS[sweep])
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure and print where it is; return 0, or 2 after bad input, which one sentence on stderr names."""
    parser = argparse.ArgumentParser(
        description="Draw operations against time, the roofline and sweeps from pytest-benchmark's JSON files."
    )
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE.json", help="by pytest --benchmark-json; one for each machine"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FIGURE", help=".png, .svg or .pdf (default: FILE.png next to the first)"
    )
    parser.add_argument("--csv", type=Path, metavar="TABLE.csv", help="write the rows into this file too")
    options = parser.parse_args(arguments)
    try:
        say(plot_benchmarks(options.files, options.output, options.csv))
    except InputError as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
