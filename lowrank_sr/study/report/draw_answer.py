"""The figure of the answer: what a change gains against the truth, over how far the picture is from the dense one."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.record import POSTER, Results
from lowrank_sr.study.report import gains
from lowrank_sr.study.report.style import FIDELITY_AXIS, INK, MUTED, PAPER, canvas, key, look
from lowrank_sr.study.technique import (
    BLOCKS,
    KERNEL,
    MARKED,
    OUTSIDE,
    REFERENCE,
    SVD_BUNDLED,
    SVD_FITTED,
    SVD_KERNEL,
    UNMARKED,
    Technique,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = {"psnr_rgb": "PSNR gained, RGB (dB)", "ssim_rgb": "SSIM gained, RGB"}
DEEPEST = {"psnr_rgb": -1.5, "ssim_rgb": -0.08}  # what is lower is drawn there
SIZE = 8  # of markers, in points
MARKS: dict[str, dict[str, Any]] = {  # of single networks with kernels' factors, by their layers
    BLOCKS: {"marker": "<"},
    OUTSIDE: {"marker": ">"},
    MARKED: {"marker": "D"},
    UNMARKED: {"marker": "d"},
}


class Series(NamedTuple):
    """Pictures of one kind, the nearest to the dense network's first, and how they are drawn."""

    qualities: Sequence[Quality]
    style: dict[str, Any]


def answer(networks: Mapping[str, Results], wide: bool) -> "Figure":
    """PSNR and SSIM gained over the dense network, against fidelity, a column for each network."""
    count = len(networks)
    shape = (len(MEASURES), count) if wide else (len(MEASURES) * count, 1)
    figure, axes = canvas(wide, (7.4, 4.0 * len(MEASURES) * count), *shape, squeeze=False)
    for j, (name, results) in enumerate(networks.items()):
        for i, measure in enumerate(MEASURES):
            axis = axes[i, j] if wide else axes[j * len(MEASURES) + i, 0]
            _panel(axis, results, measure)
            if i == 0:
                axis.set_title(name, fontsize=11.5, weight="bold", loc="left")
    drawn = (axis.get_legend_handles_labels() for axis in figure.axes)
    handles = {label: handle for found in drawn for handle, label in zip(*found, strict=True)}
    key(figure, 4 if wide else 2, list(handles.values()), columnspacing=1.2, handletextpad=0.5)
    return figure


def _panel(axis: "Axes", results: Results, measure: str) -> None:
    for series in _series(results):
        xs = [quality.near for quality in series.qualities]
        ys = [statistics.fmean(results.gains(quality, measure)) for quality in series.qualities]
        shown = [max(y, DEEPEST[measure]) for y in ys]
        axis.plot(xs, shown, **series.style)
    theirs, original = (POSTER[technique][measure.removesuffix("_rgb")] for technique in (SVD_KERNEL, REFERENCE))
    axis.axhline(0, color=INK, linewidth=1)
    gained = theirs - original
    axis.axhline(gained, color=MUTED, linewidth=1.2, linestyle="-.", label=f"the poster's SVD: {gained:+.2f}")
    axis.set(xlabel=FIDELITY_AXIS, ylabel=MEASURES[measure])


def _series(results: Results) -> list[Series]:
    """Blur and bicubic enlargement, then the SVD networks by factors and by layers."""
    blurs = sorted(results.blurs.values(), key=lambda quality: -quality.near)
    plain = {"color": MUTED, "markersize": SIZE}
    every = [
        Series(blurs, plain | {"marker": "o", "linestyle": ":", "label": "the dense picture blurred"}),
        Series([results.bicubic], plain | {"marker": "X", "linestyle": "none", "label": "bicubic"}),
    ]
    networks = gains.svd_networks(results)
    blue = {"color": look(SVD_KERNEL.name)["color"], "markersize": SIZE}
    for technique, line, fill in ((SVD_KERNEL, "--", PAPER), (SVD_FITTED, "-", blue["color"])):
        style = blue | {"marker": "^", "linestyle": line, "markerfacecolor": fill, "label": technique.label}
        every.append(_of(networks, technique, style))
    every.append(_of(networks, SVD_BUNDLED, blue | {"marker": "*", "markersize": 2 * SIZE, "linestyle": "none"}))
    for layers, mark in MARKS.items():
        technique = Technique("svd", KERNEL, layers=layers)
        every.append(_of(networks, technique, blue | mark | {"linestyle": "none", "markerfacecolor": PAPER}))
    return [series for series in every if series.qualities]


def _of(networks: list[gains.Network], technique: Technique, style: dict[str, Any]) -> Series:
    """The networks of one technique."""
    of = [network.quality for network in networks if network.technique == technique]
    return Series(of, {"label": technique.label, **style})
