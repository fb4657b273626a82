"""Figures of the clock and of memory: Figure 3, operations of layers against their time, peaks by picture size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import INK, MUTED, PAPER, canvas, clock_look, key, look, note
from lowrank_sr.study.technique import ALL, BY_NAME, KERNEL, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATES = (1, 10, 100, 1000, 10000)  # 10^9 operations a second, of the lines of equal rate
Quartiles = Sequence[tuple[float, float, float]]  # the lower one, the median, the upper one
MEMORY_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # MB


def times(results: Results, wide: bool) -> "Figure":
    """Seconds of each technique with their quartiles; beside them the speed-ups that are counted and measured."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = results.times
    height, order = 0.9 + 0.44 * len(rows), np.arange(len(rows))
    figure, (left, right) = canvas(wide, (height, height), 1, 2, sharey=True)
    theory = [row.theoretical_speedup for row in rows.values()]
    products = [rows[REFERENCE].multiplications / row.multiplications for row in rows.values()]
    timings, colours = [row.measured for row in rows.values()], [technique.look.day for technique in rows]
    seconds = [(timing.seconds_low, timing.seconds, timing.seconds_high) for timing in timings]
    speedups = [(timing.speedup_low, timing.speedup, timing.speedup_high) for timing in timings]
    _bars(left, order, seconds, colours, 0.62)
    _bars(right, order + 0.18, speedups, colours, 0.34, least=max(*theory, *products))
    right.barh(order - 0.18, theory, 0.34, facecolor="none", edgecolor=MUTED, hatch="//////", linewidth=1)
    right.plot(products, order - 0.18, "d", color=INK, markerfacecolor=PAPER)
    left.set_yticks(order, [technique.label for technique in rows])
    left.invert_yaxis()
    left.set_xlabel(f"seconds, {results.side} x {results.side} pixels")
    right.set_xlabel("speed-up")
    right.axvline(1, color=INK, linewidth=1)
    for axis in (left, right):
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    handles = [
        Patch(facecolor="none", edgecolor=MUTED, hatch="//////", label="by FLOPs"),
        Line2D([], [], linestyle="none", marker="d", color=INK, markerfacecolor=PAPER, label="by multiplications done"),
        Patch(facecolor=MUTED, label="measured"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, columnspacing=1.2, handletextpad=0.5)
    return figure


def _bars(
    axis: "Axes", places: np.ndarray, quartiles: Quartiles, colours: Sequence[str], height: float, least: float = 0
) -> None:
    """A bar to the middle of each of `quartiles`, the others as whiskers; the axis reaches to `least` or farther."""
    for y, (low, median, high), colour in zip(places, quartiles, colours, strict=True):
        axis.barh(y, median, height, color=colour)
        spread = [[median - low], [high - median]]
        axis.errorbar(median, y, xerr=spread, fmt="none", ecolor=INK, elinewidth=1.4, capsize=3)
        note(axis, f"{median:.{2 if median >= 0.1 else 3}f}", (high, y), (5, 0), va="center", fontsize=9)
    axis.set_xlim(0, 1.4 * max(least, *(high for _, _, high in quartiles)))


def memory(results: Results, wide: bool) -> "Figure":
    """Peak memory of each technique by size of the picture, both logarithmic."""
    figure, axis = canvas(wide, (4.6, 4.2))
    for technique, memory in results.memory.items():
        if technique.layers != ALL:
            continue  # between the dense network and the one of low rank
        known = [at for at in memory.sides if at.measured.peak_mb]
        hollow, style = technique.form is not None and technique.factors == KERNEL, look(technique.name)
        style |= {"linestyle": technique.look.line, "markerfacecolor": PAPER if hollow else style["color"]}
        peaks = [at.measured.peak_mb for at in known]
        axis.plot([at.side for at in known], peaks, markeredgecolor=style["color"], **style)
    sides = [at.side for at in memory.sides]
    axis.set(xscale="log", xlabel="side of the picture (pixels at low resolution)")
    axis.set(yscale="log", ylabel="peak memory (MB)")
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    low, high = axis.get_ylim()
    ticks = [tick for tick in MEMORY_TICKS if low <= tick <= high]
    axis.set_yticks(ticks, [str(tick) for tick in ticks])
    if wide:
        figure.legend(loc="outside right center")
    else:
        key(figure, 2, columnspacing=1.2, handletextpad=0.5)
    return figure


class Timed(NamedTuple):
    """A layer by a technique, which may be the name of a peer: how much is counted, in 10^9, and seconds."""

    layer: str
    technique: str
    work: float
    seconds: float


def layers(results: Results, wide: bool) -> "Figure":
    """Every layer of the study: time against FLOPs, and against the multiplications done."""
    every = [(name, row) for name, layer in results.layers.items() for row in layer.rows]
    flops = [Timed(name, row.technique.name, row.gflop, row.measured.seconds) for name, row in every]
    products = [Timed(name, row.technique.name, row.multiplications, row.measured.seconds) for name, row in every]
    figure, axes = canvas(wide, (5.2, 9.2), *((1, 2) if wide else (2, 1)), sharey=True)
    operations_and_time(axes[0], flops, results.sgemm.measured.gflops)
    operations_and_time(axes[1], products, results.sgemm.measured.gflops / 2)
    axes[0].set(xlabel="GFLOP of the layer, by the formula of its form", ylabel="time (ms)")
    axes[1].set(xlabel="$10^9$ multiplications that are done", ylabel="time (ms)")
    key(figure, 5 if wide else 3, columnspacing=1.2, handletextpad=0.4)
    return figure


def operations_and_time(axis: "Axes", points: Sequence[Timed], sgemm_rate: float | None) -> None:
    """Seconds against work, both logarithmic, the points of a layer and a technique joined; a line stands for sgemm."""
    seconds, work = [point.seconds for point in points], [point.work for point in points]
    span = np.array([min(work) / 2, max(work) * 2])
    low, high = min(seconds) / 2, max(seconds) * 2
    axis.set(xscale="log", yscale="log", xlim=span, ylim=(1e3 * low, 1e3 * high))
    if sgemm_rate:
        axis.plot(span, 1e3 * span / sgemm_rate, color=INK, linewidth=1.8, label="sgemm")
    for rate in RATES:
        _guide(axis, span, rate, low, high)
    names = list(dict.fromkeys(point.technique for point in points))
    peers = [name for name in names if name not in BY_NAME]
    for name in names:
        style = clock_look(name, peers.index(name) if name in peers else 0)
        of_layer: dict[str, list[tuple[float, float]]] = {}
        for point in (point for point in points if point.technique == name):
            of_layer.setdefault(point.layer, []).append((point.work, 1e3 * point.seconds))
        for pairs in of_layer.values():
            xs, ys = zip(*sorted(pairs), strict=True)
            axis.plot(xs, ys, linewidth=0.8, markeredgecolor=PAPER, markeredgewidth=0.6, alpha=0.95, **style)
            style["label"] = None
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")


def _guide(axis: "Axes", work: np.ndarray, rate: float, low: float, high: float) -> None:
    """A line of equal rate, which is written where the line ends at the right or at the top."""
    axis.plot(work, 1e3 * work / rate, color=MUTED, linewidth=0.8, linestyle=":")
    if low < work[1] / rate <= high:
        place, offset, to_it = (work[1], 1e3 * work[1] / rate), (4, 0), {"ha": "left", "va": "center"}
    elif work[0] / rate < high < work[1] / rate:
        place, offset, to_it = (high * rate, 1e3 * high), (0, 3), {"ha": "center", "va": "baseline"}
    else:
        return
    note(axis, f"{rate:g} G/s", place, offset, fontsize=8.5, color=MUTED, **to_it)
