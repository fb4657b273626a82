"""Two figures over the layers: condition numbers in network order (Figure 2), and FLOPs against time."""

import numpy as np

from lowrank_sr.study.report.style import GRID, INK, MUTED, PAPER, TECHNIQUES, canvas, look


def conditions(steps: dict):
    """Condition number of every layer, the threshold and what it marks; below, the rank for 90% of the energy."""
    result = steps["condition numbers"]
    rows, threshold = result["layers"], result["threshold"]
    figure, (above, below) = canvas(5.6, 2, 1, sharex=True)
    marked = np.array([row["marked"] for row in rows])
    order = np.arange(1, len(rows) + 1)
    for axis, key in ((above, "condition"), (below, "rank_90_percent")):
        values = np.array([row[key] for row in rows])
        _stems(axis, order, values, marked)
        axis.grid(axis="x", visible=False)
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


def _stems(axis, order, values, marked):
    base = 0 if axis.get_yscale() == "linear" else 1
    axis.vlines(order, base, values, color=GRID, linewidth=1)
    blue, orange = TECHNIQUES["svd"][0], TECHNIQUES["cp"][0]
    axis.plot(order[~marked], values[~marked], "o", color=blue, markersize=4.5, label="not marked")
    axis.plot(
        order[marked], values[marked], "D", color=orange, markeredgecolor=INK, label="marked: above the threshold"
    )


def flops_and_time(rows: list[dict], roof: float | None):
    """FLOPs against seconds, both logarithmic, with lines of equal GFLOP/s, `roof` being sgemm's.

    `rows` are of `technique`, `gflop`, `seconds`.
    """
    figure, axis = canvas(5.0)
    work = np.array([min(row["gflop"] for row in rows) / 2, max(row["gflop"] for row in rows) * 2])
    seconds = np.array([row["seconds"] for row in rows])
    low, high = seconds.min() / 2, seconds.max() * 2
    axis.set(xscale="log", yscale="log", xlim=work, ylim=(1e3 * low, 1e3 * high))
    if roof:
        axis.plot(work, 1e3 * work / roof, color=INK, linewidth=1.8, label=f"sgemm, {roof:.0f} GFLOP/s")
    for rate in (1, 10, 100, 1000, 10000):
        _guide(axis, work, rate, low, high)
    names = list(dict.fromkeys(row["technique"] for row in rows))
    others = [name for name in names if name not in TECHNIQUES]
    for name in names:
        own = [row for row in rows if row["technique"] == name]
        style = look(name, others.index(name) if name in others else 0)
        xs, ys = [row["gflop"] for row in own], [1e3 * row["seconds"] for row in own]
        style["label"] = style["label"].removesuffix(", kernel")  # whose values do not matter to a clock
        axis.plot(xs, ys, linestyle="none", markeredgecolor=PAPER, markeredgewidth=0.6, alpha=0.95, **style)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter("{x:g}")
    axis.set(xlabel="GFLOP of the layer, by the formula of its form", ylabel="time (ms)")
    axis.plot([], [], color=MUTED, linewidth=0.8, linestyle=":", label="equal GFLOP/s")
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handletextpad=0.4)
    return figure


def _guide(axis, work, rate, low, high):
    """A line of equal GFLOP/s, its rate written where it leaves the figure."""
    axis.plot(work, 1e3 * work / rate, color=MUTED, linewidth=0.8, linestyle=":")
    style = {"fontsize": 8.5, "color": MUTED, "textcoords": "offset points"}
    if low < work[1] / rate <= high:
        axis.annotate(f"{rate:g}", (work[1], 1e3 * work[1] / rate), xytext=(4, 0), va="center", **style)
    elif work[0] / rate < high < work[1] / rate:
        axis.annotate(f"{rate:g}", (high * rate, 1e3 * high), xytext=(0, 3), ha="center", **style)
