"""Figures of seconds and memory: inference time of each technique (Figure 3), and peak memory by picture size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import INK, MUTED, PAPER, canvas, look
from lowrank_sr.study.technique import ALL, KERNEL, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEMORY_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # MB


def times(results: Results, wide: bool) -> "Figure":
    """Seconds of each technique with their quartiles; beside them the speed-ups that are counted and measured."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = results.times.techniques
    height = 0.9 + 0.44 * len(rows)
    figure, (left, right) = canvas(wide, (height, height), 1, 2, sharey=True)
    order = np.arange(len(rows))
    theory = [row.theoretical_speedup for row in rows.values()]
    products = [rows[REFERENCE].multiplications / row.multiplications for row in rows.values()]
    timings = [row.measured for row in rows.values()]
    colours = [technique.look.day for technique in rows]
    seconds = [(timing.seconds_low, timing.seconds, timing.seconds_high) for timing in timings]
    speedups = [(timing.speedup_low, timing.speedup, timing.speedup_high) for timing in timings]
    _bars(left, order, seconds, colours, 0.62)
    _bars(right, order + 0.18, speedups, colours, 0.34, least=max(*theory, *products))
    right.barh(order - 0.18, theory, 0.34, facecolor="none", edgecolor=MUTED, hatch="//////", linewidth=1)
    right.plot(products, order - 0.18, "d", color=INK, markerfacecolor=PAPER)
    left.set_yticks(order, [technique.label for technique in rows])
    left.invert_yaxis()
    left.set_xlabel(f"seconds, {results.times.side} x {results.times.side} pixels")
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
    axis: "Axes",
    places: np.ndarray,
    quartiles: Sequence[tuple[float, float, float]],
    colours: Sequence[str],
    height: float,
    least: float = 0,
) -> None:
    """A bar to the middle of each of `quartiles`, the others as whiskers; the axis reaches to `least` or farther."""
    for y, (low, median, high), colour in zip(places, quartiles, colours, strict=True):
        axis.barh(y, median, height, color=colour)
        spread = [[median - low], [high - median]]
        axis.errorbar(median, y, xerr=spread, fmt="none", ecolor=INK, elinewidth=1.4, capsize=3)
        digits = 2 if median >= 0.1 else 3
        text = f"{median:.{digits}f}"
        axis.annotate(text, (high, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9)
    longest = max(least, *(high for _, _, high in quartiles))
    axis.set_xlim(0, longest * 1.4)


def memory(results: Results, wide: bool) -> "Figure":
    """Peak memory of each technique by size of the picture, both logarithmic."""
    figure, axis = canvas(wide, (4.6, 4.2))
    for technique, memory in results.memory.items():
        known = [(at.side, at.measured.peak_mb) for at in memory.sides if at.measured.peak_mb]
        style = look(technique.name)
        if technique.layers != ALL:
            continue  # between the dense network and the one of low rank
        of_kernel = technique.form is not None and technique.factors == KERNEL
        fill = PAPER if of_kernel else style["color"]
        axis.plot(
            [side for side, _ in known],
            [peak for _, peak in known],
            linestyle=technique.look.line,
            markerfacecolor=fill,
            markeredgecolor=style["color"],
            **style,
        )
    sides = [at.side for at in memory.sides]
    axis.set(
        xscale="log", yscale="log", xlabel="side of the picture (pixels at low resolution)", ylabel="peak memory (MB)"
    )
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    low, high = axis.get_ylim()
    ticks = [tick for tick in MEMORY_TICKS if low <= tick <= high]
    axis.set_yticks(ticks, [str(tick) for tick in ticks])
    if wide:
        figure.legend(loc="outside right center")
    else:
        figure.legend(loc="outside upper center", ncols=2, columnspacing=1.2, handletextpad=0.5)
    return figure
