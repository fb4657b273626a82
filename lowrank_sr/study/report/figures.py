"""The figures of a report: what each is called, says and shows, and their files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lowrank_sr.errors import InputError
from lowrank_sr.study.measure import memory
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import (
    conclusions,
    figure_ablation,
    figure_forms,
    figure_layers,
    figure_pareto,
    figure_quality,
    figure_speed,
    figure_tuning,
    style,
    tables_causes,
)
from lowrank_sr.study.technique import REFERENCE

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True)
class Figure:
    """The name of its files, its caption, what it shows in these results, and the function that draws it.

    The function is given whether to draw across the page, or for a narrow screen.
    """

    name: str
    caption: str
    concludes: str
    draw: Callable[[bool], "matplotlib.figure.Figure"]

    def files(self) -> dict[str, bool]:
        """Its files in figures/, with whether each is drawn across the page."""
        return {f"{self.name}.png": True, f"{self.name}.svg": True, f"{self.name}-narrow.svg": False}


FORMS = Figure(
    "figure1",
    "Figure 1. One layer in three forms. Each stack is a map of X × Y pixels with as many channels as the letter under "
    "it says; each filter is one convolution. “Each”: one filter for each channel by itself. N output and C input "
    "channels, d = 3.",
    "Low rank replaces one convolution by two or four thinner ones with narrower maps between them.",
    figure_forms.draw,
)


def figures_of(results: Results, folder: Path) -> list[Figure]:
    """The figures that these results have numbers for."""
    crop, conditions = results.crop, results.condition_numbers
    figures = [
        FORMS,
        Figure(
            "figure2",
            f"Figure 2. Condition number of every layer's kernel as a matrix, in network order; the layers of a dense "
            "block stand on one stripe. The poster gives no number for its threshold: ours lies in the widest gap of "
            f"the condition numbers, and marks {len(conditions.marked)} of {len(conditions.layers)} layers for "
            "decomposition. Below, the rank that keeps 90% of the energy.",
            conclusions.conditions(results),
            partial(figure_layers.conditions, results),
        ),
        Figure(
            "figure3",
            "Figure 3. Inference time of each technique, median and quartiles. Beside it the speed-up over direct "
            "convolution: in theory, from the FLOPs, and measured; diamonds: direct convolution's multiplications over "
            "those that are done.",
            conclusions.times(results),
            partial(figure_speed.times, results),
        ),
        Figure(
            "figure4",
            f"Figure 4. {crop.picture}: the {crop.side} x {crop.side} pixels in which the techniques differ most, with "
            "the PSNR of the detail in RGB. Techniques that are worse than bicubic on the whole picture do not count "
            "in the choice of the detail. Methods that compute the same network share a picture.",
            conclusions.details(results),
            partial(figure_quality.details, results, folder),
        ),
        Figure(
            "layers",
            "Every layer shape by every technique: its time against FLOPs by the formula of its form, and against the "
            "multiplications that are really done. Lines join the ranks of a layer. Points below the solid line are "
            "faster than sgemm, a matrix product, would be at the same count. Dotted: lines of equal rate.",
            conclusions.layers(results),
            partial(figure_layers.layers, results),
        ),
    ]
    if results.ablation:
        figures.append(
            Figure(
                "ablation",
                "PSNR lost, on a logarithmic scale, by which layers are factorised, which ranks they have, and how "
                "their factors are found. Uniform ranks: every layer keeps about the same share of its FLOPs, as near "
                "as ranks in steps come; chosen: where they cost the picture least. Losses below "
                f"{figure_pareto.LEAST_LOSS} dB are drawn there.",
                conclusions.ablation(results),
                partial(figure_ablation.combinations, results),
            )
        )
    if results.alone:
        layer = "layer" if conclusions.some_in_the_blocks(results) else "layer outside the dense blocks"
        figures.append(
            Figure(
                "alone",
                f"PSNR lost by each {layer} factorised alone, at half its FLOPs, as it is and once each colour is "
                "matched to the dense network's by a gain and an offset. Losses below "
                f"{figure_pareto.LEAST_LOSS} dB are drawn there.",
                conclusions.alone(results),
                partial(figure_ablation.alone, results),
            )
        )
    if crop.tail:
        figures.append(
            Figure(
                "tail",
                "The detail of Figure 4 with the layers outside the dense blocks as SVD pairs of their kernels, one at "
                "a time and together, and with what mends it; PSNR of the detail in RGB.",
                conclusions.tail(results),
                partial(figure_quality.tail, results, folder),
            )
        )
    if measured(results.speedups):
        figures.append(
            Figure(
                "pareto",
                "PSNR lost against speed-up, on a logarithmic scale: higher and farther to the right is better. Losses "
                f"below {figure_pareto.LEAST_LOSS} dB are drawn at that value. On the page, a point says what it is, "
                "and puts its picture on the right of the divider.",
                conclusions.pareto(results),
                partial(figure_pareto.pareto, results),
            )
        )
    if results.tuned:
        figures.append(
            Figure(
                "tuned",
                "PSNR above or below the dense network's, the mean over the pictures, against the measured seconds, "
                "all networks in turn, median and quartiles. Hollow: factors of the kernel; filled: fitted ones, and "
                "the dense network; in a ring: fine-tuned. The scale is linear between "
                f"−{figure_tuning.LINEAR} and {figure_tuning.LINEAR} dB and logarithmic beyond. Fine-tuning leaves all "
                "layers their shapes: where the times before and after it differ, that is the clock.",
                conclusions.tuned(results),
                partial(figure_tuning.tuned, results),
            )
        )
    if crop.sweep:
        figures.append(
            Figure(
                "sweep",
                "The detail of Figure 4 by each network of the figure above, but for those of Figure 4 itself.",
                "",
                partial(figure_quality.sweep, results, folder),
            )
        )
    if results.thresholds and results.truncations and results.limits:
        figures.append(
            Figure(
                "thresholds",
                "The poster's threshold in three readings: it selects the layers to decompose, which keep 90% of their "
                "energy; it is the condition number at which every layer is truncated; or it is a limit for the "
                "singular values themselves. Filled: layers that would cost more than dense stay dense. Hollow: all "
                f"are factorised. Bands: quartiles of the speed-up.{tables_causes.without_network(results)}",
                conclusions.thresholds(results),
                partial(figure_quality.thresholds, results),
            )
        )
    if any(at.measured.peak_mb for at in results.memory[REFERENCE].sides):
        figures.append(
            Figure(
                "memory",
                f"Peak memory by the side of the picture, the median of {memory.TIMES} measurements. Networks of "
                "which the marked or the unmarked layers alone are factorised stand in the table only.",
                conclusions.memory(results),
                partial(figure_speed.memory, results),
            )
        )
    return figures


def write(results: Results, folder: Path) -> None:
    """Draw every figure into figures/: across the page as PNG and SVG, and as SVG for a narrow screen."""
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made a folder: {error.strerror}") from error
    for figure in figures_of(results, folder):
        with style.styled():
            for file, wide in figure.files().items():
                style.save(figure.draw(wide), target / file)
