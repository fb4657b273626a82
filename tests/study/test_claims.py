from dataclasses import replace

import pytest
from example_results import example

from lowrank_sr.study.report import claims, poster
from lowrank_sr.study.technique import REFERENCE, SVD_FITTED_WINOGRAD


def verdicts(results):
    return {claim.poster: claim.measured.verdict for claim in claims.judge(results)}


def test_the_claims_are_the_posters():
    said = [poster.FASTER, poster.IMPROVES, poster.THRESHOLD, poster.IM2COL_SLOW, poster.BOUND]
    assert [claim.poster for claim in claims.judge(example())] == said


@pytest.mark.parametrize(
    ("lows", "verdict"), [((1.1, 1.2), "agrees"), ((0.9, 1.2), "agrees in part"), ((0.9, 0.8), "does not agree")]
)
def test_low_rank_is_faster_where_its_slowest_quartile_is(lows, verdict):
    """F(4, 3) does not count: it is not what the poster compares with direct convolution."""
    results = example()
    low = dict(zip(("svd", "cp"), lows, strict=True))
    rows = {}
    for technique, row in results.times.techniques.items():
        speedup_low = 3.0 if technique == SVD_FITTED_WINOGRAD else low.get(technique.form, 1.0)
        rows[technique] = replace(row, measured=replace(row.measured, speedup_low=speedup_low))
    assert SVD_FITTED_WINOGRAD in rows
    assert verdicts(replace(results, times=replace(results.times, techniques=rows)))[poster.FASTER] == verdict


@pytest.mark.parametrize(
    ("psnr", "ssim", "verdict"),
    [(0.02, 0.001, "agrees"), (0.02, 0.0, "agrees in part"), (0.009, 0.0004, "does not agree")],
)
def test_svd_improves_by_more_than_a_hair(psnr, ssim, verdict):
    results = example()
    dense = results.quality[REFERENCE]
    better = replace(dense, psnr_rgb=dense.psnr_rgb + psnr, ssim_rgb=dense.ssim_rgb + ssim)

    def improved(points):
        return tuple(
            replace(point, network=replace(point.network, quality=better)) for point in points if point.network
        )

    quality = {technique: better if technique.form == "svd" else row for technique, row in results.quality.items()}
    results = replace(
        results,
        quality=quality,
        speedups=improved(results.speedups[:1]),
        thresholds=improved(results.thresholds),
        truncations=improved(results.truncations),
    )
    assert verdicts(results)[poster.IMPROVES] == verdict


@pytest.mark.parametrize(("slower", "verdict"), [(True, "agrees"), (False, "does not agree")])
def test_a_threshold_slows_down_by_more_than_the_spread(slower, verdict):
    results = example()

    def timed(points, key):
        changed = []
        for rank, point in enumerate(sorted(points, key=key)):
            low = 1 + rank if slower else 1.0
            direct = replace(point.network.measured.direct, speedup=low + 0.1, speedup_low=low, speedup_high=low + 0.2)
            measured = replace(point.network.measured, direct=direct)
            changed.append(replace(point, network=replace(point.network, measured=measured)))
        return tuple(changed)

    results = replace(
        results,
        thresholds=timed(results.thresholds, lambda point: point.threshold),
        truncations=timed(results.truncations, lambda point: point.condition),
    )
    assert verdicts(results)[poster.THRESHOLD] == verdict


@pytest.mark.parametrize(("peak", "verdict"), [(200.0, "agrees"), (130.0, "agrees in part"), (None, "agrees in part")])
def test_im2col_is_memory_intensive(peak, verdict):
    results = example()
    memory = {}
    rows = {}
    for technique, row in results.times.techniques.items():
        is_im2col = technique.name == "im2col"
        rows[technique] = replace(row, measured=replace(row.measured, speedup=0.5)) if is_im2col else row
        small, large = results.memory[technique].sides
        large = replace(large, measured=replace(large.measured, peak_mb=peak)) if is_im2col else large
        memory[technique] = replace(results.memory[technique], sides=(small, large))
    results = replace(results, memory=memory, times=replace(results.times, techniques=rows))
    assert verdicts(results)[poster.IM2COL_SLOW] == verdict


def test_cp_at_the_posters_rank():
    """8.0 of 9 by the formula is near d²; 5.0 on the clock is not."""
    (claim,) = [claim for claim in claims.judge(example()) if claim.poster == poster.BOUND]
    assert claim.measured.verdict == claims.IN_PART
    assert claim.measured.found.startswith("8.0 to 8.0 by the formula, 5.0 to 5.0 times")


def test_a_claim_without_its_techniques_is_not_tested():
    judged = claims.judge(example(("direct",)))
    assert {claim.measured.verdict for claim in judged} == {claims.UNTESTED}
    assert judged[0].measured.why == "It needs svd and cp; this study did not measure all of it."
