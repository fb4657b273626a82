"""The figures of a report: what each is called, says and shows, and their files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.errors import InputError
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import figure_layers, figure_quality, figure_speed, style
from lowrank_sr.study.report.figure_layers import Timed
from lowrank_sr.study.technique import REFERENCE

if TYPE_CHECKING:
    import matplotlib.figure

FORMATS = (".png", ".svg")


@dataclass(frozen=True)
class Figure:
    """The name of its files, its caption, and the function that draws it from the results."""

    name: str
    caption: str
    draw: Callable[[Results], "matplotlib.figure.Figure"]


def figures_of(results: Results, folder: Path) -> list[Figure]:
    """The figures that these results have numbers for."""
    crop, conditions = results.crop, results.condition_numbers
    figures = [
        Figure(
            "figure2",
            f"Figure 2. Condition number of every layer's matricised kernel. The threshold lies in the widest gap and "
            f"marks {len(conditions.marked)} of {len(conditions.layers)} layers for decomposition. Below, the rank "
            "that keeps 90% of the energy: a large condition number does not imply a low rank.",
            figure_layers.conditions,
        ),
        Figure(
            "figure3",
            "Figure 3. Inference time of each technique, median and quartiles. Beside it the speed-up over direct "
            "convolution: theoretical, from the FLOPs, and measured.",
            figure_speed.times,
        ),
        Figure(
            "figure4",
            f"Figure 4. {crop.picture}: the {crop.side} x {crop.side} pixels in which the techniques differ most, with "
            "the PSNR of the detail in RGB. Techniques that are worse than bicubic on the whole picture do not count "
            "in the choice of the detail.",
            partial(figure_quality.details, folder=folder),
        ),
        Figure(
            "layers",
            "FLOPs against time: every layer shape by every technique. Points below the solid line are faster than "
            "sgemm would be at the same count; Winograd can be, since it does fewer multiplications than the formula "
            "counts. Dotted: lines of equal GFLOP/s.",
            lambda results: figure_layers.flops_and_time(layer_points(results), results.sgemm.measured.gflops),
        ),
    ]
    if measured(results.speedups):
        figures.append(
            Figure(
                "pareto",
                "PSNR lost against speed-up, on a logarithmic scale. Kernel: factors of the kernel alone, as on the "
                "poster. Fitted: factors fitted to the layer's outputs on a few calibration pictures. Losses below "
                f"{figure_quality.LEAST_LOSS} dB are drawn at that value.",
                figure_quality.pareto,
            )
        )
    marking, cutting = measured(results.thresholds), measured(results.truncations)
    if marking and cutting:
        figures.append(
            Figure(
                "thresholds",
                "The threshold of the condition number in both readings. Left: it selects the layers to decompose, "
                "at 90% of their energy. Right: it is where every layer is truncated. Quality above, speed below.",
                figure_quality.thresholds,
            )
        )
    if any(at.measured.peak_mb for at in results.memory[REFERENCE].sides):
        figures.append(Figure("memory", "Peak memory by the side of the picture.", figure_speed.memory))
    return figures


def layer_points(results: Results) -> list[Timed]:
    """Every timing of a layer."""
    rows = [row for layer in results.layers.values() for row in layer.rows]
    return [Timed(row.technique.name, row.gflop, row.measured.seconds) for row in rows]


def write(results: Results, folder: Path) -> None:
    """Draw every figure into figures/, as PNG and as SVG."""
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made a folder: {error.strerror}") from error
    for figure in figures_of(results, folder):
        with style.styled():
            drawn = figure.draw(results)
            for suffix in FORMATS:
                style.save(drawn, target / f"{figure.name}{suffix}")
