"""Figures of quality: details side by side (Figure 4), and the sweeps of thresholds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.sweeps import GuardedPoint
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.figure_pareto import level
from lowrank_sr.study.report.style import INK, MUTED, NARROW, PAPER, WIDE, canvas, look
from lowrank_sr.study.technique import BY_NAME, REFERENCE, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION_HEIGHT = 0.38  # inches under a detail


def details(results: Results, folder: Path, wide: bool) -> "Figure":
    """The same detail by every technique, from the files in `folder`, PSNR under each."""
    return _grid(results.crop.panels, folder, wide)


def tail(results: Results, folder: Path, wide: bool) -> "Figure":
    """The same detail with layers outside the dense blocks factorised, and with what mends it."""
    return _grid(results.crop.tail, folder, wide)


def sweep(results: Results, folder: Path, wide: bool) -> "Figure":
    """The same detail by the networks of the sweep of speed-ups."""
    return _grid(results.crop.sweep, folder, wide)


def _grid(panels: Sequence[Panel], folder: Path, wide: bool) -> "Figure":
    columns = 3 if len(panels) <= 6 else 4
    rows = -(-len(panels) // columns)
    heights = rows * (WIDE / columns + CAPTION_HEIGHT), rows * (NARROW / columns + CAPTION_HEIGHT)
    figure, axes = canvas(wide, heights, rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        axis.imshow(read_image(folder / panel.file).pixels, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_xlabel(panel_title(panel), fontsize=9)
    return figure


def panel_name(panel: Panel) -> str:
    """The technique of a detail as tables name it, and its speed-up in theory; "network" is the dense one."""
    name, _, speedup = panel.name.partition("/")
    if name not in BY_NAME:
        return name
    label = "network" if BY_NAME[name] == REFERENCE else BY_NAME[name].label
    return f"{label}, ×{speedup}" if speedup else label


def panel_title(panel: Panel) -> str:
    """What stands under a detail, in two lines."""
    name = panel_name(panel)
    return f"{name}\n" if panel.psnr_rgb is None else f"{name}\n{panel.psnr_rgb:.2f} dB"


def thresholds(results: Results, wide: bool) -> "Figure":
    """Quality and speed as the threshold falls, in its three readings: above or on the left PSNR, then the speed-up."""
    from matplotlib.lines import Line2D

    readings: list[tuple[str, list[tuple[float, GuardedPoint]]]] = [
        ("layers are marked above\nthis condition number", [(p.threshold, p) for p in results.thresholds]),
        ("every layer is truncated at\nthis condition number", [(p.condition, p) for p in results.truncations]),
        ("every layer keeps singular\nvalues above this limit", [(p.limit, p) for p in results.limits]),
    ]
    if wide:
        figure, axes = canvas(wide, (5.6, 0), 2, 3, sharey="row")
    else:
        figure, axes = canvas(wide, (0, 7.6), 3, 2, sharey="col")
        axes = axes.T
    for (label, points), (above, below) in zip(readings, axes.T, strict=True):
        _reading(above, below, points)
        level(above, results.quality[REFERENCE].psnr_rgb, "network")
        below.axhline(1, color=INK, linewidth=1, linestyle=":")
        below.set_xlabel(label)
        if not wide:
            above.set_xlabel(label)
    for axis in axes[0] if not wide else axes[0, :1]:
        axis.set_ylabel("PSNR, RGB (dB)")
    for axis in axes[1] if not wide else axes[1, :1]:
        axis.set_ylabel("speed-up over direct")
    style = look(SVD_KERNEL.name)
    handles = [
        Line2D([], [], **(style | {"label": "where it costs less than dense"})),
        Line2D([], [], linestyle="--", markerfacecolor=PAPER, **(style | {"label": "whatever it costs"})),
        Line2D([], [], color=MUTED, linestyle=":", marker="x", markersize=5, label="the same in theory"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3 if wide else 2)
    return figure


def _reading(above: "Axes", below: "Axes", points: Sequence[tuple[float, GuardedPoint]]) -> None:
    """PSNR and speed-up of SVD networks by their threshold, with and without the break-even guard."""
    from matplotlib.ticker import LogLocator

    style = look(SVD_KERNEL.name) | {"label": None}
    hollow: dict[str, Any] = {"linestyle": "--", "markerfacecolor": PAPER}
    guarded = [(at, point.network) for at, point in points if point.network]
    unguarded = [(at, network) for at, point in points if (network := point.fewest_guards())]
    for networks, more in ((guarded, {}), (unguarded, hollow)):
        places = [at for at, _ in networks]
        timings = [network.measured.direct for _, network in networks]
        above.plot(places, [network.quality.psnr_rgb for _, network in networks], **style, **more)
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
