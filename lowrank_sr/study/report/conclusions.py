"""What each figure shows, in a sentence or two, from the numbers that it draws."""

import statistics
from collections.abc import Sequence

from lowrank_sr.study.measure.ablation import UNIFORM
from lowrank_sr.study.measure.low_rank import FITTED, KERNEL
from lowrank_sr.study.measure.sweeps import GuardedPoint, LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.figure_quality import panel_name
from lowrank_sr.study.technique import ALL, BLOCKS, IM2COL, REFERENCE, Technique

INVISIBLE = 0.1  # dB: a smaller loss is hard to see


def conditions(results: Results) -> str:
    """How condition number and rank go together."""
    rows, marked = results.condition_numbers.layers, results.condition_numbers.marked
    ranks = [[row.rank_90_percent for row in rows if row.marked == above] for above in (True, False)]
    if not all(ranks):
        return ""
    high, low = (f"{min(some):.0f} to {max(some):.0f}%" for some in ranks)
    return (
        f"Above the threshold: {', '.join(marked)}. Those layers keep 90% of their energy with {high} of full rank, "
        f"the others with {low}."
    )


def times(results: Results) -> str:
    """Which technique is fastest, and which exact one."""
    rows, exact = results.times.techniques, results.times.fastest_dense()
    best = max(rows, key=lambda technique: rows[technique].measured.speedup)

    def described(technique: Technique) -> str:
        clock, theory = rows[technique].measured.speedup, rows[technique].theoretical_speedup
        return f"{technique.label}, {clock:.2f} times as fast as direct ({theory:.2f} in theory)"

    if best == exact:
        return f"The fastest technique computes the network exactly: {described(best)}."
    return f"The fastest technique is {described(best)}; of those that compute the network exactly, {described(exact)}."


def details(results: Results) -> str:
    """The range of the PSNR in the detail."""
    panels = [panel for panel in results.crop.panels if panel.psnr_rgb is not None]
    low, high = (pick(panels, key=lambda panel: panel.psnr_rgb or 0.0) for pick in (min, max))
    worst, best = (f"{panel.psnr_rgb:.2f} dB ({panel_name(panel)})" for panel in (low, high))
    return f"In this detail PSNR goes from {worst} to {best}."


def layers(results: Results) -> str:
    """How many points beat sgemm by FLOPs, and by multiplications."""
    rows = [row for layer in results.layers.values() for row in layer.rows]
    sgemm = results.sgemm.measured.gflops
    by_flops = [row.gflop / row.measured.seconds / sgemm for row in rows]
    by_products = [2 * row.multiplications / row.measured.seconds / sgemm for row in rows]
    return (
        f"By FLOPs, {_above(by_flops)} of {len(rows)} points are faster than sgemm, at {sgemm:.0f} GFLOP/s; by the "
        f"multiplications that are done, {_above(by_products)}. The median point does "
        f"{statistics.median(by_products):.0%} of sgemm's multiplications a second."
    )


def _above(shares: list[float]) -> int:
    return sum(share > 1 for share in shares)


def pareto(results: Results) -> str:
    """The greatest speed-ups at a loss that is hard to see, in theory and on the clock."""
    dense = results.quality[REFERENCE].psnr_rgb
    near = [(point, net) for point, net in measured(results.speedups) if dense - net.quality.psnr_rgb <= INVISIBLE]
    exact = results.times.fastest_dense()
    lossless = f"{exact.label} gives {results.times.techniques[exact].measured.speedup:.2f} without any loss."
    if not near:
        return f"No low-rank network here loses as little as {INVISIBLE} dB. {lossless}"
    theory = max(near, key=lambda pair: pair[1].theoretical_speedup)
    clock = max(near, key=lambda pair: pair[1].measured.winograd.speedup)
    return (
        f"At a loss of at most {INVISIBLE} dB, the greatest speed-up in theory is {theory[1].theoretical_speedup:.2f} "
        f"({theory[0].technique.label}), and measured {clock[1].measured.winograd.speedup:.2f} "
        f"({clock[0].technique.label}). {lossless}"
    )


