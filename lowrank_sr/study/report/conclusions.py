"""What each figure shows, in a sentence or two, from the numbers that it draws."""

import statistics

from lowrank_sr.study.measure.ablation import UNIFORM
from lowrank_sr.study.measure.low_rank import DENSE_BLOCKS
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.causes import INVISIBLE
from lowrank_sr.study.report.claims_speed import READINGS, extremes
from lowrank_sr.study.report.figure_pareto import LEAST_LOSS
from lowrank_sr.study.report.figure_quality import panel_name
from lowrank_sr.study.report.gains import gain, short_name
from lowrank_sr.study.report.tables import speedup
from lowrank_sr.study.report.verdict import listed
from lowrank_sr.study.technique import ALL, BLOCKS, DENSE_TUNED, FITTED, IM2COL, KERNEL, REFERENCE, Technique

MOST_WORST = 4  # layers that are named as those that lose most alone


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
    """Which technique is fastest, and which exact one; where measurements do not tell them apart, which ones."""
    rows = results.times.techniques
    every = {technique: clock.measurements(results, technique) for technique in rows}

    def described(technique: Technique) -> str:
        median, theory = rows[technique].measured.speedup, rows[technique].theoretical_speedup
        return f"{technique.label}, {median:.2f} times as fast as direct ({theory:.2f} in theory)"

    def named(techniques: list[Technique]) -> str:
        apart = ", not told apart" if len(techniques) > 1 else ""
        return f"{listed(map(described, techniques))}{apart}"

    best = clock.fastest(results, every)
    if best == (exact := _fastest_exact(results)):
        return f"Fastest, and exact: {named(best)}."
    return f"Fastest: {named(best)}. Of those that compute the network exactly: {named(exact)}."


def _fastest_exact(results: Results) -> list[Technique]:
    dense = [technique for technique in results.times.techniques if technique.form is None]
    return clock.fastest(results, {technique: clock.measurements(results, technique) for technique in dense})


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
    exact = (
        f"{technique.label} ({results.times.techniques[technique].measured.speedup:.2f})"
        for technique in _fastest_exact(results)
    )
    lossless = f"Without any loss: {listed(exact)}."
    if not near:
        return f"No low-rank network here loses as little as {INVISIBLE} dB. {lossless}"
    theory = max(near, key=lambda pair: pair[1].theoretical_speedup)
    timings = {f"{point.technique.label}, ×{point.speedup:g}": [net.measured.winograd] for point, net in near}
    ahead = clock.fastest(results, timings)
    measured_best = listed(f"{timings[name][0].speedup:.2f} ({name})" for name in ahead)
    apart = ", not told apart" if len(ahead) > 1 else ""
    disturbed = sum(not clock.undisturbed(timings[name]) for name in timings)
    if 0 < disturbed < len(timings):
        apart += f"; not counted: {disturbed} of these {len(timings)} networks, timed while other processes worked"
    return (
        f"At a loss of at most {INVISIBLE} dB, the greatest speed-up in theory is {theory[1].theoretical_speedup:.2f} "
        f"({theory[0].technique.label}), and measured {measured_best}{apart}. {lossless}"
    )


def tuned(results: Results) -> str:
    """What fine-tuning gains and how sure that is; low rank beside the dense network that was trained as long."""
    said, count = [], len(results.bicubic.pictures)
    steps = [tuned.training.measured.steps for tuned in results.tuned.values()]
    for technique in results.tuned:
        mean, error = gain(results, technique)
        said.append(f"{mean:+.3f}{'' if error is None else f' ± {error:.3f}'} dB ({short_name(technique)})")
    how = f"mean and standard error over {count} pictures" if count > 1 else "on one picture"
    dense = results.tuned[DENSE_TUNED].quality.psnr_rgb
    beside = [
        f"{short_name(technique)} at {tuned.quality.psnr_rgb - dense:+.3f} dB"
        for technique, tuned in results.tuned.items()
        if technique.form
    ]
    left = f"; it leaves {listed(beside)} against the dense network trained as long" if beside else ""
    return f"In {_span(steps)} steps fine-tuning changes PSNR by {listed(said)}, {how}{left}."


def _span(counts: list[int]) -> str:
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(counts[0])


def thresholds(results: Results) -> str:
    """What a lower threshold does to the speed in each reading, without the break-even guard."""
    said = []
    for name, (_, field, value) in zip(
        ("selects layers", "truncates at a condition number", "limits singular values"), READINGS, strict=True
    ):
        ends = extremes(getattr(results, field), value, guarded=False)
        if ends:
            (_, lowest), (_, highest) = ends
            said.append(f"where it {name}, {speedup(lowest)} at the lowest and {speedup(highest)} at the highest")
    return f"Measured speed-up, whatever the ranks cost: {'; '.join(said)}." if said else ""


def ablation(results: Results) -> str:
    """What SVD loses with all layers, with the dense blocks alone, and with fitted factors."""
    found = {(point.form, point.ranks, point.layers, point.factors): point for point in results.ablation}
    said = []
    for layers, factors, name in (
        (ALL, KERNEL, "factors of the kernel in all layers"),
        (BLOCKS, KERNEL, "those in the dense blocks alone"),
        (ALL, FITTED, "fitted factors in all layers"),
    ):
        point = found.get(("svd", UNIFORM, layers, factors))
        if point is not None:
            gain = point.quality.psnr_rgb - results.quality[REFERENCE].psnr_rgb
            said.append(f"{name} change PSNR by {gain:+.2f} dB at ×{point.theoretical_speedup:.2f} in theory")
    return f"SVD at uniform ranks: {'; '.join(said)}." if said else ""


def alone(results: Results) -> str:
    """The layers that cost most alone, and what colours explain of it."""
    dense = results.quality[REFERENCE].psnr_rgb
    where = "" if some_in_the_blocks(results) else "Of the layers outside the dense blocks, "
    losing = [row for row in results.alone if dense - row.quality.psnr_rgb > LEAST_LOSS]
    worst = sorted(losing, key=lambda row: row.quality.psnr_rgb)[:MOST_WORST]
    if not worst:
        return f"{where or 'Of all layers, '}none loses more than {LEAST_LOSS} dB alone."
    said = []
    for row in worst:
        matched = row.quality.psnr_rgb_matched
        after = f"; {matched - dense:+.2f} once colours match" if matched is not None else ""
        said.append(f"{row.layer} ({row.quality.psnr_rgb - dense:+.2f} dB{after})")
    return f"{where}{'m' if where else 'M'}ost is lost by {listed(said)}."


def some_in_the_blocks(results: Results) -> bool:
    """Whether layers of the dense blocks were factorised alone, too; in a quick study only others are."""
    return any(row.layer.startswith(DENSE_BLOCKS) for row in results.alone)


def tail(results: Results) -> str:
    """The PSNR of the detail with all layers factorised, and with what mends it."""
    shown = [panel for panel in results.crop.tail if panel.name.startswith(("all layers", "dense blocks"))]
    psnr = listed(f"{panel.psnr_rgb:.2f} dB for “{panel.name}”" for panel in shown) if shown else ""
    return f"PSNR in this detail is {psnr}." if psnr else ""


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
