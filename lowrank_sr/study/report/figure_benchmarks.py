"""The figure of benchmarks: a column for each machine; operations against time, the roofline, and the sweeps."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowrank_sr.study.report.figure_layers import Timed, operations_and_time
from lowrank_sr.study.report.style import INK, MUTED, PAPER, look, paper
from lowrank_sr.study.technique import BY_NAME

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lowrank_sr.study.report.benchmarks import Machine

WIDTH, HEIGHT = 5.6, 4.2  # inches of a panel
SWEEPS = {"threads": "threads", "size": "side of the map (pixels)", "channels": "channels, C = N"}


def draw(machines: "Sequence[Machine]") -> "Figure":
    """The panels that any of `machines` has numbers for, one under the other, machines beside each other."""
    panels: list[Callable[[Axes, Machine], None]] = [_by_flops, _by_multiplications]
    if any(_roofs(machine) for machine in machines):
        panels.append(_roofline)
    for sweep in SWEEPS:
        if any(row.sweep == sweep for machine in machines for row in machine.rows):
            panels.append(lambda axis, machine, sweep=sweep: _sweep(axis, machine, sweep))  # type: ignore[misc]
    figure = paper(WIDTH * len(machines), HEIGHT * len(panels) + 1)
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


def _points(machine: "Machine") -> list[Timed]:
    rows = [row for row in machine.rows if not row.sweep]
    return [Timed(row.group, row.method, row.flops / 1e9, row.multiplications / 1e9, row.seconds) for row in rows]


def _by_flops(axis: "Axes", machine: "Machine") -> None:
    points = _points(machine)
    if points:
        operations_and_time(axis, points, [point.gflop for point in points], machine.sgemm)
    axis.set(xlabel="GFLOP, by the formula of its form", ylabel="time (ms)")


def _by_multiplications(axis: "Axes", machine: "Machine") -> None:
    points = _points(machine)
    if points:
        rate = machine.sgemm / 2 if machine.sgemm else None
        operations_and_time(axis, points, [point.multiplications for point in points], rate)
    axis.set(xlabel="$10^9$ multiplications that are done", ylabel="time (ms)")


def _roofs(machine: "Machine") -> bool:
    return bool(machine.bandwidth and machine.sgemm and any(row.is_layer and row.bytes for row in machine.rows))


def _roofline(axis: "Axes", machine: "Machine") -> None:
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
        axis.plot(xs, ys, linestyle="none", markeredgecolor=PAPER, markeredgewidth=0.6, **_style(name))


def _sweep(axis: "Axes", machine: "Machine", sweep: str) -> None:
    """Effective GFLOP/s over what the sweep varies; dashed where the weights come from memory."""
    rows = [row for row in machine.rows if row.sweep == sweep]
    for weights, line in (("warm", "-"), ("cold", "--")):
        for name in dict.fromkeys(row.method for row in rows if row.weights == weights):
            points = sorted(
                (row.x or 0.0, row.flops / row.seconds / 1e9)
                for row in rows
                if row.method == name and row.weights == weights
            )
            style = _style(name) | ({} if weights == "warm" else {"label": None, "markerfacecolor": PAPER})
            axis.plot(*zip(*points, strict=True), linestyle=line, **style)
    if any(row.weights == "cold" for row in rows):
        axis.plot([], [], color=MUTED, linestyle="--", label="cold weights")
    ticks = sorted({row.x for row in rows if row.x})
    axis.set(xscale="log", ylabel="effective GFLOP/s", ylim=(0, None), xlabel=SWEEPS[sweep])
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


def _style(name: str) -> dict[str, Any]:
    style = look(name)
    if name in BY_NAME:
        style["label"] = BY_NAME[name].clock_label
    return style
