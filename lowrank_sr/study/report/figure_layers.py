"""Two figures over the layers: condition numbers in network order (Figure 2), and FLOPs against time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import GRID, INK, MUTED, PAPER, canvas, look
from lowrank_sr.study.technique import BY_NAME, CP_KERNEL, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATES = (1, 10, 100, 1000, 10000)  # GFLOP/s, of the lines of equal rate


@dataclass(frozen=True)
class Timed:
    """A point of the figure of FLOPs against time; `technique` may be the name of a peer."""

    technique: str
    gflop: float
    seconds: float


def conditions(results: Results) -> "Figure":
    """Condition number of every layer, the threshold and what it marks; below, the rank for 90% of the energy."""
    rows, threshold = results.condition_numbers.layers, results.condition_numbers.threshold
    figure, (above, below) = canvas(5.6, 2, 1, sharex=True)
    marked = np.array([row.marked for row in rows])
    order = np.arange(1, len(rows) + 1)
    _stems(above, order, np.array([row.condition for row in rows]), marked)
    _stems(below, order, np.array([row.rank_90_percent for row in rows]), marked)
    above.axhline(threshold, color=INK, linestyle="--", linewidth=1.2)
    above.annotate(
        f"threshold {threshold:.0f}", (1, threshold), xytext=(0, 4), textcoords="offset points", fontsize=9.5
    )
    above.set(yscale="log", ylabel="condition number\n$\\sigma_1 / \\sigma_{min}$")
    above.yaxis.set_major_formatter("{x:g}")
    below.xaxis.get_major_locator().set_params(integer=True)
    above.legend(loc="upper left", bbox_to_anchor=(0, 1.17), ncols=2, borderaxespad=0)
    below.set(ylabel="rank for 90% of energy\n(% of full rank)", xlabel="layer, in network order", ylim=(0, 100))
    return figure


def _stems(axis: "Axes", order: np.ndarray, values: np.ndarray, marked: np.ndarray) -> None:
    """A dot for each layer, on a line from the bottom; another marker for the marked ones."""
    axis.vlines(order, 0, values, color=GRID, linewidth=1)
    blue, orange = SVD_KERNEL.look.day, CP_KERNEL.look.day
    axis.plot(order[~marked], values[~marked], "o", color=blue, markersize=4.5, label="not marked")
    axis.plot(
        order[marked], values[marked], "D", color=orange, markeredgecolor=INK, label="marked: above the threshold"
    )
    axis.grid(axis="x", visible=False)


def flops_and_time(points: Sequence[Timed], sgemm_rate: float | None) -> "Figure":
    """FLOPs against seconds, both logarithmic, with lines of equal GFLOP/s and one for `sgemm_rate`, in GFLOP/s."""
    figure, axis = canvas(5.0)
    gflop = np.array([point.gflop for point in points])
    seconds = np.array([point.seconds for point in points])
    work = np.array([gflop.min() / 2, gflop.max() * 2])
    low, high = seconds.min() / 2, seconds.max() * 2
    axis.set(xscale="log", yscale="log", xlim=work, ylim=(1e3 * low, 1e3 * high))
    if sgemm_rate:
        label = f"sgemm, {sgemm_rate:.0f} GFLOP/s"
        axis.plot(work, 1e3 * work / sgemm_rate, color=INK, linewidth=1.8, label=label)
    for rate in RATES:
        _guide(axis, work, rate, low, high)
    names = list(dict.fromkeys(point.technique for point in points))
    peers = [name for name in names if name not in BY_NAME]
    for name in names:
        style = look(name, peers.index(name) if name in peers else 0)
        if name in BY_NAME:
            style["label"] = BY_NAME[name].clock_label
        xs = [point.gflop for point in points if point.technique == name]
        ys = [1e3 * point.seconds for point in points if point.technique == name]
        axis.plot(xs, ys, linestyle="none", markeredgecolor=PAPER, markeredgewidth=0.6, alpha=0.95, **style)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")
    axis.set(xlabel="GFLOP of the layer, by the formula of its form", ylabel="time (ms)")
    axis.plot([], [], color=MUTED, linewidth=0.8, linestyle=":", label="equal GFLOP/s")
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handletextpad=0.4)
    return figure


def _guide(axis: "Axes", work: np.ndarray, rate: float, low: float, high: float) -> None:
    """A line of equal GFLOP/s, its rate written where the line ends at the right or at the top."""
    axis.plot(work, 1e3 * work / rate, color=MUTED, linewidth=0.8, linestyle=":")
    if low < work[1] / rate <= high:
        place, offset, horizontal, vertical = (work[1], 1e3 * work[1] / rate), (4, 0), "left", "center"
    elif work[0] / rate < high < work[1] / rate:
        place, offset, horizontal, vertical = (high * rate, 1e3 * high), (0, 3), "center", "baseline"
    else:
        return
    axis.annotate(
        f"{rate:g}",
        place,
        offset,
        textcoords="offset points",
        horizontalalignment=horizontal,
        verticalalignment=vertical,
        fontsize=8.5,
        color=MUTED,
    )
