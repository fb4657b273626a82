"""The report's tables: rows of text from the results. What stands under each is in report.j2."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from lowrank_sr.study.measure.memory import Memory, Peak
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.speed import SpeedAndSize, Timing
from lowrank_sr.study.measure.sweeps import GuardedPoint, LowRankNetwork
from lowrank_sr.study.record import POSTER, Results
from lowrank_sr.study.technique import (
    CHOSEN,
    FACTORS,
    FITTED,
    LAYERS,
    REFERENCE,
    Technique,
    recipes,
    stages,
)

NETWORK = ["layers factorised", "theoretical speed-up", "measured, direct", "measured, Winograd"]
FIDELITY = ["fidelity (dB)", "fidelity SSIM"]
NETWORK += ["PSNR RGB (dB)", "PSNR luma (dB)", "SSIM RGB", *FIDELITY]
MATCHED = [*FIDELITY, "fidelity, colours matched (dB)", "PSNR RGB (dB)", "SSIM RGB"]


class Table(NamedTuple):
    """A header and rows; the first column is text, the others numbers."""

    header: list[str]
    rows: list[list[str]]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, or a dash."""
    return "–" if value is None else "∞" if value == math.inf else f"{value:.{digits}f}"


def spread(median: float, low: float, high: float, digits: int) -> str:
    """A median with its quartiles, or with the least and the most."""
    return f"{number(median, digits)} ({number(low, digits)}–{number(high, digits)})"


def seconds(timing: Timing) -> str:
    """The median, three significant digits or so, with the quartiles."""
    digits = 2 if timing.seconds >= 10 else 3 if timing.seconds >= 0.1 else 4
    return spread(timing.seconds, timing.seconds_low, timing.seconds_high, digits)


def speedup(timing: Timing) -> str:
    """A speed-up with its quartiles."""
    return spread(timing.speedup, timing.speedup_low, timing.speedup_high, 2)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of two or more values; not a number where one of them is infinite."""
    return statistics.stdev(values) / math.sqrt(len(values)) if all(map(math.isfinite, values)) else math.nan


def change(gains: Sequence[float], digits: int) -> str:
    """The mean with its sign, and its standard error where there are several values."""
    error = f" ± {standard_error(gains):.{digits}f}" if len(gains) > 1 else ""
    return f"{statistics.fmean(gains):+.{digits}f}{error}"


def table1(results: Results) -> Table:
    """Quality, speed, size and memory of every technique."""
    rows = [["bicubic", *_quality(results.bicubic), *_fidelity(results.bicubic), *["–"] * 7]]
    for technique, speed in results.times.items():
        name = "original (direct)" if technique == REFERENCE else technique.label
        rows.append([name, *_row(results, results.quality[technique], speed, results.memory[technique])])
    for technique, tuned in results.tuned.items():
        rows.append([technique.label, *_row(results, tuned.quality, tuned.speed, tuned.memory)])
    header = ["technique", "PSNR RGB (dB)", "SSIM RGB", "PSNR luma (dB)", "SSIM luma", *FIDELITY]
    header += ["seconds", "effective GFLOP/s"]
    header += ["theoretical speed-up", "speed-up by multiplications", "measured speed-up"]
    return Table([*header, "size (MB)", "peak memory (MB)"], rows)


def _row(results: Results, quality: Quality, speed: SpeedAndSize, memory: Memory) -> list[str]:
    """What Table 1 says of a technique."""
    return [
        *_quality(quality),
        *_fidelity(quality),
        seconds(speed.measured),
        number(speed.measured.gflops, 0),
        number(speed.theoretical_speedup, 2),
        number(results.times[REFERENCE].multiplications / speed.multiplications, 2),
        speedup(speed.measured),
        number(speed.size_mb, 2),
        number(next(at.measured.peak_mb for at in memory.sides if at.side == speed.side), 0),
    ]


def _quality(of: Quality) -> list[str]:
    return [number(of.psnr_rgb, 2), number(of.ssim_rgb, 4), number(of.psnr_y, 2), number(of.ssim_y, 4)]


def beside_dense(results: Results) -> Table:
    """How near each network's pictures are to the dense network's, how natural, and how sharp beside it."""
    every = {"bicubic": results.bicubic, "the dense network": results.quality[REFERENCE]}
    every |= {technique.label: of for technique, of in results.quality.items() if technique.form}
    every |= {technique.label: tuned.quality for technique, tuned in results.tuned.items()}
    rows = [[name, *_fidelity(of), number(of.niqe, 2), number(of.sharpness, 2)] for name, of in every.items()]
    return Table(["pictures of", *FIDELITY, "NIQE", "sharpness"], rows)


def _fidelity(of: Quality) -> list[str]:
    return [number(of.fidelity, 2), number(of.fidelity_ssim, 4)]


def poster_table1(results: Results) -> Table:
    """The poster's own Table 1 beside our numbers: its recipe in both readings, all layers, and fitted factors."""
    rows = []
    for technique, theirs in ((each, row) for each, row in POSTER.items() if each in results.quality):
        ours = {technique: "original" if technique == REFERENCE else technique.method}
        if form := technique.form:
            every = *recipes(form), technique, Technique(form, FITTED)
            ours = {each: each.label for each in every if each in results.quality}
        for each, name in ours.items():
            of = results.quality[each]
            cells = theirs["psnr"], of.psnr_rgb, theirs["ssim"], of.ssim_rgb
            rows.append([name, *(number(cell, 2) for cell in cells), *_fidelity(of)])
    header = ["technique", "the poster's PSNR (dB)", "our PSNR (dB)", "the poster's SSIM", "our SSIM", *FIDELITY]
    return Table(header, rows)


