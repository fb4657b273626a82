"""The figures of a report, and their files; what stands under each is in report.j2."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.errors import InputError
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import draw_details, draw_layers, draw_loss, draw_speed, style
from lowrank_sr.study.technique import REFERENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = {".png": True, ".svg": True, "-narrow.svg": False}  # of a figure's files, and whether it is as wide as a page


def figures_of(results: Results, folder: Path) -> "dict[str, Callable[[bool], Figure]]":
    """The functions that draw these results' figures, across the page or for a narrow screen, by the figures' names."""
    crop = results.crop
    readings = results.thresholds and results.truncations and results.limits
    peaks = [at for at in results.memory[REFERENCE].sides if at.measured.peak_mb]
    figures: dict[str, tuple[object, Callable[[bool], Figure]]] = {  # with what must be there
        "figure1": (True, draw_layers.forms),
        "figure2": (True, partial(draw_layers.conditions, results)),
        "figure3": (True, partial(draw_speed.times, results)),
        "figure4": (True, partial(draw_details.details, crop.panels, folder)),
        "layers": (True, partial(draw_speed.layers, results)),
        "ablation": (results.ablation, partial(draw_loss.combinations, results)),
        "alone": (results.alone, partial(draw_loss.alone, results)),
        "tail": (crop.tail, partial(draw_details.details, crop.tail, folder)),
        "pareto": (measured(results.speedups), partial(draw_loss.pareto, results)),
        "tuned": (results.tuned, partial(draw_loss.tuned, results)),
        "sweep": (crop.sweep, partial(draw_details.details, crop.sweep, folder)),
        "thresholds": (readings, partial(draw_loss.thresholds, results)),
        "memory": (peaks, partial(draw_speed.memory, results)),
    }
    return {name: draw for name, (there, draw) in figures.items() if there}


def write(results: Results, folder: Path) -> None:
    """Draw every figure into figures/: across the page as PNG and SVG, and as SVG for a narrow screen."""
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made a folder: {error.strerror}") from error
    for name, draw in figures_of(results, folder).items():
        with style.styled():
            for ending, wide in ENDINGS.items():
                style.save(draw(wide), target / f"{name}{ending}")
