"""The figures of a report, their files, and those of pictures; what stands under each is in report.j2."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.errors import InputError
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import draw_answer, draw_layers, draw_loss, draw_speed, style
from lowrank_sr.study.report.style import NARROW, WIDE, canvas
from lowrank_sr.study.technique import BY_NAME, REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION_HEIGHT = 0.38  # inches under a detail
ENDINGS = {".png": True, ".svg": True, "-narrow.svg": False}  # of a figure's files, and whether it is as wide as a page


def figures_of(results: Results, folder: Path) -> "dict[str, Callable[[bool], Figure]]":
    """The functions that draw the figures of a network, across the page or for a narrow screen, by name."""
    crop = results.crop
    readings = results.thresholds and results.truncations and results.limits
    peaks = [at for at in results.memory[REFERENCE].sides if at.measured.peak_mb]
    figures: dict[str, tuple[object, Callable[[bool], Figure]]] = {  # with what must be there
        "figure2": (True, partial(draw_layers.conditions, results)),
        "figure3": (True, partial(draw_speed.times, results)),
        "figure4": (True, partial(details, crop.panels, folder)),
        "layers": (results.layers, partial(draw_speed.layers, results)),
        "ablation": (results.ablation, partial(draw_loss.combinations, results)),
        "alone": (results.alone, partial(draw_loss.alone, results)),
        "tail": (crop.tail, partial(details, crop.tail, folder)),
        "pareto": (measured(results.speedups), partial(draw_loss.pareto, results)),
        "tuned": (results.tuned, partial(draw_loss.tuned, results)),
        "sweep": (crop.sweep, partial(details, crop.sweep, folder)),
        "thresholds": (readings, partial(draw_loss.thresholds, results)),
        "memory": (peaks, partial(draw_speed.memory, results)),
    }
    return {name: draw for name, (there, draw) in figures.items() if there}


def of_all(networks: Mapping[str, Results]) -> "dict[str, Callable[[bool], Figure]]":
    """The functions that draw the figures of all networks, which go by their names, together."""
    return {"answer": partial(draw_answer.answer, networks), "figure1": draw_layers.forms}


def write(draw: "Mapping[str, Callable[[bool], Figure]]", folder: Path) -> None:
    """Draw figures into `folder`/figures/: across the page as PNG and SVG, and as SVG for a narrow screen."""
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made a folder: {error.strerror}") from error
    for name, drawn in draw.items():
        with style.styled():
            for ending, wide in ENDINGS.items():
                style.save(drawn(wide), target / f"{name}{ending}")


def details(panels: Sequence[Panel], folder: Path, wide: bool) -> "Figure":
    """Details from their files in `folder`, PSNR under each."""
    columns = 3 if len(panels) <= 6 else 4
    rows = ceil_div(len(panels), columns)
    heights = rows * (WIDE / columns + CAPTION_HEIGHT), rows * (NARROW / columns + CAPTION_HEIGHT)
    figure, axes = canvas(wide, heights, rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        axis.imshow(read_image(folder / panel.file).pixels, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_xlabel("\n".join(panel_title(panel)), fontsize=9)
    return figure


def panel_name(panel: Panel) -> str:
    """The technique of a detail as tables name it, and its speed-up in theory; "network" is the dense one."""
    technique, _, speedup = panel.name.partition("/")
    if technique not in BY_NAME:
        return technique
    label = "network" if BY_NAME[technique] == REFERENCE else BY_NAME[technique].label
    return f"{label}, ×{speedup}" if speedup else label


def panel_title(panel: Panel) -> tuple[str, str]:
    """What stands under a detail, in two lines."""
    return panel_name(panel), "" if panel.psnr_rgb is None else f"{panel.psnr_rgb:.2f} dB"