def ablation(results: Results) -> Table:
    """Which layers, ranks and factors a loss comes from."""
    rows = [["the dense network", "–", number(1, 2), *_matched(results.quality[REFERENCE])]]
    for row in results.ablation:
        ranks = "chosen ranks" if row.ranks == CHOSEN else "uniform share"
        name = f"{row.form.upper()}, {LAYERS[row.layers]}, {ranks}, {FACTORS[row.factors]}"
        rows.append([name, str(row.factorised), number(row.theoretical_speedup, 2), *_matched(row.quality)])
    return Table(["network", "layers factorised", "theoretical speed-up", *MATCHED], rows)


def alone(results: Results) -> Table:
    """What each layer loses alone."""
    rows = [
        [row.layer, str(row.rank), number(row.error, 3), number(row.theoretical_speedup, 3), *_matched(row.quality)]
        for row in results.alone
    ]
    return Table(["layer", "K", "error", "theoretical speed-up", *MATCHED], rows)


def _matched(quality: Quality) -> list[str]:
    matched, psnr = number(quality.fidelity_matched, 2), number(quality.psnr_rgb, 2)
    return [*_fidelity(quality), matched, psnr, number(quality.ssim_rgb, 4)]


def speedups(results: Results) -> Table:
    """The points of the Pareto figure, and those that have no network, with the reason."""
    points = results.speedups
    rows = [_of_network(each.technique.label, f"{each.speedup:g}", each.network, each.refused) for each in points]
    return Table(["technique", "speed-up asked for", *NETWORK], rows)


def thresholds(results: Results) -> Table:
    """The points of the figure of thresholds, in three readings, with the guard and, where they differ, without it."""
    readings: list[tuple[str, float, GuardedPoint]] = []
    readings += [("layers above a condition number", point.threshold, point) for point in results.thresholds]
    readings += [("every layer at a condition number", point.condition, point) for point in results.truncations]
    readings += [("every layer at a singular value", point.limit, point) for point in results.limits]
    rows = []
    for reading, at, point in readings:
        rows.append(_of_network(reading, number(at, 3), point.network, point.refused))
        if point.unguarded:
            rows.append(_of_network(f"{reading}, without the guard", number(at, 3), point.unguarded))
    return Table(["the threshold selects or truncates", "threshold", *NETWORK], rows)


def _of_network(name: str, asked: str, network: LowRankNetwork | None, refused: str | None = None) -> list[str]:
    """A row of a sweep with the cells of NETWORK, or the reason why there is no network."""
    if network is None:
        return [f"{name}: {refused}", asked, *["–"] * len(NETWORK)]
    return [
        name,
        asked,
        str(network.factorised),
        number(network.theoretical_speedup, 2),
        speedup(network.measured.direct),
        speedup(network.measured.winograd),
        number(network.quality.psnr_rgb, 2),
        number(network.quality.psnr_y, 2),
        number(network.quality.ssim_rgb, 4),
        *_fidelity(network.quality),
    ]