def thresholds(results: Results) -> str:
    """What a lower threshold does to the speed in each reading, without the break-even guard."""
    said = []
    for name, lower, higher in (
        ("selects layers", *_ends(results.thresholds, "threshold")),
        ("truncates at a condition number", *_ends(results.truncations, "condition")),
        ("limits singular values", *_ends(results.limits, "limit")),
    ):
        if lower and higher:
            slow, fast = lower.measured.direct, higher.measured.direct
            said.append(f"where it {name}, {slow.speedup:.2f} at the lowest and {fast.speedup:.2f} at the highest")
    return f"Measured speed-up, whatever the ranks cost: {'; '.join(said)}." if said else ""


def _ends(points: Sequence[GuardedPoint], key: str) -> tuple[LowRankNetwork | None, LowRankNetwork | None]:
    """The networks at the lowest and the highest threshold, which is the field `key`."""
    networks = [(getattr(point, key), point.fewest_guards()) for point in points]
    known = sorted(((at, network) for at, network in networks if network), key=lambda pair: pair[0])
    return (known[0][1], known[-1][1]) if len(known) > 1 else (None, None)


def ablation(results: Results) -> str:
    """What SVD loses with all layers, with the dense blocks alone, and with fitted factors."""
    found = {(point.form, point.ranks, point.layers, point.factors): point for point in results.ablation}
    said = []
    for layers, factors, name in (
        (ALL, KERNEL, "all layers by factors of the kernel"),
        (BLOCKS, KERNEL, "the dense blocks alone"),
        (ALL, FITTED, "all layers by fitted factors"),
    ):
        point = found.get(("svd", UNIFORM, layers, factors))
        if point is not None:
            gain = point.quality.psnr_rgb - results.quality[REFERENCE].psnr_rgb
            said.append(f"{name}: {gain:+.2f} dB at ×{point.theoretical_speedup:.2f}")
    return f"SVD at uniform ranks. {'; '.join(said)}." if said else ""


def alone(results: Results) -> str:
    """The layers that cost most alone, and what colours explain of it."""
    dense = results.quality[REFERENCE].psnr_rgb
    worst = sorted(results.alone, key=lambda row: row.quality.psnr_rgb)[:4]
    said = []
    for row in worst:
        matched = row.quality.psnr_rgb_matched
        after = f" ({matched - dense:+.2f} once colours match)" if matched is not None else ""
        said.append(f"{row.layer} {row.quality.psnr_rgb - dense:+.2f} dB{after}")
    return f"Most is lost by {', '.join(said)}."


def tail(results: Results) -> str:
    """The PSNR of the detail with all layers factorised, and with what mends it."""
    shown = [panel for panel in results.crop.tail if panel.name.startswith(("all layers", "dense blocks"))]
    return "; ".join(f"{panel.name}: {panel.psnr_rgb:.2f} dB" for panel in shown) + "." if shown else ""


def memory(results: Results) -> str:
    """Who needs least and most at the largest size, and im2col beside direct convolution."""
    peaks = {technique: rows.sides[-1].measured.peak_mb for technique, rows in results.memory.items()}
    known = {technique: peak for technique, peak in peaks.items() if peak}
    side = results.memory[REFERENCE].sides[-1].side
    least, most = (pick(known, key=lambda technique: known[technique]) for pick in (min, max))
    fewest, largest = (f"{technique.label} ({known[technique]:.0f} MB)" for technique in (least, most))
    text = f"At {side} x {side} pixels, {fewest} needs least and {largest} most"
    if {IM2COL, REFERENCE} <= known.keys():
        text += f"; im2col {known[IM2COL] / known[REFERENCE]:.1f} times as much as direct convolution"
    return f"{text}."
