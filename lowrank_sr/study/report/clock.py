"""Whether the times of a study can be relied on, and what they then say.

Every technique is timed in turn with direct convolution, some of them again at the end of the study. The self-check
compares the two. Where it fails, no claim about these techniques' times is judged, and none about any where direct
convolution differs from itself; where other processes needed the cores around a measurement, it decides nothing.
What direct convolution is ahead of itself, or behind, is the noise that every speed-up is judged against.
"""

from collections.abc import Sequence

from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.verdict import Answer
from lowrank_sr.study.technique import REFERENCE, Technique

TOLERANCE = 1.25  # two measurements of one speed-up whose quartiles are apart may differ by this factor


def measurements(results: Results, technique: Technique) -> list[Timing]:
    """Every time that this study took of a technique's network on the same picture, in order."""
    timings = [results.times.techniques[technique].measured]
    if technique in results.repeats:
        timings.append(results.repeats[technique].measured)
    gflop = results.times.techniques[technique].gflop  # the sweep of speed-ups measures the networks of Table 1, too
    same = [point.network for point in results.speedups if point.technique == technique and point.network]
    return timings + [network.measured.direct for network in same if network.gflop == gflop]


def contradiction(results: Results, techniques: Sequence[Technique]) -> str | None:
    """The first of `techniques` whose measurements contradict each other, in words; None where none does.

    They do where their quartiles are apart and one says faster and the other slower than direct convolution, or the
    medians differ by more than TOLERANCE. Direct convolution beside itself is to have a speed-up of 1.
    """
    for itself in measurements(results, REFERENCE):
        if _apart(itself.speedup, 1.0):
            return f"direct convolution was {itself.speedup:.2f} times as fast as itself"
    for technique in techniques:
        first, *others = measurements(results, technique)
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
    factors = [1.0]
    for technique in (REFERENCE, *techniques):
        speedups = [timing.speedup for timing in measurements(results, technique)]
        speedups += [1.0] if technique == REFERENCE else []
        factors.append(max(speedups) / min(speedups))
    return max(factors)


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
    speedups = [timing.speedup for timing in measurements(results, REFERENCE)]
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
    every = {technique: measurements(results, technique) for technique in techniques}
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
