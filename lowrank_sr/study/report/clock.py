"""Whether the times of a study can be relied on, what they then say, and the claims that rest on them.

Every technique is timed in turn with direct convolution, some of them again at the end of the study. The self-check
compares the two. Where it fails, no claim about these techniques' times is judged, and none about any where direct
convolution differs from itself; where other processes needed the cores around a measurement, it decides nothing.
What direct convolution is ahead of itself, or behind, is the noise that every speed-up is judged against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from operator import attrgetter
from typing import TypeVar

from lowrank_sr.study.measure.networks import TABLE1_SPEEDUP
from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.measure.sweeps import GuardedPoint
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.tables import speedup
from lowrank_sr.study.report.verdict import Answer, Verdict, between, counted, listed, rule_of, together
from lowrank_sr.study.technique import ALL, DIRECT, IM2COL, REFERENCE, WINOGRAD, Technique

N = TypeVar("N")  # what tells networks apart
TOLERANCE = 1.25  # two measurements of one speed-up whose quartiles are apart may differ by this factor
LEAST_THEORY = 1.1  # of a network that is judged by its speed: less is within what the clock wavers
MEMORY_INTENSIVE = 1.25  # times the peak memory of direct convolution, or more
LEVEL = "not told apart"
BESIDE = {True: "faster", False: "slower", None: LEVEL}  # low rank beside what is slower, faster or neither
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
    every = {technique: results.timings(technique) for technique in techniques}
    pairs = [(technique, first, other) for technique, (first, *others) in every.items() for other in others]
    for technique, first, other in pairs:
        overlap = first.speedup_low <= other.speedup_high and other.speedup_low <= first.speedup_high
        opposite = (first.speedup - 1) * (other.speedup - 1) < 0
        if not overlap and (opposite or _apart(first.speedup, other.speedup)):
            pair = f"{first.speedup:.2f} and {other.speedup:.2f}"
            return f"the same network, {technique.label}, was {pair} times as fast as direct convolution"
    return None


def _apart(first: float, second: float) -> bool:
    return max(first, second) > TOLERANCE * min(first, second)


def trouble(results: Results, techniques: Sequence[Technique], timings: Sequence[Timing]) -> str | None:
    """Why claims on `techniques` that rest on `timings` cannot be judged, None where they can."""
    if contradicting := contradiction(results, techniques):
        return f"The self-check failed: {contradicting}."
    busy = [timing.load for timing in timings if timing.load.contended]
    if len(busy) * 2 > len(timings):
        most, times = max(max(load.before, load.after) for load in busy), f"{len(busy)} of {len(timings)} measurements"
        return f"Other processes kept up to {most:.1f} cores busy before or after {times}."
    return None


def noise(results: Results) -> float:
    """The largest factor by which direct convolution was faster or slower than itself."""
    return max(max(timing.speedup, 1 / timing.speedup) for timing in results.timings(REFERENCE))


def faster(results: Results, timings: Sequence[Timing]) -> Answer:
    """Whether a network is faster than direct convolution by all `undisturbed` measurements, by more than the noise."""
    quiet, floor = undisturbed(timings), noise(results)
    if quiet and all(timing.speedup_low > floor for timing in quiet):
        return True
    return False if quiet and all(timing.speedup_high < 1 / floor for timing in quiet) else None


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
    """Whether one network is slower than another: all `undisturbed` quartiles are apart by more than the noise."""
    first, second, floor = undisturbed(timings), undisturbed(others), noise(results)
    pairs = list(product(first, second))
    if pairs and all(one.speedup_high * floor < other.speedup_low for one, other in pairs):
        return True
    return False if pairs and all(one.speedup_low > other.speedup_high * floor for one, other in pairs) else None


def fastest(results: Results, techniques: Sequence[Technique]) -> list[Technique]:
    """The technique of the greatest speed-up and all that are not slower, as `ahead` says."""
    return ahead(results, {technique: results.timings(technique) for technique in techniques})


def ahead(results: Results, every: Mapping[N, Sequence[Timing]]) -> list[N]:
    """The network of the greatest speed-up, by its first `undisturbed` measurement, and all that are not slower."""
    ranked = {name: timings for name, timings in every.items() if undisturbed(timings)} or every
    best = max(ranked, key=lambda name: (undisturbed(ranked[name]) or ranked[name])[0].speedup)
    level = [each for each in ranked if slower_than(results, ranked[each], ranked[best]) is not True]
    return [best, *(each for each in level if each != best)]


def self_check(results: Results, techniques: Sequence[Technique]) -> str:
    """What the self-check of `techniques` found, for the rule of a claim that rests on the clock."""
    if failed := contradiction(results, techniques):
        return f"the self-check failed: {failed}"
    every = [[timing.speedup for timing in results.timings(technique)] for technique in techniques]
    if all(len(speedups) == 1 for speedups in every):
        return "no network was timed again, so that there was no self-check"
    every.append([1.0, *(timing.speedup for timing in results.timings(REFERENCE))])  # which is to be as fast as itself
    factor = max(max(speedups) / min(speedups) for speedups in every)
    return f"the self-check passed: the same networks timed again differ by a factor of {factor:.2f} at most"


def low_rank_is_faster(results: Results) -> Verdict:
    """SVD and CP are faster than direct convolution, by networks that save enough FLOPs for the clock to tell."""
    rows = results.times
    # The poster compares what runs by direct convolution.
    techniques = [technique for technique in rows if technique.form and technique.method == DIRECT]
    timings = {technique: results.timings(technique) for technique in techniques}
    theory = {technique: f"{rows[technique].theoretical_speedup:.2f} in theory" for technique in techniques}
    said = [f"{each.label} {listed(map(speedup, some))}, {theory[each]}" for each, some in timings.items()]
    found = f"times as fast as direct: {'; '.join(said)}"
    judged = [each for each in techniques if rows[each].theoretical_speedup >= LEAST_THEORY]
    rule = (
        f"judged by networks that run by direct convolution and are at least {LEAST_THEORY:g} times cheaper in theory; "
        f"{rule_of(len(judged), 'of them')}; {faster_rule(results)}; {self_check(results, techniques)}"
    )
    answers = [faster(results, timings[technique]) for technique in judged]
    every = [timing for technique in judged for timing in timings[technique]]
    if not every:
        return together([], "none is cheap enough to be judged", found, rule)
    short = f"{between((timing.speedup for timing in every), 1)} times as fast as direct"
    return together(answers, short, found, rule, trouble(results, techniques, every))


def fastest_exact(results: Results) -> list[Technique]:
    """The fastest method that computes the network exactly, and those that the clock does not tell apart from it."""
    return fastest(results, [technique for technique in results.times if technique.form is None])


def low_rank_beats_exact(results: Results) -> Verdict:
    """Low rank is faster than the fastest method that computes the dense network exactly."""
    exact = fastest_exact(results)[0]
    every = [each for each in results.times if each.form and each.layers == ALL and each.method == DIRECT]
    if not every:
        return together([], "not measured", "nothing: this study leaves low rank out", "judged where it is measured")
    own, timings = results.timings(exact), {technique: _at_best(results, technique) for technique in every}
    answers = {each: slower_than(results, own, some) for each, some in timings.items()}
    said = [f"{each.label} {listed(map(speedup, some))}: {BESIDE[answers[each]]}" for each, some in timings.items()]
    found = f"times as fast as direct, {exact.label} {listed(map(speedup, own))}; {'; '.join(said)}"
    rule = (
        "our own question, since the poster has no such method: every network of Table 1 that may be of low rank in "
        "all layers, by Winograd's algorithm where it was timed so, beside the fastest exact method; "
        f"{rule_of(len(every), 'networks')}; faster or slower where all quartiles are apart by more than direct "
        "convolution is from itself, else not decided; a measurement beside which other processes took the cores does "
        f"not count; {self_check(results, [exact, *every])}"
    )
    ratios = [some[0].speedup / own[0].speedup for some in timings.values()]
    measured = [*own, *(timing for some in timings.values() for timing in some)]
    short = f"{between(ratios, 2)} times as fast as {exact.label}"
    return together(list(answers.values()), short, found, rule, trouble(results, [exact, *every], measured))


def _at_best(results: Results, technique: Technique) -> list[Timing]:
    """The times of a low-rank network by Winograd's algorithm, or else by direct convolution."""
    by_winograd = replace(technique, method=WINOGRAD)
    known = results.timings(by_winograd) if by_winograd in results.times else []
    points = [point for point in results.speedups if (point.technique, point.speedup) == (technique, TABLE1_SPEEDUP)]
    known += [point.network.measured.winograd for point in points if point.network]
    return known or results.timings(technique)


