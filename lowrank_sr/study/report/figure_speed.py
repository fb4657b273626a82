"""Figures of seconds and memory: inference time of each technique (Figure 3), and peak memory by picture size."""

import numpy as np

from lowrank_sr.study.report.style import INK, MUTED, PAPER, TECHNIQUES, canvas, look


def times(steps: dict):
    """Seconds of each technique with their quartiles; beside them the theoretical speed-up and the measured one."""
    from matplotlib.patches import Patch

    rows = steps["time"]["techniques"]
    names = list(rows)
    figure, (left, right) = canvas(0.9 + 0.44 * len(names), 1, 2, sharey=True)
    order = np.arange(len(names))
    theory = [rows[name]["theoretical_speedup"] for name in names]
    _bars(left, order, rows, "seconds", 0.62)
    _bars(right, order + 0.18, rows, "speedup", 0.34, least=max(theory))
    right.barh(order - 0.18, theory, 0.34, facecolor="none", edgecolor=MUTED, hatch="//////", linewidth=1)
    left.set_yticks(order, [TECHNIQUES[name][4] for name in names])
    left.invert_yaxis()
    left.set_xlabel(f"seconds, {steps['time']['side']} x {steps['time']['side']} pixels")
    right.set_xlabel("speed-up")
    right.axvline(1, color=INK, linewidth=1)
    for axis in (left, right):
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
    handles = [
        Patch(facecolor="none", edgecolor=MUTED, hatch="//////", label="theoretical"),
        Patch(facecolor=MUTED, label="measured"),
    ]
    right.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return figure


def _bars(axis, order, rows, key, height, least=0):
    for y, (name, row) in zip(order, rows.items(), strict=True):
        measured, colour = row["measured"], TECHNIQUES[name][0]
        middle = measured[key]
        spread = [[middle - measured[f"{key}_low"]], [measured[f"{key}_high"] - middle]]
        axis.barh(y, middle, height, color=colour)
        axis.errorbar(middle, y, xerr=spread, fmt="none", ecolor=INK, elinewidth=1.4, capsize=3)
        digits = 2 if middle >= 0.1 else 3
        axis.annotate(
            f"{middle:.{digits}f}",
            (measured[f"{key}_high"], y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    longest = max(max(row["measured"][f"{key}_high"] for row in rows.values()), least)
    axis.set_xlim(0, longest * 1.4)


def memory(steps: dict):
    """Peak memory of each technique by size of the picture, both logarithmic; None where the system does not tell."""
    figure, axis = canvas(4.2)
    drawn = 0
    for name in steps["time"]["techniques"]:
        rows = [row for row in steps[f"memory/{name}"]["sides"] if row["measured"]["peak_mb"]]
        style = look(name)
        fill = PAPER if name in ("svd", "cp") else style["color"]
        line = {"direct": "-", "im2col": "--", "kn2row": "-.", "winograd": ":"}.get(name, "-")
        sides, peaks = [row["side"] for row in rows], [row["measured"]["peak_mb"] for row in rows]
        axis.plot(sides, peaks, linestyle=line, markerfacecolor=fill, markeredgecolor=style["color"], **style)
        drawn += len(rows)
    if not drawn:
        return None
    sides = [row["side"] for row in rows]
    axis.set(
        xscale="log", yscale="log", xlabel="side of the picture (pixels at low resolution)", ylabel="peak memory (MB)"
    )
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if _inside(axis, tick)]
    axis.set_yticks(ticks, [str(tick) for tick in ticks])
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handletextpad=0.5)
    return figure


def _inside(axis, value):
    low, high = axis.get_ylim()
    return low <= value <= high
