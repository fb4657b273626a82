"""The Pareto front: PSNR lost against speed-up, in theory and measured; its points can be told apart in the SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lowrank_sr.study.measure.sweeps import LowRankNetwork, SpeedupPoint, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.style import INK, MUTED, PAPER, canvas, look
from lowrank_sr.study.technique import ALL, FITTED, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_LOSS = 0.005  # dB: smaller losses are drawn here, since a logarithmic axis has no zero


def pareto(results: Results, wide: bool) -> "Figure":
    """PSNR lost against theoretical and against measured speed-up, SVD and CP, their factors fitted or not."""
    points, dense = measured(results.speedups), results.quality[REFERENCE].psnr_rgb
    figure, axes = canvas(wide, (4.8, 7.6), *((1, 2) if wide else (2, 1)), sharey=True)
    theory = [network.theoretical_speedup for _, network in points]
    clock = [network.measured.winograd.speedup for _, network in points]
    for axis, panel, speedups in ((axes[0], "theory", theory), (axes[1], "clock", clock)):
        _front(axis, panel, points, speedups, dense)
        axis.set(yscale="log", ylabel="PSNR lost, RGB (dB)")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.axvline(1, color=MUTED, linewidth=1)
        level_of_bicubic(axis, results)
    axes[0].invert_yaxis()  # better is higher, on both: they share the axis
    axes[0].set_xlabel("speed-up in theory: FLOPs of dense / FLOPs")
    axes[1].set_xlabel("measured speed-up over direct, by Winograd where possible")
    best = results.times.fastest_dense()
    if best != REFERENCE:
        speedup = results.times.techniques[best].measured.speedup
        axes[1].axvline(speedup, color=best.look.day, linewidth=1.4, linestyle="-.", label=f"{best.label}, lossless")
    handles, labels = axes[1].get_legend_handles_labels()
    columns = 4 if wide else 2
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2, handletextpad=0.5)
    return figure


def _front(
    axis: "Axes",
    panel: str,
    points: Sequence[tuple[SpeedupPoint, LowRankNetwork]],
    speedups: Sequence[float],
    dense: float,
) -> None:
    """A line for each technique, and a marker for each network with an id of its own."""
    for technique in dict.fromkeys(point.technique for point, _ in points):
        style = look(technique.name)
        marker = {"marker": style.pop("marker"), "color": style["color"], "linestyle": "none"}
        fitted = technique.factors == FITTED
        marker |= {"fillstyle": "full" if fitted else "none" if technique.layers == ALL else "left"}
        marker |= {"markerfacecoloralt": PAPER, "markersize": 8}
        line = {"linestyle": "-" if fitted else "--", "color": style["color"]}
        if technique.layers != ALL:
            line["linestyle"] = ":"
        places = []
        for speedup, (point, network) in zip(speedups, points, strict=True):
            if point.technique == technique:
                places.append((speedup, max(dense - network.quality.psnr_rgb, LEAST_LOSS)))
                axis.plot(*places[-1], gid=f"point-{slug(point)}-{panel}", zorder=3, **marker)
        axis.plot(*zip(*places, strict=True), **line)
        axis.plot([], [], **(line | marker | {"linestyle": line["linestyle"]}), label=style["label"])


def slug(point: SpeedupPoint) -> str:
    """A point's name as part of an id: "svd-fitted-1.5"."""
    return f"{point.technique.name.replace(' ', '-')}-{point.speedup:g}"


def level_of_bicubic(axis: "Axes", results: Results) -> None:
    """A line at what bicubic enlargement loses."""
    behind = results.quality[REFERENCE].psnr_rgb - results.bicubic.psnr_rgb
    if behind > LEAST_LOSS:
        level(axis, behind, "bicubic")


def level(axis: "Axes", value: float, text: str) -> None:
    """A horizontal line with its name at the right end."""
    axis.axhline(value, color=INK, linewidth=1, linestyle=":")
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}  # lines that would cross the name
    axis.text(1, value, text, transform=axis.get_yaxis_transform(), ha="right", va="bottom", fontsize=9, bbox=behind)