def lower_threshold_is_slower(results: Results) -> Verdict:
    """A lower threshold slows it down: in three readings, judged without the break-even guard, shown with it too."""
    techniques = [technique for technique in results.times if technique.form == "svd"]
    if not any(getattr(results, field) for _, field, _ in READINGS):
        return together(
            [], "not measured", "nothing: this study leaves thresholds out", "judged where they are measured"
        )
    ends = {
        (words, guarded): _extremes(getattr(results, field), value, guarded)
        for words, field, value in READINGS
        for guarded in (False, True)
    }
    wrong = trouble(results, techniques, [timing for pair in ends.values() for _, timing in pair])
    found, answers = [], []
    for (words, guarded), pair in ends.items():
        if len(pair) == 2:
            (low, at_low), (high, at_high) = pair
            slower = slower_than(results, [at_low], [at_high])
            answers += [] if guarded else [slower]
            without = f"if the threshold {words}: times as fast as direct, without the break-even guard"
            said = f"{speedup(at_low)} at {_round(low)}, {speedup(at_high)} at {_round(high)}"
            said = f"with it {said}" if guarded else f"{without} {said}"
            found.append(said if wrong else f"{said}, {ANSWERS[slower]}")
    rule = (
        "the poster does not say what its threshold does, so three readings are judged, each without the guard that "
        f"keeps layers dense where factors would cost more; {rule_of(len(answers), 'readings')}; slower or faster "
        "where the quartiles at the lowest and the highest threshold are apart by more than direct convolution is "
        f"from itself, else not decided; {self_check(results, techniques)}"
    )
    short = f"a lower one is slower in {answers.count(True)} of {counted(len(answers), 'reading')}"
    return together(answers, short, "; ".join(found) or "no reading has two networks to compare", rule, wrong)


