"""The figures of a report: what each is called, says and shows, and their files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.study.record import points
from lowrank_sr.study.report import figure_layers, figure_quality, figure_speed, style

FORMATS = (".png", ".svg")


@dataclass(frozen=True)
class Figure:
    """The name of its files, what stands under it, and the function from steps to the drawing."""

    name: str
    caption: str
    draw: Callable


def figures(results: dict, folder: Path) -> list[Figure]:
    """The figures that these results have numbers for."""
    steps = results["steps"]
    crop = steps["crop"]
    found = [
        Figure(
            "figure2",
            f"Figure 2. Condition number of every layer's matricised kernel. The threshold, in the widest gap, marks "
            f"{len(steps['condition numbers']['marked'])} of {len(steps['condition numbers']['layers'])} layers for "
            f"decomposition. Below, the rank that keeps 90% of the energy: the two need not agree.",
            figure_layers.conditions,
        ),
        Figure(
            "figure3",
            "Figure 3. Inference time of each technique, median and quartiles of rounds in turn; beside it the "
            "speed-up over direct convolution, as the FLOPs promise it and as the clock gave it.",
            figure_speed.times,
        ),
        Figure(
            "figure4",
            f"Figure 4. {crop['picture']}: the {crop['side']} x {crop['side']} pixels in which the techniques differ "
            "most, PSNR of the detail in RGB under each. Enlargements "
            "worse than bicubic as a whole have no say in the choice.",
            partial(figure_quality.details, folder=folder),
        ),
        Figure(
            "layers",
            "FLOPs against time: every layer shape by every technique. Points under the line are faster than sgemm "
            "would be at the same count, as Winograd can be, which multiplies less than the formula says. Dotted: "
            "lines of equal GFLOP/s.",
            lambda steps: figure_layers.flops_and_time(layer_rows(steps), steps["sgemm"]["measured"]["gflops"]),
        ),
    ]
    if points(steps, "speed-up"):
        found.append(
            Figure(
                "pareto",
                "Quality lost against speed-up, on a logarithmic scale: factors of the kernel alone, as on the poster, "
                "and fitted to what each layer sees in a few calibration pictures. A loss below "
                f"{figure_quality.LEAST_LOSS} dB is drawn there.",
                figure_quality.pareto,
            )
        )
    if points(steps, "threshold") and points(steps, "truncation"):
        found.append(
            Figure(
                "thresholds",
                "The threshold of the condition number, in both readings: which layers are decomposed (left, each at "
                "90% of its energy), and where all are truncated (right). Quality above, speed below.",
                figure_quality.thresholds,
            )
        )
    if any(row["measured"]["peak_mb"] for row in steps["memory/direct"]["sides"]):
        found.append(Figure("memory", "Peak memory by size of the picture.", figure_speed.memory))
    return found


def layer_rows(steps: dict) -> list[dict]:
    """Every timing of a layer, as `figure_layers.flops_and_time` takes them."""
    return [
        {"technique": row["technique"], "gflop": row["gflop"], "seconds": row["measured"]["seconds"]}
        for name, layer in steps.items()
        if name.startswith("layer/")
        for row in layer["rows"]
    ]


def write(results: dict, folder: Path) -> None:
    """Draw every figure into figures/, as PNG and as SVG."""
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot be made a folder: {error.strerror}") from error
    for figure in figures(results, folder):
        with style.styled():
            drawn = figure.draw(results["steps"])
            for suffix in FORMATS:
                style.save(drawn, target / f"{figure.name}{suffix}")
