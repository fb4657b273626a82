"""The report's tables: rows of text from the results, the same for Markdown and for the page."""

from dataclasses import dataclass

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import poster
from lowrank_sr.study.technique import REFERENCE, Technique

_TIMED = (
    "Measured speed-ups are over the dense network by direct convolution. The low-rank network is timed twice: SVD "
    "pairs and dense layers by direct convolution, and both by Winograd's algorithm."
)
_NETWORK = ["layers factorised", "theoretical speed-up", "measured, direct", "measured, Winograd"]
_NETWORK += ["PSNR RGB (dB)", "PSNR luma (dB)", "SSIM RGB"]


@dataclass(frozen=True)
class Table:
    """A caption, a header and rows; the first column is text, the others numbers."""

    caption: str
    header: list[str]
    rows: list[list[str]]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(value: float) -> str:
    """Seconds, three significant digits or so."""
    return number(value, 2 if value >= 10 else 3 if value >= 0.1 else 4)


def table1(results: Results) -> Table:
    """Quality, speed, size and memory of every technique."""
    side = results.times.side
    rows = [["bicubic", *_quality(results.bicubic), *["–"] * 6]]
    for technique, row in results.times.techniques.items():
        peak = next(at.measured.peak_mb for at in results.memory[technique].sides if at.side == side)
        rows.append(
            [
                "original (direct)" if technique == REFERENCE else technique.label,
                *_quality(results.quality[technique]),
                seconds(row.measured.seconds),
                number(row.measured.gflops, 0),
                number(row.theoretical_speedup, 2),
                number(row.measured.speedup, 2),
                number(row.size_mb, 2),
                number(peak, 0),
            ]
        )
    header = ["technique", "PSNR RGB (dB)", "SSIM RGB", "PSNR luma (dB)", "SSIM luma", "seconds", "effective GFLOP/s"]
    header += ["theoretical speed-up", "measured speed-up", "size (MB)", "peak memory (MB)"]
    caption = (
        f"Table 1. Quality is the mean over the pictures. Seconds are the median for {side} x {side} pixels. Memory is "
        "the peak above what the process held before. Size is in float32. Speed-ups are over direct convolution."
    )
    return Table(caption, header, rows)


def _quality(quality: Quality) -> list[str]:
    return [
        number(quality.psnr_rgb, 2),
        number(quality.ssim_rgb, 4),
        number(quality.psnr_y, 2),
        number(quality.ssim_y, 4),
    ]


def poster_table1(results: Results) -> Table:
    """The poster's own Table 1 beside our numbers."""
    rows = []
    for technique, theirs in poster.TABLE1.items():
        quality = results.quality.get(technique)
        if quality is None:
            continue
        fitted = results.quality.get(Technique(technique.form, fitted=True)) if technique.form else None
        rows.append(
            [
                poster.NAMES[technique],
                number(theirs["psnr"], 2),
                number(quality.psnr_rgb, 2),
                number(fitted.psnr_rgb if fitted else None, 2),
                number(theirs["ssim"], 2),
                number(quality.ssim_rgb, 2),
                number(fitted.ssim_rgb if fitted else None, 2),
            ]
        )
    header = [
        "technique",
        "the poster's PSNR (dB)",
        "our PSNR (dB)",
        "our PSNR, fitted (dB)",
        "the poster's SSIM",
        "our SSIM",
        "our SSIM, fitted",
    ]
    caption = "The poster's own Table 1, for one picture that it does not name, and our numbers, in RGB."
    return Table(caption, header, rows)


def speedups(results: Results) -> Table:
    """The points of the Pareto figure."""
    rows = [
        [point.technique.label, f"{point.speedup:g}", *_network(network)]
        for point, network in measured(results.speedups)
    ]
    return Table(f"Networks at a theoretical speed-up. {_TIMED}", ["technique", "speed-up asked for", *_NETWORK], rows)


def thresholds(results: Results) -> Table:
    """The points of the figure of thresholds."""
    rows = [
        ["layers marked above", number(point.threshold, 1), *_network(network)]
        for point, network in measured(results.thresholds)
    ]
    rows += [
        ["every layer truncated at", number(point.condition, 1), *_network(network)]
        for point, network in measured(results.truncations)
    ]
    caption = f"SVD of the kernel by a threshold of the condition number, in both readings. {_TIMED}"
    return Table(caption, ["reading", "condition number", *_NETWORK], rows)


def _network(network: LowRankNetwork) -> list[str]:
    return [
        str(network.factorised),
        number(network.theoretical_speedup, 2),
        number(network.measured.direct.speedup, 2),
        number(network.measured.winograd.speedup, 2),
        number(network.quality.psnr_rgb, 2),
        number(network.quality.psnr_y, 2),
        number(network.quality.ssim_rgb, 4),
    ]


def memory(results: Results) -> Table:
    """Peak memory by technique and size."""
    sides = [str(at.side) for at in results.memory[REFERENCE].sides]
    rows = [
        [technique.label, *(number(at.measured.peak_mb, 0) for at in memory.sides)]
        for technique, memory in results.memory.items()
    ]
    return Table("Peak memory in MB by the side of the picture in pixels.", ["technique", *sides], rows)


def bound(results: Results) -> Table:
    """CP at the poster's rank, a row for each shape."""
    rows = []
    for name, layer in results.layers.items():
        n, c, _ = layer.shape
        for row in layer.rows:
            if row.poster_bound:
                speedups = number(row.theoretical_speedup, 2), number(row.measured.speedup, 2)
                rows.append([name, f"{n} x {c}", str(row.rank), *speedups, number(row.error, 3)])
    header = ["layer", "N x C", "R", "theoretical speed-up", "measured over direct", "kernel's relative error"]
    return Table("CP at R = NC/(N+C), rounded to a whole number.", header, rows)


def full_size(results: Results) -> Table | None:
    """ESRGAN's 23 blocks, where they were timed."""
    full = results.full_size
    if full is None:
        return None
    rows = [
        [
            technique.clock_label,
            seconds(row.measured.seconds),
            number(row.measured.gflops, 0),
            number(row.theoretical_speedup, 2),
            number(row.measured.speedup, 2),
        ]
        for technique, row in full.techniques.items()
    ]
    header = ["technique", "seconds", "effective GFLOP/s", "theoretical speed-up", "measured speed-up"]
    caption = f"ESRGAN's {full.num_block} blocks, random weights, {full.side} x {full.side} pixels."
    return Table(caption, header, rows)
