"""The claims that rest on the clock, and im2col's memory."""

from collections.abc import Sequence
from operator import attrgetter

from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.measure.sweeps import GuardedPoint, LowRankNetwork
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import speedup
from lowrank_sr.study.report.verdict import NOT_DECIDED, Answer, Verdict, because, counted, listed, rule_of, together
from lowrank_sr.study.technique import (
    DIRECT,
    IM2COL,
    REFERENCE,
    SVD_FITTED,
    SVD_FITTED_WINOGRAD,
)

MEMORY_INTENSIVE = 1.25  # times the peak memory of direct convolution, or more


def faster(results: Results) -> Verdict:
    """SVD and CP are faster than direct convolution."""
    rows = results.times.techniques
    # The poster compares what runs by direct convolution.
    techniques = [technique for technique in rows if technique.form and technique.method == DIRECT]
    timings = {technique: clock.measurements(results, technique) for technique in techniques}
    found = "times as fast as direct: " + "; ".join(
        f"{technique.label} {listed(speedup(timing) for timing in measured)}, "
        f"{rows[technique].theoretical_speedup:.2f} in theory"
        for technique, measured in timings.items()
    )
    rule = (
        f"{rule_of(len(techniques), 'networks that run by direct convolution')}; {clock.faster_rule(results)}; "
        f"{clock.self_check(results, techniques)}"
    )
    trouble = clock.trouble(results, techniques, [timing for measured in timings.values() for timing in measured])
    if trouble:
        return Verdict(NOT_DECIDED, found, rule, trouble)
    answers = [clock.faster(results, measured) for measured in timings.values()]
    below = all(
        timing.speedup_high < rows[technique].theoretical_speedup
        for technique, measured in timings.items()
        for timing in measured
    )
    why = because(
        (below, "None reaches on the clock what its FLOPs promise: factorised layers run at a lower rate."),
        *_winograd(results),
    )
    return Verdict(together(answers), found, rule, why)


def _winograd(results: Results) -> list[tuple[bool, str]]:
    """What Winograd's algorithm does without low rank, and with it."""
    rows, reasons = results.times.techniques, []
    best = results.times.fastest_dense()
    if best != REFERENCE:
        exact = clock.measurements(results, best)
        text = (
            f"Direct convolution is not the fastest exact method: {best.label} computes the same picture "
            f"{exact[0].speedup:.2f} times as fast; {_beside(results, exact)}."
        )
        reasons.append((clock.faster(results, exact) is True, text))
    if SVD_FITTED_WINOGRAD in rows:
        pair, by_winograd = rows[SVD_FITTED], rows[SVD_FITTED_WINOGRAD]
        both = (clock.measurements(results, technique) for technique in (SVD_FITTED, SVD_FITTED_WINOGRAD))
        text = (
            f"By F(6, 3) the fitted SVD does {by_winograd.multiplications / pair.multiplications:.2f} of the "
            f"multiplications and is {by_winograd.measured.speedup / pair.measured.speedup:.2f} times as fast; the "
            "FLOP count does not show that."
        )
        reasons.append((clock.slower_than(results, *both) is True, text))
    return reasons


def _beside(results: Results, exact: Sequence[Timing]) -> str:
    """Which low-rank techniques are faster than an exact one, and which cannot be told apart from it."""
    answers = {
        technique.label: clock.slower_than(results, exact, clock.measurements(results, technique))
        for technique in results.times.techniques
        if technique.form
    }
    ahead, level = ([label for label, answer in answers.items() if answer is wanted] for wanted in (True, None))
    if not ahead and not level:
        return "every low-rank technique is slower than that"
    said = f"faster than that: {listed(ahead)}" if ahead else "no low-rank technique is certainly faster than that"
    return f"{said}. Not told apart from it: {listed(level)}" if level else said


READINGS = (
    ("selects the layers above it", "thresholds", "threshold"),
    ("is the condition number that every layer is truncated at", "truncations", "condition"),
    ("is a limit for the singular values themselves", "limits", "limit"),
)  # of the poster's threshold: in words, the field of the results, the field of its points


