"""Figures of fidelity: against speed-up, by layers, ranks and factors, by a threshold; what training wins back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowrank_sr.study.measure.sweeps import GuardedPoint, SpeedupPoint, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.draw_layers import name_layers
from lowrank_sr.study.report.style import FIDELITY_AXIS, INK, MUTED, PAPER, canvas, key, look
from lowrank_sr.study.report.tables import qualities, short_name
from lowrank_sr.study.technique import (
    ALL,
    BIAS,
    FACTORS,
    FITTED,
    KERNEL,
    LAYERS,
    REFERENCE,
    SVD_KERNEL,
    TUNED,
    Technique,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILLS: dict[str, Any] = {KERNEL: "none", BIAS: "left", FITTED: "full"}  # of a marker in the ablation, by the factors


def pareto(results: Results, wide: bool) -> "Figure":
    """Fidelity against theoretical and against measured speed-up, SVD and CP, their factors fitted or not."""
    points = measured(results.speedups)
    figure, axes = canvas(wide, (4.8, 7.6), *((1, 2) if wide else (2, 1)), sharey=True)
    theory = [network.theoretical_speedup for _, network in points]
    timed = [network.measured.winograd.speedup for _, network in points]
    for axis, panel, speedups in ((axes[0], "theory", theory), (axes[1], "clock", timed)):
        _front(axis, panel, results, speedups)
        axis.axvline(1, color=MUTED, linewidth=1)
        _fidelity_above(axis, results)
    axes[0].set_xlabel("speed-up in theory: FLOPs of dense / FLOPs")
    axes[1].set_xlabel("measured speed-up over direct, by Winograd where possible")
    best = clock.fastest_exact(results)[0]
    if best != REFERENCE:
        speedup = results.times[best].measured.speedup
        axes[1].axvline(speedup, color=best.look.day, linewidth=1.4, linestyle="-.", label=f"{best.label}, lossless")
    key(figure, 4 if wide else 2, columnspacing=1.2, handletextpad=0.5)
    return figure


def _front(axis: "Axes", panel: str, results: Results, speedups: Sequence[float]) -> None:
    """A line for each technique, and a marker for each network with an id of its own."""
    points = measured(results.speedups)
    for technique in dict.fromkeys(point.technique for point, _ in points):
        if technique.layers != ALL:
            line, fill = ":", "left"
        else:
            line, fill = ("-", "full") if technique.factors == FITTED else ("--", "none")
        style = look(technique.name) | {"fillstyle": fill, "markerfacecoloralt": PAPER, "markersize": 8}
        single, places = style | {"label": None, "linestyle": "none"}, []
        for speedup, (point, network) in zip(speedups, points, strict=True):
            if point.technique == technique:
                places.append((speedup, network.quality.near))
                axis.plot(*places[-1], gid=f"point-{slug(point)}-{panel}", zorder=3, **single)
        axis.plot(*zip(*places, strict=True), linestyle=line, color=style["color"])
        axis.plot([], [], linestyle=line, **style)


def slug(point: SpeedupPoint) -> str:
    """A point's name as part of an id: "svd-fitted-1.5"."""
    return f"{point.technique.name.replace(' ', '-')}-{point.speedup:g}"


def _fidelity_above(axis: "Axes", results: Results) -> None:
    """A vertical axis for fidelity, with a line at that of bicubic enlargement."""
    axis.set_ylabel(FIDELITY_AXIS)
    _level(axis, results.bicubic.near, "bicubic")


def _level(axis: "Axes", value: float, text: str) -> None:
    """A horizontal line with its name at the right end."""
    axis.axhline(value, color=INK, linewidth=1, linestyle=":")
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # lines that would cross the name
    axis.text(1, value, text, transform=axis.get_yaxis_transform(), ha="right", va="bottom", fontsize=9, bbox=behind)


