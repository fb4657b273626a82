"""The verdicts that rest on the clock, and on im2col's memory, on made-up results."""

from dataclasses import replace

import pytest
from example_results import example
from made_up import BUSY, at, judged, low_rank, swept, timed, timed_again, with_memory

from lowrank_sr.study.measure.memory import Peak
from lowrank_sr.study.report import lossless
from lowrank_sr.study.report.verdict import AGREES, DISAGREES, IN_PART, NOT_DECIDED
from lowrank_sr.study.technique import (
    CP_FITTED,
    CP_KERNEL,
    IM2COL,
    REFERENCE,
    SVD_FITTED_WINOGRAD,
    SVD_KERNEL,
    WINOGRAD,
    Technique,
)

WINOGRAD_EXACT = replace(REFERENCE, method=WINOGRAD)


def speedups(results, svd, cp):
    return {technique: svd if technique.form == "svd" else cp for technique in low_rank(results)}


@pytest.mark.parametrize(
    ("svd", "cp", "verdict"),
    [(1.2, 1.1, AGREES), (0.9, 1.2, IN_PART), (0.9, 0.8, DISAGREES), (1.01, 1.2, NOT_DECIDED)],
)
def test_faster(svd, cp, verdict):
    """By more than the spread, 0.02; F(6, 3) does not count, which is not what the poster compares."""
    results = timed(example(), speedups(example(), svd, cp) | {SVD_FITTED_WINOGRAD: 3.0})
    assert judged(results, "Low rank is faster").verdict == verdict


def test_networks_that_save_next_to_nothing_are_not_judged_by_their_speed():
    results = timed(example(), dict.fromkeys(low_rank(example()), 1.2))
    marked = Technique("svd", layers="marked")
    rows = {**results.times, marked: replace(results.times[marked], theoretical_speedup=1.04)}
    slow = timed(replace(results, times=rows), {marked: 1.0})
    assert judged(slow, "Low rank is faster").verdict == AGREES
    assert "at least 1.1 times cheaper in theory" in judged(slow, "Low rank is faster").rule
    cheap = {technique: replace(row, theoretical_speedup=1.04) for technique, row in slow.times.items()}
    assert judged(replace(slow, times=cheap), "Low rank is faster").verdict == NOT_DECIDED


@pytest.mark.parametrize(
    ("svd", "cp", "verdict"),
    [(2.5, 2.4, AGREES), (2.5, 1.5, IN_PART), (1.5, 1.2, DISAGREES), (2.01, 2.5, NOT_DECIDED)],
)
def test_low_rank_beside_the_best_exact_method(svd, cp, verdict):
    """Winograd's is twice as fast as direct here; low rank counts by Winograd's algorithm where it was timed so."""
    fast = dict.fromkeys(low_rank(example()), 0.5) | {SVD_FITTED_WINOGRAD: svd}
    fast |= {Technique("svd"): svd, CP_KERNEL: cp, CP_FITTED: cp}
    results = timed(example(), fast | {WINOGRAD_EXACT: 2.0, IM2COL: 0.5})
    measured = judged(results, "… and than the best exact")
    assert measured.verdict == verdict
    assert "times as fast as Winograd" in measured.short


def test_the_sweep_says_how_fast_low_rank_is_by_winograd():
    results = timed(example(), {WINOGRAD_EXACT: 2.0, IM2COL: 0.5})
    measured = judged(results, "… and than the best exact")
    assert "SVD, kernel 3.00 (2.85–3.15): faster" in measured.found  # 2.00 by direct convolution


def test_times_that_contradict_each_other_decide_nothing():
    results = timed(example(), speedups(example(), 1.31, 1.2))
    assert judged(results, "Low rank is faster").verdict == AGREES
    measured = judged(timed_again(results, SVD_KERNEL, 0.86), "Low rank is faster")
    assert measured.verdict == NOT_DECIDED
    assert measured.why == (
        "The self-check failed: the same network, SVD, kernel, was 1.31 and 0.86 times as fast as direct convolution."
    )
    assert "self-check failed" in measured.rule
    # a factor of 1.63 on one side of 1 is no better; im2col's trouble is not SVD's
    assert judged(timed_again(results, SVD_KERNEL, 2.14), "Low rank is faster").verdict == NOT_DECIDED
    assert judged(timed_again(results, IM2COL, 0.5), "Low rank is faster").verdict == AGREES


