"""The report's tables: rows of text from the results, the same for Markdown and for the page."""

from dataclasses import dataclass

from lowrank_sr.study.measure.memory import Memory, Peak
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.speed import SpeedAndSize, Timing
from lowrank_sr.study.measure.sweeps import LowRankNetwork
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import poster
from lowrank_sr.study.report.gains import qualities, short_name
from lowrank_sr.study.technique import FITTED, REFERENCE, Technique, recipes

TIMED = (
    "Measured speed-ups are over the dense network by direct convolution. The low-rank network is timed twice: SVD "
    "pairs and dense layers by direct convolution, and both by Winograd's algorithm."
)
NETWORK = ["layers factorised", "theoretical speed-up", "measured, direct", "measured, Winograd"]
NETWORK += ["PSNR RGB (dB)", "PSNR luma (dB)", "SSIM RGB"]
NO_NETWORK = ["–"] * len(NETWORK)


@dataclass(frozen=True)
class Table:
    """A caption, a header and rows; the first column is text, the others numbers."""

    caption: str
    header: list[str]
    rows: list[list[str]]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(timing: Timing) -> str:
    """The median, three significant digits or so, with the quartiles."""
    digits = 2 if timing.seconds >= 10 else 3 if timing.seconds >= 0.1 else 4
    return spread(timing.seconds, timing.seconds_low, timing.seconds_high, digits)


def spread(median: float, low: float, high: float, digits: int) -> str:
    """A median with its quartiles."""
    return f"{number(median, digits)} ({number(low, digits)}–{number(high, digits)})"


def speedup(timing: Timing) -> str:
    """A speed-up with its quartiles."""
    return spread(timing.speedup, timing.speedup_low, timing.speedup_high, 2)


def table1(results: Results) -> Table:
    """Quality, speed, size and memory of every technique."""
    side = results.times.side
    rows = [["bicubic", *_quality(results.bicubic), *["–"] * 6]]
    for technique, speed in results.times.techniques.items():
        name = "original (direct)" if technique == REFERENCE else technique.label
        rows.append([name, *_row(results.quality[technique], speed, results.memory[technique])])
    for technique, tuned in results.tuned.items():
        rows.append([technique.label, *_row(tuned.quality, tuned.speed, tuned.memory)])
    header = ["technique", "PSNR RGB (dB)", "SSIM RGB", "PSNR luma (dB)", "SSIM luma", "seconds", "effective GFLOP/s"]
    header += ["theoretical speed-up", "measured speed-up", "size (MB)", "peak memory (MB)"]
    caption = (
        f"Table 1. Quality is the mean over the pictures. Seconds are the median and the quartiles for {side} x {side} "
        "pixels. Memory is "
        "the peak above what the process held before. Size is in float32. Speed-ups are over direct convolution."
    )
    return Table(caption, header, rows)


def _row(quality: Quality, speed: SpeedAndSize, memory: Memory) -> list[str]:
    """What Table 1 says of a technique."""
    return [
        *_quality(quality),
        seconds(speed.measured),
        number(speed.measured.gflops, 0),
        number(speed.theoretical_speedup, 2),
        speedup(speed.measured),
        number(speed.size_mb, 2),
        number(next(at.measured.peak_mb for at in memory.sides if at.side == speed.side), 0),
    ]


def _quality(quality: Quality) -> list[str]:
    return [
        number(quality.psnr_rgb, 2),
        number(quality.ssim_rgb, 4),
        number(quality.psnr_y, 2),
        number(quality.ssim_y, 4),
    ]


def poster_table1(results: Results) -> Table:
    """The poster's own Table 1 beside our numbers: its recipe in both readings, all layers, and fitted factors."""
    rows = []
    for technique, theirs in poster.TABLE1.items():
        if technique not in results.quality:
            continue
        ours: list[Technique] = [technique]
        if technique.form:
            ours = [*recipes(technique.form), technique, Technique(technique.form, FITTED)]
        for each in ours:
            quality = results.quality[each]
            name = each.label if technique.form else poster.NAMES[technique]
            cells = number(theirs["psnr"], 2), number(quality.psnr_rgb, 2)
            rows.append([name, *cells, number(theirs["ssim"], 2), number(quality.ssim_rgb, 2)])
    header = ["technique", "the poster's PSNR (dB)", "our PSNR (dB)", "the poster's SSIM", "our SSIM"]
    caption = (
        "The poster's own Table 1, for one picture that it does not name, and our numbers, in RGB. The poster "
        "decomposes the layers that its threshold marks, and says neither what number that is nor on which side of it "
        "they are: with ours, of Figure 2, both stand here."
    )
    return Table(caption, header, rows)


def speedups(results: Results) -> Table:
    """The points of the Pareto figure, and those that have no network, with the reason."""
    rows = [
        [point.technique.label, f"{point.speedup:g}", *network(point.network)]
        if point.network
        else [f"{point.technique.label}: {point.refused}", f"{point.speedup:g}", *NO_NETWORK]
        for point in results.speedups
    ]
    return Table(f"Networks at a theoretical speed-up. {TIMED}", ["technique", "speed-up asked for", *NETWORK], rows)


def network(network: LowRankNetwork) -> list[str]:
    """The cells of NETWORK."""
    return [
        str(network.factorised),
        number(network.theoretical_speedup, 2),
        speedup(network.measured.direct),
        speedup(network.measured.winograd),
        number(network.quality.psnr_rgb, 2),
        number(network.quality.psnr_y, 2),
        number(network.quality.ssim_rgb, 4),
    ]


def memory(results: Results) -> Table:
    """Peak memory by technique and size."""
    sides = [str(at.side) for at in results.memory[REFERENCE].sides]
    rows = [
        [technique.label, *(_peak(at.measured) for at in memory.sides)] for technique, memory in results.memory.items()
    ]
    caption = "Peak memory in MB by the side of the picture in pixels: the median, the least and the most."
    return Table(caption, ["technique", *sides], rows)


def _peak(peak: Peak) -> str:
    if peak.peak_mb is None:
        return number(None, 0)
    least, most = peak.range_mb()
    return spread(peak.peak_mb, least, most, 0)


def tuning(results: Results) -> Table:
    """PSNR before and after fine-tuning, and how far it came."""
    rows = []
    for technique, tuned in results.tuned.items():
        *kernel, before, after = (number(each.psnr_rgb, 3) for each in qualities(results, technique).values())
        rows.append([short_name(technique), *(kernel or ["–"]), before, after, str(tuned.training.measured.steps)])
    caption = (
        "Fine-tuning: PSNR in RGB, the mean over the pictures, by factors of the kernel; before the training, by "
        "fitted factors or as the dense network is; and after the steps that were done in its time."
    )
    return Table(caption, ["network", "kernel (dB)", "before (dB)", "fine-tuned (dB)", "steps"], rows)


def bound(results: Results) -> Table:
    """CP at the poster's rank, a row for each shape."""
    rows = []
    for name, layer in results.layers.items():
        n, c, _ = layer.shape
        for row in layer.rows:
            if row.poster_bound:
                speedups = number(row.theoretical_speedup, 2), speedup(row.measured)
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
            seconds(row.measured),
            number(row.measured.gflops, 0),
            number(row.theoretical_speedup, 2),
            speedup(row.measured),
        ]
        for technique, row in full.techniques.items()
    ]
    header = ["technique", "seconds", "effective GFLOP/s", "theoretical speed-up", "measured speed-up"]
    caption = f"ESRGAN's {full.num_block} blocks, random weights, {full.side} x {full.side} pixels."
    return Table(caption, header, rows)
