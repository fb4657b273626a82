"""The verdicts on made-up results: all four of every claim."""

from dataclasses import replace

import numpy as np
import pytest
from example_results import example, quality
from made_up import judged, lossy, low_rank, near

from lowrank_sr.study.report import claims, gains
from lowrank_sr.study.report.verdict import AGREES, DISAGREES, IN_PART, NOT_DECIDED, together
from lowrank_sr.study.technique import CP_KERNEL, REFERENCE, SVD_BUNDLED, SVD_FITTED, SVD_KERNEL


def test_the_claims_are_the_posters():
    """Each in its words; what was judged has its rule and its numbers, and needs no reason why it could not be."""
    words = ["slightly outperformed", "slightly outperformed", "model size", "minimal loss", "improved PSNR"]
    words += ["overdetermined", "lower threshold", "im2col", "~d²"]
    judged_all = claims.judge(example())
    for claim, some in zip(judged_all, words, strict=True):
        assert some in claim.poster
        assert claim.measured.rule
        assert "\n" not in claim.measured.short
        assert 0 < len(claim.measured.short) < 100
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
    found = together(answers, "some", "numbers", "rule")
    said = found.verdict, found.short, found.found, found.rule, found.why
    assert said == (verdict, "some", "numbers", "rule", "")
    in_trouble = together(answers, "some", "numbers", "rule", "a clock that contradicts itself")
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
    fewer = {technique: row for technique, row in changed.times.items() if technique.form != "cp"}
    alone = judged(replace(changed, times=fewer), "Low rank makes")
    assert alone.verdict == NOT_DECIDED  # CP could change that
    assert alone.why == "This study leaves cp out."
    assert "SVD, kernel keeps" in alone.found


@pytest.mark.parametrize(
    ("svd", "cp", "niqe", "verdict"),
    [
        (31.0, 30.5, 5.2, AGREES),
        (31.0, 29.0, 5.2, IN_PART),
        (25.0, 29.0, 5.2, DISAGREES),
        (31.0, 30.5, 6.0, DISAGREES),  # 15% above the dense network's 5.2
        ((29.0, 32.0), 31.0, 5.2, NOT_DECIDED),  # 30.5 with a standard error of 1.5; 30 is the limit
        ((29.4, 29.6), 25.0, 5.2, NOT_DECIDED),  # 29.5 ± 0.1: of two pictures, 12.7 times that decides
        (31.0, 30.5, None, AGREES),  # where no picture is large enough for NIQE
    ],
)
def test_loss(svd, cp, niqe, verdict):
    """At least 30 dB near the dense network's picture, and NIQE at most a tenth above its."""
    results = example()
    results = near(results, {each: svd if each.form == "svd" else cp for each in low_rank(results)}, niqe)
    assert judged(results, "Low rank loses").verdict == verdict


def test_factors_that_are_not_the_posters_do_not_judge_a_loss():
    results = near(example(), dict.fromkeys(low_rank(example()), 25.0) | {SVD_FITTED: 35.0})
    measured = judged(results, "Low rank loses")
    assert measured.verdict == DISAGREES
    assert measured.short.startswith("fidelity 25.0 dB, 25.0 to 35.0 dB by other factors")
    assert "SVD, fitted fidelity 35.00 dB" in measured.found


def test_psnr_to_the_truth_does_not_judge_a_loss():
    """Of a network that paints detail it rises with blur."""
    results = near(example(), dict.fromkeys(low_rank(example()), 25.0))
    better = lossy(results, dict.fromkeys(low_rank(results), (-1.0, -0.02)))
    better = near(better, dict.fromkeys(low_rank(results), 25.0))
    assert judged(better, "Low rank loses").verdict == DISAGREES


@pytest.mark.parametrize(("below", "decides"), [(2.0, True), (7.0, False)])
def test_a_network_that_learned_nothing_decides_nothing_about_pictures(below, decides):
    """One that was trained with a discriminator may be below bicubic, one of noise is far below."""
    bicubic = replace(example().bicubic, psnr_rgb=28.0 + below)
    results = near(replace(example(), bicubic=bicubic), dict.fromkeys(low_rank(example()), 31.0))
    for title in ("Low rank loses", "SVD improves"):
        measured = judged(results, title)
        assert (measured.verdict != NOT_DECIDED) == decides
        far = f"The network itself is far below bicubic interpolation: 28.00 against {28 + below:.2f} dB."
        assert measured.why == ("" if decides else far)


def swept_gains(results, gains, fidelity=31.0):
    """The results with what the SVD networks gain, by how their factors are found; others lose 1 dB."""
    losses = {each: tuple(-gain for gain in gains.get(each.factors, (-1.0, -1.0))) for each in low_rank(results)}
    ssim = {each: (losses[each], -0.001 if min(losses[each]) < 0 else 0.001) for each in losses}
    return near(lossy(results, ssim), dict.fromkeys(losses, fidelity))


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ({"kernel": (0.02, 0.02), "fitted": (0.5, 0.5)}, AGREES),
        ({"fitted": (0.5, 0.5)}, IN_PART),
        ({"kernel": (0.009, 0.009)}, DISAGREES),  # less than a hair
        ({"fitted": (0.1, -0.05)}, NOT_DECIDED),  # better on one picture, worse on the other
    ],
)
def test_svd_improves_by_a_way_to_find_factors(gains, verdict):
    measured = judged(swept_gains(example(), gains), "SVD improves")
    assert measured.verdict == verdict
    assert "kernel " in measured.short
    assert "bicubic enlargement -2.000 ± 0.000 dB" in measured.found


