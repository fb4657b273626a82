"""Figures of quality: details side by side (Figure 4), and the sweeps of thresholds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.sweeps import LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.figure_pareto import level
from lowrank_sr.study.report.style import INK, MUTED, NARROW, WIDE, canvas, look
from lowrank_sr.study.technique import BY_NAME, REFERENCE, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION_HEIGHT = 0.38  # inches under a detail


def details(results: Results, folder: Path, wide: bool) -> "Figure":
    """The same detail by every technique, from the files in `folder`, PSNR under each."""
    panels = results.crop.panels
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
    """The technique of a detail as tables name it; the dense network, which several methods compute, is "network"."""
    if panel.name not in BY_NAME:
        return panel.name
    return "network" if BY_NAME[panel.name] == REFERENCE else BY_NAME[panel.name].label


def panel_title(panel: Panel) -> str:
    """What stands under a detail, in two lines."""
    name = panel_name(panel)
    return f"{name}\n" if panel.psnr_rgb is None else f"{name}\n{panel.psnr_rgb:.2f} dB"


def thresholds(results: Results, wide: bool) -> "Figure":
    """Quality and time as the threshold of the condition number falls, in both of its readings."""
    from matplotlib.lines import Line2D

    marking, cutting = measured(results.thresholds), measured(results.truncations)
    dense = results.quality[REFERENCE].psnr_rgb
    figure, axes = canvas(wide, (5.6, 4.9), 2, 2, sharey="row")
    _sweep(axes[:, 0], [point.threshold for point, _ in marking], [network for _, network in marking], dense)
    _sweep(axes[:, 1], [point.condition for point, _ in cutting], [network for _, network in cutting], dense)
    axes[0, 0].set_ylabel("PSNR, RGB (dB)")
    axes[1, 0].set_ylabel("speed-up over direct")
    axes[1, 0].set_xlabel("layers are marked above\nthis condition number")
    axes[1, 1].set_xlabel("every layer is truncated at\nthis condition number")
    handles = [
        Line2D([], [], **(look(SVD_KERNEL.name) | {"label": "measured"})),
        Line2D([], [], color=MUTED, linestyle="--", marker="x", markersize=5, label="theoretical"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _sweep(axes: "Sequence[Axes]", kappas: list[float], networks: list[LowRankNetwork], dense: float) -> None:
    """One reading: PSNR of `networks` by condition number, beside that of the `dense` one; below, their speed-ups."""
    from matplotlib.ticker import LogLocator

    above, below = axes
    style = look(SVD_KERNEL.name) | {"label": None}
    timings = [network.measured.direct for network in networks]
    above.plot(kappas, [network.quality.psnr_rgb for network in networks], **style)
    level(above, dense, "network")
    below.plot(kappas, [timing.speedup for timing in timings], **style)
    low, high = [timing.speedup_low for timing in timings], [timing.speedup_high for timing in timings]
    below.fill_between(kappas, low, high, color=style["color"], alpha=0.2, linewidth=0)
    theory = [network.theoretical_speedup for network in networks]
    below.plot(kappas, theory, color=MUTED, linestyle="--", marker="x", markersize=5)
    below.axhline(1, color=INK, linewidth=1, linestyle=":")
    for axis in axes:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