@pytest.mark.parametrize("title", ["Low rank is faster", "A lower threshold", "im2col"])
def test_a_clock_that_contradicts_itself_decides_nothing(title):
    """Direct convolution is to be as fast as itself."""
    results = with_memory(timed(example(), {REFERENCE: 1.4}), 200.0)
    measured = judged(results, title)
    assert measured.verdict == NOT_DECIDED
    assert "direct convolution was 1.40 times as fast as itself" in measured.why


def test_on_a_busy_machine_the_clock_decides_nothing():
    busy = timed(example(), speedups(example(), 1.3, 1.3), load=BUSY)
    measured = judged(busy, "Low rank is faster")
    assert measured.verdict == NOT_DECIDED
    assert "Other processes kept up to 1.0 cores busy before or after" in measured.why
    for peak in (200.0, 130.0, None):  # its memory alone does not decide
        measured = judged(with_memory(timed(example(), {IM2COL: 0.5}, load=BUSY), peak), "im2col")
        assert measured.verdict == NOT_DECIDED
        assert "cores busy" in measured.why
    once = with_memory(timed_again(timed(example(), {IM2COL: 0.5}, load=BUSY), IM2COL, 0.6), 200.0)
    assert judged(once, "im2col").verdict == AGREES  # by the undisturbed one


def beside(results):
    """The verdict on each low-rank technique beside the fastest exact method, and the name of that."""
    table = lossless.beside(results)
    return {row[0]: row[-1] for row in table.rows}, table.header[-1].split(",")[0]


def test_low_rank_is_judged_beside_the_fastest_exact_method():
    fast = dict.fromkeys(low_rank(example()), 1.3) | {WINOGRAD_EXACT: 2.0, SVD_FITTED_WINOGRAD: 2.5}
    answers, exact = beside(timed(example(), fast | {IM2COL: 0.5}))
    assert exact == "beside Winograd"
    assert [name for name, answer in answers.items() if answer == "faster"] == ["SVD, fitted, F(6, 3)"]
    assert set(answers.values()) == {"faster", "slower"}
    fast = dict.fromkeys(low_rank(example()), 2.5) | {WINOGRAD_EXACT: 0.9, IM2COL: 0.5, SVD_FITTED_WINOGRAD: 2.5}
    answers, exact = beside(timed(example(), fast))
    assert exact == "beside direct"
    assert set(answers.values()) == {"faster"}


def test_none_is_faster_only_where_all_are_certainly_slower():
    exact = {WINOGRAD_EXACT: 2.0, IM2COL: 0.5}
    slower = dict.fromkeys(low_rank(example()), 1.5) | {SVD_FITTED_WINOGRAD: 1.5} | exact
    answers, _ = beside(timed(example(), slower))
    assert set(answers.values()) == {"slower"}
    answers, _ = beside(timed(example(), slower | {SVD_KERNEL: 2.01}))
    assert answers.pop("SVD, kernel") == "not told apart"
    assert set(answers.values()) == {"slower"}


def test_beside_the_exact_method_what_contradicts_itself_is_not_judged():
    fast = dict.fromkeys(low_rank(example()), 3.0) | {WINOGRAD_EXACT: 2.0, IM2COL: 0.5}
    answers, _ = beside(timed_again(timed(example(), fast), SVD_KERNEL, 0.86))
    assert answers["SVD, kernel"] == "not judged"
    assert answers["CP, kernel"] == "faster"
    answers, _ = beside(timed(example(), fast | {REFERENCE: 1.4}))
    assert set(answers.values()) == {"not judged"}
    above = timed(example(), fast | {REFERENCE: 1.1, SVD_KERNEL: 2.15})  # by less than the noise
    assert beside(above)[0]["SVD, kernel"] == "not told apart"


READINGS = (("thresholds", "threshold"), ("truncations", "condition"), ("limits", "limit"))