def with_blurs(results, *gains):
    """The results with Gaussians at 34 and 28 dB that gain so much on each picture."""
    dense, blurs = results.quality[REFERENCE], {}
    for sigma, fidelity in (("0.5", 34.0), ("1", 28.0)):
        plain = quality(28.0, fidelity=fidelity)
        pictures = zip(plain.pictures, dense.pictures, gains, strict=True)
        rows = tuple(replace(row, psnr_rgb=before.psnr_rgb + gain) for row, before, gain in pictures)
        blurs[sigma] = replace(plain, pictures=rows)
    return replace(results, blurs=blurs)


@pytest.mark.parametrize(
    ("fitted", "kernel", "blurs", "verdict"),
    [
        ((0.05, 0.05), (-1.0, -1.0), (0.2, 0.2), DISAGREES),
        ((0.5, 0.5), (-1.0, -1.0), (0.2, 0.2), AGREES),
        ((0.5, 0.5), (0.05, 0.05), (0.2, 0.2), IN_PART),
        ((0.5, 0.5), (-1.0, -1.0), (0.2, 0.7), NOT_DECIDED),  # more on one picture, less on the other
    ],
)
def test_what_svd_gains_is_held_against_blur(fitted, kernel, blurs, verdict):
    results = with_blurs(swept_gains(example(), {"fitted": fitted, "kernel": kernel}), *blurs)
    measured = judged(results, "… by removing")
    assert measured.verdict == verdict
    assert "times as much" in measured.short
    assert "blur, which explains 25% of the difference" in measured.found


def test_where_no_blur_is_as_far_nothing_is_decided():
    results = swept_gains(example(), {"fitted": (0.5, 0.5)}, fidelity=20.0)
    measured = judged(with_blurs(results, 0.2, 0.2), "… by removing")
    assert measured.verdict == NOT_DECIDED
    assert "blur as far from the dense picture was not measured" in measured.found


def test_nothing_improves_and_nothing_is_held_against_blur():
    measured = judged(swept_gains(example(), {}), "… by removing")
    assert (measured.verdict, measured.short) == (NOT_DECIDED, "no network certainly improves both")


def test_the_gain_of_blur_is_interpolated_by_distance():
    """Nothing at no distance, linear between the Gaussians, and not known beyond the widest."""
    results = replace(example(), blurs={"1": quality(29.0, fidelity=20.0), "0.5": quality(28.5, fidelity=40.0)})

    def gain(fidelity):
        return gains.of_blur(results, quality(0.0, fidelity=fidelity), "psnr_rgb")[0]

    assert gain(40.0) == pytest.approx(0.5)
    assert gain(20.0) == pytest.approx(1.0)
    assert gains.of_blur(results, quality(0.0, fidelity=19.0), "psnr_rgb") is None
    assert gain(-20 * np.log10((0.1 + 0.01) / 2)) == pytest.approx(0.75)  # half-way between the distances
    assert gain(200.0) == pytest.approx(0.0, abs=1e-6)


def test_every_svd_network_is_among_those_that_may_gain():
    """Those of Table 1 and the sweep, and the blocks and the tail alone; each once."""
    names = [network.name for network in gains.svd_networks(example())]
    assert len(names) == len(set(names))
    some = {"kernel, marked layers", "kernel, dense blocks", "kernel, layers outside the blocks", "fitted"}
    assert {f"SVD, {words}, ×2.00" for words in some} | {"SVD, kernel, dense blocks, ×1.50"} <= set(names)
    with_bundled = replace(example(), quality=example().quality | {SVD_BUNDLED: quality(28.2)})
    with_bundled = replace(with_bundled, times=with_bundled.times | {SVD_BUNDLED: with_bundled.times[SVD_KERNEL]})
    assert "SVD, bundled, ×2.00" in {network.name for network in gains.svd_networks(with_bundled)}


def test_how_answers_combine_is_said():
    by_title = {claim.claim: claim.measured.rule for claim in claims.judge(example())}
    assert all("bear it out, in part where" in rule or "one answer" in rule for rule in by_title.values())
    assert "all 6 such networks bear it out" in by_title["Low rank loses little accuracy"]


def test_a_narrow_layer_counts_at_the_posters_rank():
    results = example()
    ((name, layer),) = results.layers.items()
    narrow = replace(next(row for row in layer.rows if row.poster_bound), rank=3, theoretical_speedup=5.0)
    measured = judged(replace(results, layers={name: replace(layer, rows=(*layer.rows, narrow))}), "CP approaches")
    assert measured.verdict == IN_PART
    assert "2 layer shapes, 1 of them above 0.8 d²" in measured.found
    assert measured.rule.startswith("by algebra, not by measurement")


def test_the_same_picture_loses_nothing():
    results = near(example(), dict.fromkeys(low_rank(example()), float("inf")))
    measured = judged(results, "Low rank loses")
    assert measured.verdict == AGREES
    assert measured.short.startswith("fidelity ∞ dB")


def test_one_picture_decides_nothing():
    results = replace(example(), thresholds=(), truncations=(), limits=(), speedups=(), ablation=())
    one = {technique: replace(quality, pictures=quality.pictures[:1]) for technique, quality in results.quality.items()}
    blurs = {name: replace(of, pictures=of.pictures[:1]) for name, of in results.blurs.items()}
    bicubic = replace(results.bicubic, pictures=results.bicubic.pictures[:1])
    alone = replace(results, quality=one, blurs=blurs, bicubic=bicubic)
    for title in ("Low rank loses", "SVD improves"):
        assert judged(alone, title).verdict == NOT_DECIDED


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
