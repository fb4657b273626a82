"""Which part of a loss comes from which layers, ranks and factors; and what each layer costs alone."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lowrank_sr.study.measure.ablation import Ablated
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.figure_layers import name_layers
from lowrank_sr.study.report.figure_pareto import LEAST_LOSS, level_of_bicubic
from lowrank_sr.study.report.style import INK, MUTED, PAPER, canvas
from lowrank_sr.study.report.tables_causes import FACTORS
from lowrank_sr.study.technique import BIAS, CP_KERNEL, FITTED, KERNEL, LAYERS, REFERENCE, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# marker, and how much of it is filled
MARKERS: dict[str, tuple[str, Any]] = {KERNEL: ("o", "none"), BIAS: ("o", "left"), FITTED: ("o", "full")}


def combinations(results: Results, wide: bool) -> "Figure":
    """PSNR lost by every combination of layers, ranks and factors, a row for each choice of layers and ranks."""
    from matplotlib.lines import Line2D

    rows = list(dict.fromkeys((point.ranks, point.layers) for point in results.ablation))
    figure, axis = canvas(wide, (4.2, 4.2))
    forms = list(dict.fromkeys(point.form for point in results.ablation))
    colours = {"svd": SVD_KERNEL.look.day, "cp": CP_KERNEL.look.day}
    for point in results.ablation:
        marker, fill = MARKERS[point.factors]
        below = 0.22 * (forms.index(point.form) - (len(forms) - 1) / 2)
        place = rows.index((point.ranks, point.layers)) + below
        style = {"color": colours[point.form], "markerfacecoloralt": PAPER, "markersize": 8}
        axis.plot(lost(results, point.quality.psnr_rgb), place, marker, fillstyle=fill, **style)
    axis.set_yticks(range(len(rows)), [_row_name(results, *row, wide) for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set(xscale="log", xlabel="PSNR lost, RGB (dB)")
    axis.xaxis.set_major_formatter("{x:g}")
    handles = [
        Line2D([], [], linestyle="none", marker=marker, fillstyle=fill, color=MUTED, label=FACTORS[factors])
        for factors, (marker, fill) in MARKERS.items()
    ]
    handles += [Line2D([], [], linewidth=6, color=colours[form], label=form.upper()) for form in forms]
    figure.legend(handles=handles, loc="outside upper center", ncols=5 if wide else 3, columnspacing=1.2)
    return figure


def _row_name(results: Results, ranks: str, layers: str, wide: bool) -> str:
    """Which layers and ranks, with the speed-up that they have in theory."""
    some: list[Ablated] = [point for point in results.ablation if (point.ranks, point.layers) == (ranks, layers)]
    speedups = ", ".join(dict.fromkeys(f"×{point.theoretical_speedup:.2f}" for point in some))
    return f"{LAYERS[layers]},{' ' if wide else chr(10)}{ranks} ranks: {speedups}"


def alone(results: Results, wide: bool) -> "Figure":
    """PSNR lost by each layer factorised alone, as it is and once colours are matched."""
    rows = [row.layer for row in results.alone]
    figure, axis = canvas(wide, (3.8, 3.8))
    name_layers(axis, rows, wide)
    order = np.arange(len(rows))
    raw = [lost(results, row.quality.psnr_rgb) for row in results.alone]
    matched = [lost(results, row.quality.psnr_rgb_matched or row.quality.psnr_rgb) for row in results.alone]
    axis.vlines(order, matched, raw, color=MUTED, linewidth=1)
    axis.plot(order, raw, "^", color=SVD_KERNEL.look.day, label="SVD of the kernel at half the layer's FLOPs")
    axis.plot(order, matched, "o", color=INK, markerfacecolor=PAPER, label="the same, colours matched")
    axis.set(yscale="log", ylabel="PSNR lost, RGB (dB)")
    axis.yaxis.set_major_formatter("{x:g}")
    level_of_bicubic(axis, results)
    figure.legend(loc="outside upper center", ncols=2 if wide else 1)
    return figure


def lost(results: Results, psnr: float) -> float:
    """PSNR below the dense network's, in dB, at least LEAST_LOSS."""
    return max(results.quality[REFERENCE].psnr_rgb - psnr, LEAST_LOSS)
