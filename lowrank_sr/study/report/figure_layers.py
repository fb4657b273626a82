"""Two figures over the layers: condition numbers in network order (Figure 2), and operations against time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import GRID, INK, MUTED, PAPER, canvas, look
from lowrank_sr.study.technique import BY_NAME, CP_KERNEL, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATES = (1, 10, 100, 1000, 10000)  # 10^9 operations a second, of the lines of equal rate
MOST_NAMES = 12  # dense blocks that are named under an axis; of a deeper network, only blocks are


@dataclass(frozen=True)
class Timed:
    """A layer by a technique, which may be the name of a peer: operations in 10^9, and seconds."""

    layer: str
    technique: str
    gflop: float
    multiplications: float
    seconds: float


def conditions(results: Results, wide: bool) -> "Figure":
    """Condition number of every layer, the threshold and what it marks; below, the rank for 90% of the energy."""
    rows, threshold = results.condition_numbers.layers, results.condition_numbers.threshold
    figure, (above, below) = canvas(wide, (5.6, 5.8), 2, 1, sharex=True)
    marked = np.array([row.marked for row in rows])
    order = np.arange(len(rows))
    for axis in (above, below):
        name_layers(axis, [row.name for row in rows], wide)
    _stems(above, order, np.array([row.condition for row in rows]), marked)
    _stems(below, order, np.array([row.rank_90_percent for row in rows]), marked)
    above.axhline(threshold, color=INK, linestyle="--", linewidth=1.2)
    above.annotate(
        f"threshold {threshold:.0f}", (0, threshold), xytext=(0, 4), textcoords="offset points", fontsize=9.5
    )
    above.set(yscale="log", ylabel="condition number\n$\\sigma_1 / \\sigma_{min}$")
    above.yaxis.set_major_formatter("{x:g}")
    above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    below.set(ylabel="rank for 90% of energy\n(% of full rank)", ylim=(0, 100))
    return figure


def name_layers(axis: "Axes", names: Sequence[str], wide: bool) -> None:
    """Stripes for every other dense block; under the axis the blocks' names, and those of the layers beside them."""
    groups = [(key, list(some)) for key, some in groupby(range(len(names)), lambda i: _place(names[i]))]
    blocks = [some for (block, _), some in groups if block]
    by_block = not wide or len(blocks) > MOST_NAMES
    ticks: dict[float, str] = {}
    for i, some in enumerate(blocks):
        if i % 2 == 0:
            axis.axvspan(some[0] - 0.5, some[-1] + 0.5, color=GRID, alpha=0.45, linewidth=0)
    for (block, dense_block), some in groups:
        if not block:
            ticks[some[0]] = names[some[0]]
        elif not by_block:
            ticks[sum(some) / len(some)] = f"block {block}\n{dense_block}"
        elif dense_block == "RDB2":  # the middle of its block
            ticks[sum(some) / len(some)] = f"block {block}"
    axis.set_xticks(list(ticks), list(ticks.values()), rotation=90, fontsize=9)
    axis.grid(axis="x", visible=False)
    axis.set_xlim(-0.8, len(names) - 0.2)


def _place(name: str) -> tuple[str, str]:
    """The block, counted from 1, and the dense block of a layer; for one outside the blocks nothing, and its name."""
    parts = name.split(".")
    return (str(int(parts[1]) + 1), parts[2]) if parts[0] == "RRDB_trunk" else ("", name)


def _stems(axis: "Axes", order: np.ndarray, values: np.ndarray, marked: np.ndarray) -> None:
    """A dot for each layer, on a line from the bottom; another marker for the marked ones."""
    axis.vlines(order, 0, values, color=GRID, linewidth=1)
    blue, orange = SVD_KERNEL.look.day, CP_KERNEL.look.day
    axis.plot(order[~marked], values[~marked], "o", color=blue, markersize=4.5, label="not marked")
    axis.plot(
        order[marked], values[marked], "D", color=orange, markeredgecolor=INK, label="marked: above the threshold"
    )


def layers(results: Results, wide: bool) -> "Figure":
    """Every layer of the study: time against FLOPs, and against the multiplications done."""
    points = [
        Timed(name, row.technique.name, row.gflop, row.multiplications, row.measured.seconds)
        for name, layer in results.layers.items()
        for row in layer.rows
    ]
    figure, axes = canvas(wide, (5.2, 9.2), *((1, 2) if wide else (2, 1)), sharey=True)
    rate = results.sgemm.measured.gflops
    operations_and_time(axes[0], points, [point.gflop for point in points], rate)
    operations_and_time(axes[1], points, [point.multiplications for point in points], rate / 2)
    axes[0].set(xlabel="GFLOP of the layer, by the formula of its form", ylabel="time (ms)")
    axes[1].set(xlabel="$10^9$ multiplications that are done", ylabel="time (ms)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=5 if wide else 3, columnspacing=1.2, handletextpad=0.4
    )
    return figure


def operations_and_time(axis: "Axes", points: Sequence[Timed], work: Sequence[float], sgemm_rate: float | None) -> None:
    """Seconds against `work` in 10^9, both logarithmic, the points of a layer and a technique joined.

    A line stands for sgemm, which does `sgemm_rate` of it a second.
    """
    seconds = [point.seconds for point in points]
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
        style = look(name, peers.index(name) if name in peers else 0)
        if name in BY_NAME:
            style["label"] = BY_NAME[name].clock_label
        for layer in dict.fromkeys(point.layer for point in points):
            pairs = sorted(
                (x, 1e3 * point.seconds)
                for x, point in zip(work, points, strict=True)
                if point.technique == name and point.layer == layer
            )
            xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
            axis.plot(xs, ys, linewidth=0.8, markeredgecolor=PAPER, markeredgewidth=0.6, alpha=0.95, **style)
            if pairs:
                style["label"] = None
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")


def _guide(axis: "Axes", work: np.ndarray, rate: float, low: float, high: float) -> None:
    """A line of equal rate, which is written where the line ends at the right or at the top."""
    axis.plot(work, 1e3 * work / rate, color=MUTED, linewidth=0.8, linestyle=":")
    if low < work[1] / rate <= high:
        place, offset, horizontal, vertical = (work[1], 1e3 * work[1] / rate), (4, 0), "left", "center"
    elif work[0] / rate < high < work[1] / rate:
        place, offset, horizontal, vertical = (high * rate, 1e3 * high), (0, 3), "center", "baseline"
    else:
        return
    axis.annotate(
        f"{rate:g} G/s",
        place,
        offset,
        textcoords="offset points",
        horizontalalignment=horizontal,
        verticalalignment=vertical,
        fontsize=8.5,
        color=MUTED,
    )
