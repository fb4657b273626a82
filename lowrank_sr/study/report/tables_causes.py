"""The tables of where a loss comes from and of what the clock is worth: the ablation, thresholds, the self-check."""

from lowrank_sr.study.measure.ablation import ALONE_SPEEDUP, CHOSEN
from lowrank_sr.study.measure.low_rank import TABLE1_SPEEDUP
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import GuardedPoint
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import NETWORK, NO_NETWORK, TIMED, Table, network, number, speedup
from lowrank_sr.study.technique import BIAS, FITTED, KERNEL, LAYERS, REFERENCE

FACTORS = {KERNEL: "kernel", BIAS: "kernel, bias fitted", FITTED: "fitted"}
_QUALITY = ["PSNR RGB (dB)", "PSNR RGB, colours matched (dB)", "SSIM RGB"]
_MATCHED = (
    "Colours matched: once one gain and one offset a channel have brought the picture as near as they can to that of "
    "the dense network; what is left is not a change of brightness or colour."
)


def ablation(results: Results) -> Table:
    """Which layers, ranks and factors a loss comes from."""
    rows = [["the dense network", "–", number(1, 2), *_quality(results.quality[REFERENCE])]]
    for row in results.ablation:
        ranks = "chosen ranks" if row.ranks == CHOSEN else "uniform share"
        name = f"{row.form.upper()}, {LAYERS[row.layers]}, {ranks}, {FACTORS[row.factors]}"
        rows.append([name, str(row.factorised), number(row.theoretical_speedup, 2), *_quality(row.quality)])
    caption = (
        f"The ablation. Ranks are those that make all layers together {TABLE1_SPEEDUP:g} times cheaper, the same "
        "whichever layers have them: “dense blocks” leaves trunk_conv and the tail dense, “marked” and “unmarked "
        f"layers” are the poster's recipe in its two readings, with our threshold. {_MATCHED}"
    )
    return Table(caption, ["network", "layers factorised", "theoretical speed-up", *_QUALITY], rows)


def alone(results: Results) -> Table:
    """What each layer loses alone."""
    rows = [
        [row.layer, str(row.rank), number(row.error, 3), number(row.theoretical_speedup, 3), *_quality(row.quality)]
        for row in results.alone
    ]
    caption = (
        f"One layer alone as an SVD pair of its kernel, at 1/{ALONE_SPEEDUP:g} of its FLOPs; its error is that of the "
        "kernel, relative."
    )
    return Table(caption, ["layer", "K", "error", "theoretical speed-up", *_QUALITY], rows)


def _quality(quality: Quality) -> list[str]:
    return [number(quality.psnr_rgb, 2), number(quality.psnr_rgb_matched, 2), number(quality.ssim_rgb, 4)]


def thresholds(results: Results) -> Table:
    """The points of the figure of thresholds, in three readings, with and without the guard."""
    rows = [row for reading, threshold, point in _readings(results) for row in _guarded(reading, threshold, point)]
    caption = (
        "SVD of the kernel by a threshold, in three readings. Layers whose factors would cost more than the dense "
        f"layer stay dense, but in rows without the guard, which are left out where they are the same. {TIMED}"
    )
    return Table(caption, ["the threshold selects or truncates", "threshold", *NETWORK], rows)


def _readings(results: Results) -> list[tuple[str, float, GuardedPoint]]:
    return [
        *(("layers above a condition number", point.threshold, point) for point in results.thresholds),
        *(("every layer at a condition number", point.condition, point) for point in results.truncations),
        *(("every layer at a singular value", point.limit, point) for point in results.limits),
    ]


def _guarded(reading: str, threshold: float, point: GuardedPoint) -> list[list[str]]:
    """A row with the guard, or the reason why there is none, and one without it where that is another network."""
    at = number(threshold, 3)
    rows = [
        [reading, at, *network(point.network)] if point.network else [f"{reading}: {point.refused}", at, *NO_NETWORK]
    ]
    return rows + ([[f"{reading}, without the guard", at, *network(point.unguarded)]] if point.unguarded else [])


def without_network(results: Results) -> str:
    """A sentence on the thresholds at which the guard leaves no network, for the figure; empty where there are none."""
    refused = [f"{reading}, {at:.3g} ({point.refused})" for reading, at, point in _readings(results) if point.refused]
    return f" No filled point: {'; '.join(refused)}." if refused else ""


def self_check(results: Results) -> Table:
    """Every technique that was timed more than once, and what else the machine did."""
    rows = []
    for technique in results.times.techniques:
        timings = clock.measurements(results, technique)
        if len(timings) < 2:
            continue
        busy = max(max(timing.load.before, timing.load.after) for timing in timings)
        cells = [speedup(timing) for timing in timings[:3]]
        rows.append([technique.label, *cells, *["–"] * (3 - len(cells)), number(busy, 2)])
    caption = (
        "The self-check: the same networks timed at different moments, speed-ups over direct convolution with their "
        "quartiles; direct convolution beside itself. Busy: the most cores that other processes used before or after."
    )
    return Table(caption, ["technique", "first", "second", "third", "cores busy elsewhere"], rows)
