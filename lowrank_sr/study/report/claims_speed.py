"""The claims that rest on the clock, and im2col's memory."""

from collections.abc import Sequence
from operator import attrgetter

from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.measure.sweeps import GuardedPoint
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import speedup
from lowrank_sr.study.report.verdict import Answer, Verdict, listed, rule_of, together
from lowrank_sr.study.technique import DIRECT, IM2COL, REFERENCE

MEMORY_INTENSIVE = 1.25  # times the peak memory of direct convolution, or more
READINGS = (
    ("selects the layers above it", "thresholds", "threshold"),
    ("is the condition number that every layer is truncated at", "truncations", "condition"),
    ("is a limit for the singular values themselves", "limits", "limit"),
)  # of the poster's threshold: in words, the field of the results, the field of its points


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
    answers = [clock.faster(results, measured) for measured in timings.values()]
    trouble = clock.trouble(results, techniques, [timing for measured in timings.values() for timing in measured])
    return together(answers, found, rule, trouble)


def threshold(results: Results) -> Verdict:
    """A lower threshold slows it down: in three readings, judged without the break-even guard, shown with it too."""
    techniques = [technique for technique in results.times.techniques if technique.form == "svd"]
    found, answers, used = [], [], []
    for words, field, value in READINGS:
        parts = []
        for name, guarded in (("without the break-even guard", False), ("with it", True)):
            ends = _extremes(getattr(results, field), value, guarded)
            if ends is None:
                continue
            (low, at_low), (high, at_high) = ends
            used += [at_low, at_high]
            parts.append(f"{name} {speedup(at_low)} at {_round(low)}, {speedup(at_high)} at {_round(high)}")
            if not guarded:
                answers.append(clock.slower_than(results, [at_low], [at_high]))
        if parts:
            found.append(f"if the threshold {words}: times as fast as direct, " + "; ".join(parts))
    rule = (
        "the poster does not say what its threshold does, so three readings are judged, each without the guard that "
        f"keeps layers dense where factors would cost more; {rule_of(len(answers), 'readings')}; slower or faster "
        "where the quartiles at the lowest and the highest threshold are apart by more than direct convolution is "
        f"from itself, else not decided; {clock.self_check(results, techniques)}"
    )
    if not answers:
        return together([], "no reading has two networks to compare", rule)
    return together(answers, "; ".join(found), rule, clock.trouble(results, techniques, used))


def _extremes(
    points: Sequence[GuardedPoint], value: str, guarded: bool
) -> tuple[tuple[float, Timing], tuple[float, Timing]] | None:
    """The lowest and the highest threshold of a reading, each with the time of its network; None for fewer than two."""
    timings = []
    for point in sorted(points, key=attrgetter(value)):
        network = point.network if guarded else point.fewest_guards()
        if network is not None:
            timings.append((float(getattr(point, value)), network.measured.direct))
    return (timings[0], timings[-1]) if len(timings) > 1 else None


def _round(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def im2col(results: Results) -> Verdict:
    """im2col needs much memory and is slower than direct convolution."""
    timings = clock.measurements(results, IM2COL)
    more, needs = _memory(results)
    found = f"{listed(speedup(timing) for timing in timings)} times as fast as direct; {needs}"
    trouble = clock.trouble(results, [IM2COL], timings)
    is_faster = None if trouble else clock.faster(results, timings)
    slower = None if is_faster is None else not is_faster
    rule = (
        f"two halves, peak memory above {MEMORY_INTENSIVE:g} times that of direct convolution by every pair of their "
        f"measurements, and slower; {rule_of(2, 'halves')}; {clock.faster_rule(results)}; "
        f"{clock.self_check(results, [IM2COL])}"
    )
    verdict = together([more, slower], found, rule)
    return Verdict(verdict.verdict, found, rule, trouble or "")


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