def memory(results: Results) -> Table:
    """Peak memory by technique and size: the median, the least and the most."""

    def cell(peak: Peak) -> str:
        return "–" if peak.peak_mb is None else spread(peak.peak_mb, *peak.range_mb(), 0)

    sides = [str(at.side) for at in results.memory[REFERENCE].sides]
    rows = [[technique.label, *(cell(at.measured) for at in of.sides)] for technique, of in results.memory.items()]
    return Table(["technique", *sides], rows)


def tuning(results: Results) -> Table:
    """Fidelity before and after fine-tuning, the gain picture by picture, and how many steps that took."""
    rows = []
    for technique, tuned in results.tuned.items():
        every = [quality.fidelity for quality in qualities(results, technique).values()]
        *kernel, before, after = (number(each, 2) for each in every)
        *_, first, last = (of.pictures for of in qualities(results, technique).values())
        pairs = zip(first, last, strict=True)
        gains = [two.fidelity - one.fidelity for one, two in pairs if one.fidelity and two.fidelity]
        psnr = change(results.gains(tuned.quality, "psnr_rgb"), 3)
        steps = str(tuned.training.measured.steps)
        name, gain = short_name(technique), change(gains, 3) if gains else "–"
        rows.append([name, *(kernel or ["–"]), before, after, gain, psnr, steps])
    fidelity = [f"fidelity, {of} (dB)" for of in ("kernel", "before", "fine-tuned")]
    return Table(["network", *fidelity, "gain (dB)", "PSNR gained over dense (dB)", "steps"], rows)


def qualities(results: Results, technique: Technique) -> dict[Technique, Quality]:
    """The quality of a technique of `results.tuned` in each of its stages, the last one trained."""
    *before, after = stages(technique)
    return {stage: results.quality[stage] for stage in before} | {after: results.tuned[technique].quality}


def short_name(technique: Technique) -> str:
    """The name of a network through all its stages: "dense network", "SVD" or "CP"."""
    return technique.form.upper() if technique.form else "dense network"


def bound(results: Results) -> Table:
    """CP at the poster's rank, a row for each shape."""
    rows = []
    for name, layer in results.layers.items():
        n, c, _ = layer.shape
        for row in (row for row in layer.rows if row.poster_bound):
            speedups = number(row.theoretical_speedup, 2), speedup(row.measured)
            rows.append([name, f"{n} x {c}", str(row.rank), *speedups, number(row.error, 3)])
    header = ["layer", "N x C", "R", "theoretical speed-up", "measured over direct", "kernel's relative error"]
    return Table(header, rows)


def sgemm(results: Results) -> Table:
    """How many points of the figure of layers are faster than sgemm would be at the same count, and the median rate."""
    rows, rate = [row for layer in results.layers.values() for row in layer.rows], results.sgemm.measured.gflops
    counts = {
        "FLOPs, by the formula": [row.gflop / row.measured.seconds / rate for row in rows],
        "multiplications done": [2 * row.multiplications / row.measured.seconds / rate for row in rows],
    }
    header, cells = ["counted by", "points faster than sgemm", "median rate, of sgemm's"], []
    for what, shares in counts.items():
        faster = f"{sum(share > 1 for share in shares)} of {len(rows)}"
        cells.append([what, faster, f"{statistics.median(shares):.0%}"])
    return Table(header, cells)


def conditions(results: Results) -> Table:
    """The layers on both sides of the threshold of Figure 2, with the range of their condition numbers and ranks."""
    rows = []
    for name, marked in (("above the threshold", True), ("others", False)):
        some = [row for row in results.condition_numbers.layers if row.marked == marked]
        kappas, ranks = [row.condition for row in some], [row.rank_90_percent for row in some]
        ranges = [f"{min(each):.0f} to {max(each):.0f}" if each else "–" for each in (kappas, ranks)]
        rows.append([name, str(len(some)), *ranges])
    return Table(["layers", "how many", "condition number", "rank for 90% of the energy (% of full)"], rows)


def self_check(results: Results) -> Table:
    """Every technique that was timed more than once, and what else the machine did."""
    rows = []
    for technique in results.times:
        timings = results.timings(technique)
        if len(timings) > 1:
            busy = max(max(timing.load.before, timing.load.after) for timing in timings)
            cells = [speedup(timing) for timing in timings[:3]]
            rows.append([technique.label, *cells, *["–"] * (3 - len(cells)), number(busy, 2)])
    return Table(["technique", "first", "second", "third", "cores busy elsewhere"], rows)
