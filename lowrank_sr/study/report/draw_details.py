"""Figures of pictures: the same detail by every technique (Figure 4), by what changes the tail, and by the sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.report.style import NARROW, WIDE, canvas
from lowrank_sr.study.technique import BY_NAME, REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION_HEIGHT = 0.38  # inches under a detail


def details(panels: Sequence[Panel], folder: Path, wide: bool) -> "Figure":
    """Details from their files in `folder`, PSNR under each."""
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
        axis.set_xlabel("\n".join(title(panel)), fontsize=9)
    return figure


def name(panel: Panel) -> str:
    """The technique of a detail as tables name it, and its speed-up in theory; "network" is the dense one."""
    technique, _, speedup = panel.name.partition("/")
    if technique not in BY_NAME:
        return technique
    label = "network" if BY_NAME[technique] == REFERENCE else BY_NAME[technique].label
    return f"{label}, ×{speedup}" if speedup else label


def title(panel: Panel) -> tuple[str, str]:
    """What stands under a detail, in two lines."""
    return name(panel), "" if panel.psnr_rgb is None else f"{panel.psnr_rgb:.2f} dB"
