"""What fine-tuning gives: PSNR against measured time, of the kernel's factors, of fitted and of fine-tuned ones."""

from typing import TYPE_CHECKING, Any

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.gains import qualities, short_name
from lowrank_sr.study.report.style import INK, MUTED, canvas
from lowrank_sr.study.technique import KERNEL, REFERENCE, TUNED, Technique

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINEAR = 0.02  # dB: smaller differences are drawn to one scale, larger ones on a logarithmic one
TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # dB, to both sides


def tuned(results: Results, wide: bool) -> "Figure":
    """PSNR above or below the dense network's against seconds, a line from each network to what it was trained to."""
    from matplotlib.lines import Line2D

    figure, axis = canvas(wide, (4.6, 5.2))
    drawn = [difference for technique in results.tuned for difference in _network(axis, results, technique)]
    _differences(axis, drawn)
    axis.set_xlabel(f"seconds for {results.times.side} x {results.times.side} pixels, by direct convolution")
    axis.set_ylabel("PSNR − the dense network's, RGB (dB)")
    grey: dict[str, Any] = {"color": MUTED, "linestyle": "none"}
    handles = [Line2D([], [], label=short_name(technique), **_style(technique)) for technique in results.tuned]
    handles.append(Line2D([], [], marker="^", fillstyle="none", label="kernel", **grey))
    handles.append(Line2D([], [], marker="^", label="fitted", **grey))
    handles.append(Line2D([], [], marker="o", fillstyle="none", markersize=11, label="fine-tuned", **grey))
    figure.legend(handles=handles, loc="outside upper center", ncols=6 if wide else 3, columnspacing=1.2)
    return figure


def _network(axis: "Axes", results: Results, technique: Technique) -> list[float]:
    """Draw a network before and after its training; return its differences to the dense one in dB."""
    style, places = _style(technique), []
    colour = style["color"]
    for stage, quality in qualities(results, technique).items():
        timing = results.stages[stage].measured
        place = timing.seconds, quality.psnr_rgb - results.quality[REFERENCE].psnr_rgb
        whiskers = [[timing.seconds - timing.seconds_low], [timing.seconds_high - timing.seconds]]
        axis.errorbar(*place, xerr=whiskers, fmt="none", ecolor=colour, elinewidth=1, capsize=2)
        hollow = stage.factors == KERNEL and stage.form is not None
        axis.plot(*place, fillstyle="none" if hollow else "full", markersize=8, zorder=3, **style)
        if stage.factors == TUNED:
            axis.plot(*place, "o", markersize=15, markerfacecolor="none", markeredgecolor=colour)
        places.append(place)
    axis.plot(*zip(*places, strict=True), color=colour, linewidth=1, linestyle=":")
    return [difference for _, difference in places]


def _style(technique: Technique) -> dict[str, Any]:
    return {"color": technique.look.day, "marker": technique.look.marker, "linestyle": "none"}


def _differences(axis: "Axes", drawn: list[float]) -> None:
    """A vertical axis for differences of both signs, from thousandths of a decibel to tens."""
    axis.set_yscale("symlog", linthresh=LINEAR, linscale=1.5)
    low, high = 2 * min(*drawn, -LINEAR / 4), 2 * max(*drawn, LINEAR / 4)
    axis.set_ylim(low, high)
    ticks = [0.0, *(sign * tick for tick in TICKS for sign in (1, -1) if low <= sign * tick <= high)]
    axis.set_yticks(ticks, [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks])
    axis.minorticks_off()
    axis.axhline(0, color=INK, linewidth=1)