@pytest.mark.parametrize(
    ("slower", "verdict"),
    [
        ((True, True, True), AGREES),
        ((False, False, True), IN_PART),
        ((False, False, False), DISAGREES),
        ((None, True, True), NOT_DECIDED),
    ],
)
def test_a_lower_threshold(slower, verdict):
    """In each of three readings: slower or faster at the lowest threshold, or within the spread."""
    results = example()
    for (field, value), answer in zip(READINGS, slower, strict=True):
        results = swept(results, field, value, {True: (1.0, 1.5), False: (1.5, 1.0), None: (1.2, 1.21)}[answer])
    measured = judged(results, "A lower threshold")
    assert measured.verdict == verdict
    said = {True: "a lower one is slower", False: "a lower one is faster", None: "not told apart"}
    parts = measured.found.split("if the threshold ")[1:]
    assert [said[answer] in part for part, answer in zip(parts, slower, strict=True)] == 3 * [True]
    low, high = {True: ("1.00 (0.98–1.02)", "1.50 (1.48–1.52)"), False: ("1.50 (1.48–1.52)", "1.00 (0.98–1.02)")}[
        slower[2]
    ]
    assert f"without the break-even guard {low} at 0.5, {high} at 1, {said[slower[2]]}; with it" in parts[2]


def test_faster_is_more_than_the_noise():
    """Direct convolution beside itself was 1.06 times as fast, or as slow."""
    for itself in (1.06, 1 / 1.06):
        results = timed(example(), speedups(example(), 1.07, 1.2) | {REFERENCE: itself})
        assert judged(results, "Low rank is faster").verdict == NOT_DECIDED  # 1.05 is not above the noise
        results = timed(results, speedups(example(), 1.1, 1.2))
        assert judged(results, "Low rank is faster").verdict == AGREES
        assert "above 1.060, the most that direct convolution was ahead" in judged(results, "Low rank is faster").rule
        slow = timed(results, speedups(example(), 0.95, 0.9))
        assert judged(slow, "Low rank is faster").verdict == NOT_DECIDED  # 0.97 is not below 1 / 1.06
        assert judged(timed(slow, speedups(slow, 0.9, 0.9)), "Low rank is faster").verdict == DISAGREES


def test_the_guard_is_told_apart():
    results = example()
    point = results.limits[1]
    slow = replace(point.unguarded, theoretical_speedup=0.5)
    slow = replace(slow, measured=replace(slow.measured, direct=at(slow.measured.direct, 0.5)))
    results = replace(results, limits=(results.limits[0], replace(point, unguarded=slow)))
    measured = judged(results, "A lower threshold")
    assert (
        "the break-even guard 0.80 (0.76–0.84) at 0.5, 0.50 (0.48–0.52) at 1, a lower one is faster" in measured.found
    )
    assert "with it 1.30 (1.23–1.37) at 0.5, 2.50 (2.38–2.62) at 1, a lower one is slower" in measured.found


@pytest.mark.parametrize(
    ("speedup", "peak", "verdict"),
    [
        (0.5, 200.0, AGREES),
        (0.5, 130.0, IN_PART),
        (1.5, 200.0, IN_PART),
        (1.5, 130.0, DISAGREES),
        (0.5, None, NOT_DECIDED),
        (1.01, 200.0, NOT_DECIDED),
    ],
)
def test_im2col(speedup, peak, verdict):
    """Direct convolution needs 120 MB."""
    results = with_memory(timed(example(), {IM2COL: speedup}), peak)
    assert judged(results, "im2col").verdict == verdict


def test_memory_that_straddles_the_limit_decides_nothing():
    """1.25 times that of direct convolution, which needs 120 MB: 150."""
    results = timed(example(), {IM2COL: 0.5})
    for peak, verdict in ((Peak(152.0, 149.0, 160.0), NOT_DECIDED), (Peak(155.0, 151.0, 160.0), AGREES)):
        measured = judged(with_memory(results, peak), "im2col")
        assert measured.verdict == verdict
        assert f"({peak.least_mb:.0f} to 160 MB against 120 to 120 MB)" in measured.found
