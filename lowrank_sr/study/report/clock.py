"""Whether the times of a study can be relied on, what they then say, and the claims that rest on them.

Every technique is timed in turn with direct convolution, some of them again at the end of the study. The self-check
compares the two. Where it fails, no claim about these techniques' times is judged, and none about any where direct
convolution differs from itself; where other processes needed the cores around a measurement, it decides nothing.
What direct convolution is ahead of itself, or behind, is the noise that every speed-up is judged against.
"""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.measure.sweeps import GuardedPoint
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.tables import speedup
from lowrank_sr.study.report.verdict import Answer, Verdict, listed, rule_of, together
from lowrank_sr.study.technique import DIRECT, IM2COL, REFERENCE, Technique

TOLERANCE = 1.25  # two measurements of one speed-up whose quartiles are apart may differ by this factor
MEMORY_INTENSIVE = 1.25  # times the peak memory of direct convolution, or more
ANSWERS = {True: "a lower one is slower", False: "a lower one is faster", None: "not told apart"}
READINGS = (
    ("selects the layers above it", "thresholds", "threshold"),
    ("is the condition number that every layer is truncated at", "truncations", "condition"),
    ("is a limit for the singular values themselves", "limits", "limit"),
)  # of the poster's threshold: in words, the field of the results, the field of its points


def contradiction(results: Results, techniques: Sequence[Technique]) -> str | None:
    """The first of `techniques` whose measurements contradict each other, in words; None where none does.

    They do where their quartiles are apart and one says faster and the other slower than direct convolution, or the
    medians differ by more than TOLERANCE. Direct convolution beside itself is to have a speed-up of 1.
    """
    for itself in results.timings(REFERENCE):
        if _apart(itself.speedup, 1.0):
            return f"direct convolution was {itself.speedup:.2f} times as fast as itself"
    for technique in techniques:
        first, *others = results.timings(technique)
        for other in others:
            overlap = first.speedup_low <= other.speedup_high and other.speedup_low <= first.speedup_high
            opposite = (first.speedup - 1) * (other.speedup - 1) < 0
            if not overlap and (opposite or _apart(first.speedup, other.speedup)):
                pair = f"{first.speedup:.2f} and {other.speedup:.2f}"
                return f"the same network, {technique.label}, was {pair} times as fast as direct convolution"
    return None


def _apart(first: float, second: float) -> bool:
    return max(first, second) > TOLERANCE * min(first, second)


def largest_difference(results: Results, techniques: Sequence[Technique]) -> float:
    """The largest factor between two measurements of one speed-up, that of direct convolution over itself included."""
    every = [[timing.speedup for timing in results.timings(technique)] for technique in techniques]
    every.append([1.0, *(timing.speedup for timing in results.timings(REFERENCE))])
    return max(max(speedups) / min(speedups) for speedups in every)


def trouble(results: Results, techniques: Sequence[Technique], timings: Sequence[Timing]) -> str | None:
    """Why claims on `techniques` that rest on `timings` cannot be judged, None where they can."""
    contradicting = contradiction(results, techniques)
    if contradicting:
        return f"The self-check failed: {contradicting}."
    busy = [timing.load for timing in timings if timing.load.contended]
    if len(busy) * 2 > len(timings):
        most = max(max(load.before, load.after) for load in busy)
        times = f"{len(busy)} of {len(timings)} measurements"
        return f"Other processes kept up to {most:.1f} cores busy before or after {times}."
    return None


def noise(results: Results) -> float:
    """The largest factor by which direct convolution was faster or slower than itself."""
    speedups = [timing.speedup for timing in results.timings(REFERENCE)]
    return max(max(speedup, 1 / speedup) for speedup in speedups)


def faster(results: Results, timings: Sequence[Timing]) -> Answer:
    """Whether a network is faster than direct convolution by all `undisturbed` measurements, by more than the noise."""
    quiet, floor = undisturbed(timings), noise(results)
    if not quiet:
        return None
    if all(timing.speedup_low > floor for timing in quiet):
        return True
    return False if all(timing.speedup_high < 1 / floor for timing in quiet) else None


def undisturbed(timings: Sequence[Timing]) -> list[Timing]:
    """The measurements before and after which other processes left the cores alone."""
    return [timing for timing in timings if not timing.load.contended]


def faster_rule(results: Results) -> str:
    """How `faster` decides, for the rule of a claim."""
    floor = noise(results)
    return (
        f"faster: in every measurement the lower quartile of the speed-up is above {floor:.3f}, the most that direct "
        f"convolution was ahead of itself or behind; slower: the upper one is below {1 / floor:.3f}; "
        "otherwise not decided; a measurement beside which other processes took the cores does not count"
    )


