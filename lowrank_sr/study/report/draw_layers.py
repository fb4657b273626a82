"""Figure 1, the forms of a layer as chains of convolutions, and Figure 2, condition numbers in network order."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import GRID, INK, MUTED, PAPER, canvas, note
from lowrank_sr.study.technique import CP_KERNEL, REFERENCE, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMES = 12  # dense blocks that are named under an axis; of a deeper network, only blocks are
PITCH = 1.75  # from one map to the next, in units of a map's height


SQUARE, TALL, WIDE, POINT = (0.45, 0.45), (0.15, 0.45), (0.45, 0.15), (0.15, 0.15)  # width and height of filters
CHAINS: dict[str, tuple[str, str, list[tuple[str, tuple[float, float], str, int]]]] = {
    # multiply-adds a pixel, colour; of each convolution its filters, their shape, and the channels it writes, as sheets
    "dense": ("$d^2 N C$", REFERENCE.look.day, [("$d\\times d$", SQUARE, "$N$", 6)]),
    "SVD pair": (
        "$d K (C + N)$",
        SVD_KERNEL.look.day,
        [("$d\\times 1$", TALL, "$K$", 3), ("$1\\times d$", WIDE, "$N$", 6)],
    ),
    "CP": (
        "$R (C + 2d + N)$",
        CP_KERNEL.look.day,
        [
            ("$1\\times 1$", POINT, "$R$", 3),
            ("$d\\times 1$\neach", TALL, "$R$", 3),
            ("$1\\times d$\neach", WIDE, "$R$", 3),
            ("$1\\times 1$", POINT, "$N$", 6),
        ],
    ),
}


def forms(wide: bool) -> "Figure":
    """The three chains, one under the other."""
    figure, axes = canvas(wide, (5.8, 4.2), len(CHAINS), 1)
    longest = max(len(steps) for _, _, steps in CHAINS.values())
    for axis, (name, (cost, colour, steps)) in zip(axes, CHAINS.items(), strict=True):
        axis.set(xlim=(-0.3, longest * PITCH + 1.1), ylim=(-0.55, 1.45), aspect="equal")
        axis.set_axis_off()
        axis.text(-0.3, 1.4, name, weight="bold", va="top", fontsize=11.5)
        axis.text(1.4, 1.4, f"multiply-adds a pixel: {cost}", va="top", color=MUTED)
        _map(axis, 0, 5, "$C$")
        for i, (filters, shape, channels, depth) in enumerate(steps):
            _filter(axis, i * PITCH + 1.3, filters, shape, colour)
            _map(axis, (i + 1) * PITCH, depth, channels)
    return figure


def _map(axis: "Axes", x: float, depth: int, channels: str) -> None:
    """A stack of sheets, the channels of a map, with their number under it."""
    from matplotlib.patches import Rectangle

    for offset in (0.055 * sheet for sheet in reversed(range(depth))):
        axis.add_patch(Rectangle((x + offset, offset), 0.62, 0.62, facecolor=PAPER, edgecolor=INK, linewidth=0.9))
    axis.text(x + 0.31, -0.12, channels, ha="center", va="top")


def _filter(axis: "Axes", x: float, filters: str, shape: tuple[float, float], colour: str) -> None:
    """An arrow from map to map, the filter on it, and its shape."""
    from matplotlib.patches import Rectangle

    axis.annotate("", (x + 0.4, 0.31), (x - 0.3, 0.31), arrowprops={"arrowstyle": "->", "color": MUTED}, zorder=0)
    corner = x - shape[0] / 2, 0.31 - shape[1] / 2
    axis.add_patch(Rectangle(corner, *shape, facecolor=colour, edgecolor=INK, linewidth=0.8))
    axis.text(x, -0.0, filters, ha="center", va="top", fontsize=9, linespacing=1.0)


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
    note(above, f"threshold {threshold:.0f}", (0, threshold), (0, 4), fontsize=9.5)
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
    label, orange = "marked: above the threshold", CP_KERNEL.look.day
    axis.vlines(order, 0, values, color=GRID, linewidth=1)
    axis.plot(order[~marked], values[~marked], "o", color=SVD_KERNEL.look.day, markersize=4.5, label="not marked")
    axis.plot(order[marked], values[marked], "D", color=orange, markeredgecolor=INK, label=label)