def _extremes(points: Sequence[GuardedPoint], value: str, guarded: bool) -> list[tuple[float, Timing]]:
    """The lowest and the highest threshold of a reading, each with the time of its network; none for fewer than two."""
    ordered = sorted(points, key=attrgetter(value))
    networks = [(point, point.network if guarded else point.unguarded or point.network) for point in ordered]
    timings = [(getattr(point, value), network.measured.direct) for point, network in networks if network]
    return [timings[0], timings[-1]] if len(timings) > 1 else []


def _round(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def im2col_is_slower(results: Results) -> Verdict:
    """im2col needs much memory and is slower than direct convolution."""
    timings = results.timings(IM2COL)
    more, needs = _memory(results)
    found = f"{listed(map(speedup, timings))} times as fast as direct; {needs}"
    wrong = trouble(results, [IM2COL], timings)
    slower = {True: False, False: True, None: None}[faster(results, timings)]
    rule = (
        f"two halves, peak memory above {MEMORY_INTENSIVE:g} times that of direct convolution by every pair of their "
        f"measurements, and slower; {rule_of(2, 'halves')}; {faster_rule(results)}; "
        f"{self_check(results, [IM2COL])}"
    )
    short = f"{timings[0].speedup:.2f} times as fast as direct; {needs.partition(', ')[0]}"
    return together([more, slower], short, found, rule, wrong)


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
