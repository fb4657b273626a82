"""The verdicts on made-up results: all four of every claim."""

from dataclasses import replace

import pytest
from example_results import example, quality
from made_up import judged, lossy, low_rank

from lowrank_sr.study.report import claims
from lowrank_sr.study.report.verdict import AGREES, DISAGREES, IN_PART, NOT_DECIDED, together
from lowrank_sr.study.technique import CP_KERNEL, recipes


def test_the_claims_are_the_posters():
    """Each in its words; what was judged has its rule and its numbers, and needs no reason why it could not be."""
    words = ["slightly outperformed", "model size", "minimal loss", "improved PSNR", "lower threshold", "im2col", "~d²"]
    judged_all = claims.judge(example())
    for claim, some in zip(judged_all, words, strict=True):
        assert some in claim.poster
        assert claim.measured.rule
        assert claim.measured.found
        assert claim.measured.why == ""


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([True, True], AGREES),
        ([False], DISAGREES),
        ([True, False], IN_PART),
        ([True, False, None], IN_PART),
        ([True, None], NOT_DECIDED),
        ([None, False], NOT_DECIDED),
        ([], NOT_DECIDED),
    ],
)
def test_answers_together(answers, verdict):
    found = together(answers, "numbers", "rule")
    assert (found.verdict, found.found, found.rule, found.why) == (verdict, "numbers", "rule", "")
    in_trouble = together(answers, "numbers", "rule", "a clock that contradicts itself")
    assert (in_trouble.verdict, in_trouble.why) == (NOT_DECIDED, "a clock that contradicts itself")


def test_without_its_techniques_a_claim_is_not_decided():
    judged_all = claims.judge(example(("direct",)))
    assert {claim.measured.verdict for claim in judged_all} == {NOT_DECIDED}
    assert judged_all[0].measured.found == "nothing: this study leaves svd and cp out"
    assert judged_all[0].measured.why == ""


@pytest.mark.parametrize(("svd", "cp", "verdict"), [(500, 900, AGREES), (1000, 900, IN_PART), (1000, 1200, DISAGREES)])
def test_size(svd, cp, verdict):
    results = example()
    rows = {
        technique: replace(row, parameters=1000 if technique.form is None else svd if technique.form == "svd" else cp)
        for technique, row in results.times.items()
    }
    changed = replace(results, times=rows)
    assert judged(changed, "Low rank makes").verdict == verdict
    assert judged(example(("direct", "svd")), "Low rank makes").verdict == NOT_DECIDED


@pytest.mark.parametrize(
    ("svd", "cp", "verdict"),
    [
        ((0.1, 0.001), (0.2, 0.009), AGREES),
        ((0.1, 0.001), (0.5, 0.001), IN_PART),
        ((0.3, 0.02), (5.0, 0.1), DISAGREES),
        (((0.1, 0.6), 0.001), (0.1, 0.001), NOT_DECIDED),  # 0.35 with a standard error of 0.25; 0.28 is the limit
        (((0.35, 0.65), 0.001), (5.0, 0.1), NOT_DECIDED),  # 0.5 ± 0.15: of two pictures, 12.7 times that decides
    ],
)
def test_loss(svd, cp, verdict):
    """The poster's own table loses 0.28 dB and 0.01 at most."""
    results = example()
    losses = {technique: svd if technique.form == "svd" else cp for technique in low_rank(results)}
    assert judged(lossy(results, losses), "Low rank loses").verdict == verdict


def test_a_network_that_learned_nothing_decides_nothing_about_pictures():
    results = replace(example(), bicubic=replace(example().bicubic, psnr_rgb=29.0))
    for title in ("Low rank loses", "SVD improves"):
        measured = judged(results, title)
        assert measured.verdict == NOT_DECIDED
        assert measured.why == "The network itself is no better than bicubic interpolation: 28.00 against 29.00 dB."


@pytest.mark.parametrize(
    ("marked", "unmarked", "verdict"),
    [
        ((-0.02, -0.001), (-0.02, -0.001), AGREES),
        ((-0.02, -0.001), (0.1, 0.001), IN_PART),
        ((0.1, 0.0), (-0.009, -0.0004), DISAGREES),
        (((-0.1, 0.05), -0.001), (-0.02, -0.001), NOT_DECIDED),  # better on one picture, worse on the other
    ],
)
def test_svd_improves_by_more_than_a_hair(marked, unmarked, verdict):
    results = lossy(example(), dict(zip(recipes("svd"), (marked, unmarked), strict=True)))
    assert judged(results, "SVD improves").verdict == verdict


def test_how_answers_combine_is_said():
    by_title = {claim.claim: claim.measured.rule for claim in claims.judge(example())}
    assert all("bear it out, in part where" in rule or "one answer" in rule for rule in by_title.values())
    assert "all 8 low-rank networks bear it out" in by_title["Low rank loses little accuracy"]


def test_a_narrow_layer_counts_at_the_posters_rank():
    results = example()
    ((name, layer),) = results.layers.items()
    narrow = replace(next(row for row in layer.rows if row.poster_bound), rank=3, theoretical_speedup=5.0)
    measured = judged(replace(results, layers={name: replace(layer, rows=(*layer.rows, narrow))}), "CP approaches")
    assert measured.verdict == IN_PART
    assert "2 layer shapes, 1 of them above 0.8 d²" in measured.found
    assert measured.rule.startswith("by algebra, not by measurement")


def test_the_best_network_may_be_an_unguarded_one():
    results = example()
    point = results.limits[0]
    better = replace(point.unguarded, quality=quality(28.5))
    changed = replace(results, limits=(replace(point, unguarded=better), results.limits[1]))
    measured = judged(changed, "SVD improves")
    assert "the best of all 10 SVD networks in the sweeps +0.500 ± 0.000 dB" in measured.found


def test_one_picture_or_an_infinite_mean_decides_nothing():
    results = replace(example(), thresholds=(), truncations=(), limits=(), speedups=())
    one = {technique: replace(quality, pictures=quality.pictures[:1]) for technique, quality in results.quality.items()}
    for title in ("Low rank loses", "SVD improves"):
        assert judged(replace(results, quality=one), title).verdict == NOT_DECIDED
        infinite = lossy(results, dict.fromkeys(low_rank(results), ((float("-inf"), 0.1), 0.001)))
        assert judged(infinite, title).verdict == NOT_DECIDED


@pytest.mark.parametrize(
    ("theory", "verdict"), [((8.5, 8.0), AGREES), ((8.5, 6.0), IN_PART), ((5.0, 6.0), DISAGREES), ((), NOT_DECIDED)]
)
def test_the_bound_is_judged_on_theory(theory, verdict):
    """Near 9 is above 7.2; the clock, 5 here, stands beside it and does not count."""
    results = example()
    ((name, layer),) = results.layers.items()
    bound = next(row for row in layer.rows if row.poster_bound)
    others = tuple(row for row in layer.rows if not row.poster_bound)
    bounds = tuple(replace(bound, theoretical_speedup=value) for value in theory)
    measured = judged(replace(results, layers={name: replace(layer, rows=others + bounds)}), "CP approaches")
    assert measured.verdict == verdict
    if theory:
        assert "beside it the clock, 5.0 to 5.0 times as fast" in measured.found
    assert CP_KERNEL in results.times