def threshold(results: Results) -> Verdict:
    """A lower threshold slows it down: in three readings, without the break-even guard and with it."""
    techniques = [technique for technique in results.times.techniques if technique.form == "svd"]
    found, answers, reasons, used = [], [], [], []
    for words, field, value in READINGS:
        points = getattr(results, field)
        compared = [extremes(points, value, guarded) for guarded in (False, True)]
        without, with_guard = compared
        parts = []
        for name, pair in (("without the break-even guard", without), ("with it", with_guard)):
            if pair is None:
                continue
            (low, at_low), (high, at_high) = pair
            used += [at_low, at_high]
            parts.append(f"{name} {speedup(at_low)} at {_round(low)}, {speedup(at_high)} at {_round(high)}")
        if not parts:
            continue
        found.append(f"if the threshold {words}: times as fast as direct, " + "; ".join(parts))
        answer = _slower(results, without) if without else None
        answers.append(answer)
        guarded = _slower(results, with_guard) if with_guard else None
        turned = ", which the guard turns round" if None not in (answer, guarded) and answer != guarded else ""
        reasons.append((answer is True, f"Where it {words}, a lower one is slower{turned}."))
        reasons.append((answer is False, f"Where it {words}, a lower one is faster{turned}."))
    reasons += _unguarded(results)
    rule = (
        "the poster does not say what its threshold does, so three readings are judged, each without the guard that "
        f"keeps layers dense where factors would cost more; {rule_of(len(answers), 'readings')}; slower or faster "
        "where the quartiles at the lowest and the highest threshold are apart by more than direct convolution is "
        f"from itself, else not decided; {clock.self_check(results, techniques)}"
    )
    if not answers:
        return Verdict(NOT_DECIDED, "no reading has two networks to compare", rule, "")
    trouble = clock.trouble(results, techniques, used)
    if trouble:
        return Verdict(NOT_DECIDED, "; ".join(found), rule, trouble)
    return Verdict(together(answers), "; ".join(found), rule, because(*reasons))


def extremes(
    points: Sequence[GuardedPoint], value: str, guarded: bool
) -> tuple[tuple[float, Timing], tuple[float, Timing]] | None:
    """The lowest and the highest threshold of a reading, each with the time of its network; None for fewer than two."""
    networks: list[tuple[float, LowRankNetwork]] = []
    for point in sorted(points, key=attrgetter(value)):
        network = point.network if guarded else point.fewest_guards()
        if network is not None:
            networks.append((getattr(point, value), network))
    if len(networks) < 2:
        return None
    (low, at_low), (high, at_high) = networks[0], networks[-1]
    return (low, at_low.measured.direct), (high, at_high.measured.direct)


def _round(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def _slower(results: Results, pair: tuple[tuple[float, Timing], tuple[float, Timing]]) -> Answer:
    (_, at_low), (_, at_high) = pair
    return clock.slower_than(results, [at_low], [at_high])


def _unguarded(results: Results) -> list[tuple[bool, str]]:
    """What ranks beyond the break-even cost."""
    points = [*results.thresholds, *results.truncations, *results.limits]
    networks = [point.unguarded for point in points if point.unguarded is not None]
    if not networks:
        return []
    slowest = min(networks, key=lambda network: network.measured.direct.speedup)
    costly = sum(network.theoretical_speedup < 1 for network in networks)
    text = (
        f"Without the guard {costly} of {counted(len(networks), 'network')} {'needs' if costly == 1 else 'need'} more "
        f"FLOPs than the dense one; the slowest is {speedup(slowest.measured.direct)} times as fast: "
        "ranks above d N C / (N + C) slow a network down."
    )
    return [(slowest.theoretical_speedup < 1 and clock.faster(results, [slowest.measured.direct]) is False, text)]


def im2col(results: Results) -> Verdict:
    """im2col needs much memory and is slower than direct convolution."""
    techniques = [IM2COL]
    timings = clock.measurements(results, IM2COL)
    more, needs = _memory(results)
    found = f"{listed(speedup(timing) for timing in timings)} times as fast as direct; {needs}"
    trouble = clock.trouble(results, techniques, timings)
    is_faster = None if trouble else clock.faster(results, timings)
    slower = None if is_faster is None else not is_faster
    rule = (
        f"two halves, peak memory above {MEMORY_INTENSIVE:g} times that of direct convolution by every pair of their "
        f"measurements, and slower; {rule_of(2, 'halves')}; {clock.faster_rule(results)}; "
        f"{clock.self_check(results, techniques)}"
    )
    why = because(
        (trouble is not None, trouble or ""),
        (
            more is True,
            "The patch matrix holds every pixel d² times; direct convolution reads the feature map in place.",
        ),
    )
    return Verdict(together([more, slower]), found, rule, why)


def _memory(results: Results) -> tuple[Answer, str]:
    """Whether im2col needs much more memory than direct convolution for the largest picture, and how much in words."""
    largest = results.memory[REFERENCE].sides[-1]
    patches, direct = results.memory[IM2COL].sides[-1].measured, largest.measured
    if not patches.peak_mb or not direct.peak_mb:
        return None, "this system does not report a process's peak memory"
    (least, most), (direct_least, direct_most) = patches.range_mb(), direct.range_mb()
    low, high = least / direct_most, most / direct_least
    more = True if low > MEMORY_INTENSIVE else False if high <= MEMORY_INTENSIVE else None
    return more, (
        f"for {largest.side} x {largest.side} pixels {patches.peak_mb / direct.peak_mb:.2f} times its memory, "
        f"{low:.2f} to {high:.2f} ({least:.0f} to {most:.0f} MB against {direct_least:.0f} to {direct_most:.0f} MB)"
    )