def combinations(results: Results, wide: bool) -> "Figure":
    """Fidelity of every combination of layers, ranks and factors, a row for each choice of layers and ranks."""
    from matplotlib.lines import Line2D

    rows = list(dict.fromkeys((point.ranks, point.layers) for point in results.ablation))
    figure, axis = canvas(wide, (4.2, 4.2))
    forms = list(dict.fromkeys(point.form for point in results.ablation))
    colours = {form: Technique(form).look.day for form in forms}
    for point in results.ablation:
        below = 0.22 * (forms.index(point.form) - (len(forms) - 1) / 2)
        place = point.quality.near, rows.index((point.ranks, point.layers)) + below
        style = {"color": colours[point.form], "markerfacecoloralt": PAPER, "markersize": 8}
        axis.plot(*place, "o", fillstyle=FILLS[point.factors], **style)
    axis.set_yticks(range(len(rows)), [_row_name(results, *row, " " if wide else "\n") for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(FIDELITY_AXIS)
    handles = [
        Line2D([], [], linestyle="none", marker="o", fillstyle=fill, color=MUTED, label=FACTORS[factors])
        for factors, fill in FILLS.items()
    ]
    handles += [Line2D([], [], linewidth=6, color=colours[form], label=form.upper()) for form in forms]
    key(figure, 5 if wide else 3, handles, columnspacing=1.2)
    return figure


def _row_name(results: Results, ranks: str, layers: str, space: str) -> str:
    """Which layers and ranks, with the speed-up that they have in theory."""
    some = [point.theoretical_speedup for point in results.ablation if (point.ranks, point.layers) == (ranks, layers)]
    return f"{LAYERS[layers]},{space}{ranks} ranks: {', '.join(dict.fromkeys(f'×{each:.2f}' for each in some))}"


def alone(results: Results, wide: bool) -> "Figure":
    """Fidelity with each layer factorised alone, as it is and once colours are matched."""
    figure, axis = canvas(wide, (3.8, 3.8))
    name_layers(axis, [row.layer for row in results.alone], wide)
    order = np.arange(len(results.alone))
    raw, matched = ([getattr(row.quality, of) for row in results.alone] for of in ("fidelity", "fidelity_matched"))
    axis.vlines(order, matched, raw, color=MUTED, linewidth=1)
    axis.plot(order, raw, "^", color=SVD_KERNEL.look.day, label="SVD of the kernel at half the layer's FLOPs")
    axis.plot(order, matched, "o", color=INK, markerfacecolor=PAPER, label="the same, colours matched")
    _fidelity_above(axis, results)
    key(figure, 2 if wide else 1)
    return figure


def thresholds(results: Results, wide: bool) -> "Figure":
    """Fidelity and speed as the threshold falls, in its three readings: above or on the left fidelity, then speed."""
    from matplotlib.lines import Line2D

    readings: dict[str, list[tuple[float, GuardedPoint]]] = {
        "layers are marked above\nthis condition number": [(p.threshold, p) for p in results.thresholds],
        "every layer is truncated at\nthis condition number": [(p.condition, p) for p in results.truncations],
        "every layer keeps singular\nvalues above this limit": [(p.limit, p) for p in results.limits],
    }
    shape, shared = ((2, 3), "row") if wide else ((3, 2), "col")
    figure, axes = canvas(wide, (5.6, 7.6), *shape, sharey=shared)
    axes = axes if wide else axes.T
    for (label, points), (above, below) in zip(readings.items(), axes.T, strict=True):
        _reading(above, below, points)
        _level(above, results.bicubic.near, "bicubic")
        below.axhline(1, color=INK, linewidth=1, linestyle=":")
        below.set_xlabel(label)
        if not wide:
            above.set_xlabel(label)
    for above, below in axes.T[:1] if wide else axes.T:
        above.set_ylabel("fidelity (dB)")
        below.set_ylabel("speed-up over direct")
    style = look(SVD_KERNEL.name)
    handles = [
        Line2D([], [], **(style | {"label": "where it costs less than dense"})),
        Line2D([], [], linestyle="--", markerfacecolor=PAPER, **(style | {"label": "whatever it costs"})),
        Line2D([], [], color=MUTED, linestyle=":", marker="x", markersize=5, label="the same in theory"),
    ]
    key(figure, 3 if wide else 2, handles)
    return figure


def _reading(above: "Axes", below: "Axes", points: Sequence[tuple[float, GuardedPoint]]) -> None:
    """Fidelity and speed-up of SVD networks by their threshold, with and without the break-even guard."""
    from matplotlib.ticker import LogLocator

    style = look(SVD_KERNEL.name) | {"label": None}
    hollow: dict[str, Any] = {"linestyle": "--", "markerfacecolor": PAPER}
    guarded = [(at, point.network) for at, point in points if point.network]
    unguarded = [(at, network) for at, point in points if (network := point.unguarded or point.network)]
    for networks, more in ((guarded, {}), (unguarded, hollow)):
        places, timings = [at for at, _ in networks], [network.measured.direct for _, network in networks]
        above.plot(places, [network.quality.near for _, network in networks], **style, **more)
        below.plot(places, [timing.speedup for timing in timings], **style, **more)
        low, high = [timing.speedup_low for timing in timings], [timing.speedup_high for timing in timings]
        below.fill_between(places, low, high, color=style["color"], alpha=0.15, linewidth=0)
    theory = [network.theoretical_speedup for _, network in unguarded]
    below.plot([at for at, _ in unguarded], theory, color=MUTED, linestyle=":", marker="x", markersize=5)
    for axis in (above, below):
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()


def tuned(results: Results, wide: bool) -> "Figure":
    """Fidelity against seconds, a line from each network to what it was trained to."""
    from matplotlib.lines import Line2D

    figure, axis = canvas(wide, (4.6, 5.2))
    for technique in results.tuned:
        _stages(axis, results, technique)
    _level(axis, results.bicubic.near, "bicubic")
    axis.set_xlabel(f"seconds for {results.side} x {results.side} pixels, by direct convolution")
    axis.set_ylabel(FIDELITY_AXIS)
    grey: dict[str, Any] = {"color": MUTED, "linestyle": "none"}
    handles = [Line2D([], [], label=short_name(technique), **_style(technique)) for technique in results.tuned]
    handles += [Line2D([], [], marker="^", fillstyle="none", label="kernel", **grey)]
    handles += [Line2D([], [], marker="^", label="fitted", **grey)]
    handles += [Line2D([], [], marker="o", fillstyle="none", markersize=11, label="fine-tuned", **grey)]
    key(figure, 6 if wide else 3, handles, columnspacing=1.2)
    return figure


def _stages(axis: "Axes", results: Results, technique: Technique) -> None:
    """Draw a network before and after its training, but for the dense one before it."""
    places, colour = [], technique.look.day
    known = {stage: quality for stage, quality in qualities(results, technique).items() if quality.fidelity is not None}
    for stage, quality in known.items():
        timing = results.stages[stage].measured
        places.append((timing.seconds, quality.near))
        whiskers = [[timing.seconds - timing.seconds_low], [timing.seconds_high - timing.seconds]]
        axis.errorbar(*places[-1], xerr=whiskers, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
        fill = "none" if stage.factors == KERNEL and stage.form else "full"
        axis.plot(*places[-1], fillstyle=fill, markersize=8, zorder=3, **_style(technique))
        if stage.factors == TUNED:
            axis.plot(*places[-1], "o", markersize=15, markerfacecolor="none", markeredgecolor=colour)
    axis.plot(*zip(*places, strict=True), color=colour, linewidth=1, linestyle=":")


def _style(technique: Technique) -> dict[str, Any]:
    return {"color": technique.look.day, "marker": technique.look.marker, "linestyle": "none"}