def slower_than(results: Results, timings: Sequence[Timing], others: Sequence[Timing]) -> Answer:
    """Whether one network is slower than another: the quartiles of all `undisturbed` measurements are apart.

    They are so by more than the noise.
    """
    first, second, floor = undisturbed(timings), undisturbed(others), noise(results)
    if not first or not second:
        return None
    if max(timing.speedup_high for timing in first) * floor < min(timing.speedup_low for timing in second):
        return True
    apart = min(timing.speedup_low for timing in first) > max(timing.speedup_high for timing in second) * floor
    return False if apart else None


def fastest(results: Results, techniques: Sequence[Technique]) -> list[Technique]:
    """The technique whose first measurement has the greatest speed-up, and all that are not slower by `slower_than`.

    Only those with `undisturbed` measurements count, unless none has any.
    """
    every = {technique: results.timings(technique) for technique in techniques}
    ranked = {technique: timings for technique, timings in every.items() if undisturbed(timings)} or every
    best = max(ranked, key=lambda technique: (undisturbed(ranked[technique]) or ranked[technique])[0].speedup)
    level = [each for each in ranked if slower_than(results, ranked[each], ranked[best]) is not True]
    return [best, *(each for each in level if each != best)]


def self_check(results: Results, techniques: Sequence[Technique]) -> str:
    """What the self-check of `techniques` found, for the rule of a claim that rests on the clock."""
    failed = contradiction(results, techniques)
    if failed:
        return f"the self-check failed: {failed}"
    factor = largest_difference(results, techniques)
    return f"the self-check passed: the same networks timed again differ by a factor of {factor:.2f} at most"


def low_rank_is_faster(results: Results) -> Verdict:
    """SVD and CP are faster than direct convolution."""
    rows = results.times.techniques
    # The poster compares what runs by direct convolution.
    techniques = [technique for technique in rows if technique.form and technique.method == DIRECT]
    timings = {technique: results.timings(technique) for technique in techniques}
    found = "times as fast as direct: " + "; ".join(
        f"{technique.label} {listed(speedup(timing) for timing in measured)}, "
        f"{rows[technique].theoretical_speedup:.2f} in theory"
        for technique, measured in timings.items()
    )
    rule = (
        f"{rule_of(len(techniques), 'networks that run by direct convolution')}; {faster_rule(results)}; "
        f"{self_check(results, techniques)}"
    )
    answers = [faster(results, measured) for measured in timings.values()]
    every = [timing for measured in timings.values() for timing in measured]
    return together(answers, found, rule, trouble(results, techniques, every))


def lower_threshold_is_slower(results: Results) -> Verdict:
    """A lower threshold slows it down: in three readings, judged without the break-even guard, shown with it too."""
    techniques = [technique for technique in results.times.techniques if technique.form == "svd"]
    found, answers, used = [], [], []
    for words, field, value in READINGS:
        parts = []
        for name, guarded in (("without the break-even guard", False), ("with it", True)):
            ends = _extremes(getattr(results, field), value, guarded)
            if ends is not None:
                (low, at_low), (high, at_high) = ends
                slower = slower_than(results, [at_low], [at_high])
                answers += [] if guarded else [slower]
                used += [at_low, at_high]
                parts.append(f"{name} {speedup(at_low)} at {_round(low)}, {speedup(at_high)} at {_round(high)}")
                parts[-1] += f", {ANSWERS[slower]}"
        if parts:
            found.append(f"if the threshold {words}: times as fast as direct, " + "; ".join(parts))
    rule = (
        "the poster does not say what its threshold does, so three readings are judged, each without the guard that "
        f"keeps layers dense where factors would cost more; {rule_of(len(answers), 'readings')}; slower or faster "
        "where the quartiles at the lowest and the highest threshold are apart by more than direct convolution is "
        f"from itself, else not decided; {self_check(results, techniques)}"
    )
    if not answers:
        return together([], "no reading has two networks to compare", rule)
    return together(answers, "; ".join(found), rule, trouble(results, techniques, used))


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


def im2col_is_slower(results: Results) -> Verdict:
    """im2col needs much memory and is slower than direct convolution."""
    timings = results.timings(IM2COL)
    more, needs = _memory(results)
    found = f"{listed(speedup(timing) for timing in timings)} times as fast as direct; {needs}"
    wrong = trouble(results, [IM2COL], timings)
    is_faster = None if wrong else faster(results, timings)
    slower = None if is_faster is None else not is_faster
    rule = (
        f"two halves, peak memory above {MEMORY_INTENSIVE:g} times that of direct convolution by every pair of their "
        f"measurements, and slower; {rule_of(2, 'halves')}; {faster_rule(results)}; "
        f"{self_check(results, [IM2COL])}"
    )
    return replace(together([more, slower], found, rule), why=wrong or "")  # its memory may decide nevertheless


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
