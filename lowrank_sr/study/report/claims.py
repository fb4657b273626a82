"""The poster's claims against what was measured: what it says, what was found, and by which rule that is judged.

The poster is Sedky and Hosmer, "Low-Rank Approximations for Convolutional Layers in Super Resolution Applications".
What it says of the clock is judged in `clock.py`.
"""

import math
import statistics
from collections.abc import Callable, Sequence

from scipy.special import stdtrit

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import POSTER, Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import change, standard_error
from lowrank_sr.study.report.verdict import Answer, Claim, Verdict, counted, rule_of, together
from lowrank_sr.study.technique import CP_KERNEL, DIRECT, IM2COL, REFERENCE, SVD_KERNEL, Technique, recipes

FASTER = (
    "The low rank approximations via the SVD and the CP-decomposition both slightly outperformed the direct "
    "convolution in the inference stage of the ESRGAN."
)
SIZE = "We propose [SVD and CP] to improve the inference speed and reduce the model size of [ESRGAN] …"
LOSS = "… with minimal loss in accuracy."
IMPROVES = "The SVD decomposition even improved PSNR and SSIM values by removing parts of overdetermined layers."
THRESHOLD = "Pushing the SVD to use a lower threshold also slows down the inference speed."
IM2COL_SLOW = "The im2col method is too memory intensive and is slower than the original implementation."
BOUND = "We expect a theoretical speed up of ~d² when R ≈ NC/(N+C)."
LARGEST_LOSS = {  # of the poster's Table 1: what it calls minimal
    measure: POSTER[REFERENCE][measure] - min(row[measure] for row in POSTER.values()) for measure in ("psnr", "ssim")
}
LEAST_GAIN = {"psnr": 0.01, "ssim": 0.0005}  # dB, and SSIM: less is no improvement
CONFIDENCE = 0.95  # of the interval around a mean over the pictures that must not hold the limit
NEAR_BOUND = 0.8  # of d²: a speed-up above this is near d²


def judge(results: Results) -> list[Claim]:
    """The poster's claims with their verdicts; one whose techniques were not measured is not decided."""
    both = SVD_KERNEL, CP_KERNEL
    return [
        _claim(results, "Low rank is faster than direct convolution", FASTER, both, clock.low_rank_is_faster),
        _claim(results, "Low rank makes the model smaller", SIZE, both, _size),
        _claim(results, "Low rank loses little accuracy", LOSS, both, _loss),
        _claim(results, "SVD improves PSNR and SSIM", IMPROVES, [SVD_KERNEL], _improves),
        _claim(results, "A lower threshold slows it down", THRESHOLD, [SVD_KERNEL], clock.lower_threshold_is_slower),
        _claim(results, "im2col is memory-intensive and slower", IM2COL_SLOW, [IM2COL], clock.im2col_is_slower),
        _claim(results, "CP approaches d² at R = NC/(N+C), in theory", BOUND, [CP_KERNEL], _bound),
    ]


def _claim(
    results: Results, title: str, said: str, needs: Sequence[Technique], test: Callable[[Results], Verdict]
) -> Claim:
    missing = [technique.name for technique in needs if technique not in results.times]
    if not missing:
        return Claim(title, said, test(results))
    found = f"nothing: this study leaves {' and '.join(missing)} out"
    return Claim(title, said, together([], found, "a claim is judged where all its techniques are measured"))


def _size(results: Results) -> Verdict:
    rows = results.times
    low_rank = [technique for form in ("svd", "cp") for technique in (Technique(form), *recipes(form))]
    shares = {technique: rows[technique].parameters / rows[REFERENCE].parameters for technique in low_rank}
    kept = [f"{each.label} keeps {rows[each].size_mb:.2f} MB ({100 * share:.0f}%)" for each, share in shares.items()]
    found = f"of the {rows[REFERENCE].size_mb:.2f} MB of the dense network, {'; '.join(kept)}"
    rule = f"smaller: fewer parameters than the dense network; {rule_of(len(low_rank), 'low-rank networks')}"
    return together([share < 1 for share in shares.values()], found, rule)


def _loss(results: Results) -> Verdict:
    """The loss in accuracy is minimal."""
    dense, answers, found = results.quality[REFERENCE], [], []
    for technique in (each for each in results.quality if each.form and each.method == DIRECT):
        quality = results.quality[technique]
        within = [_below(_losses(quality, dense, measure), limit) for measure, limit in LARGEST_LOSS.items()]
        answers.append(False if False in within else None if None in within else True)
        found.append(f"{technique.label} {_change(quality, dense)}")
    rule = (
        f"minimal is what the poster's Table 1 loses at most, {LARGEST_LOSS['psnr']:.2f} dB and "
        f"{LARGEST_LOSS['ssim']:.2f} of SSIM, in the mean over the pictures; "
        f"{rule_of(len(answers), 'low-rank networks')}; {_decides(dense)}"
    )
    return together(answers, "; ".join(found), rule, _untrained(results))


def _improves(results: Results) -> Verdict:
    """SVD improves PSNR and SSIM."""
    dense, answers, found = results.quality[REFERENCE], [], []
    for technique in recipes("svd"):
        quality = results.quality[technique]
        for measure, least in LEAST_GAIN.items():
            worse = _below([-lost for lost in _losses(quality, dense, measure)], least)
            answers.append(None if worse is None else not worse)
        count = sum(lost < 0 for lost in _losses(quality, dense, "psnr"))
        of_all = f"better on {count} of {counted(len(dense.pictures), 'picture')}"
        found.append(f"{technique.label} {_change(quality, dense)}, {of_all}")
    guarded = [*results.thresholds, *results.truncations, *results.limits]
    networks = [network for _, network in measured(guarded)]
    networks += [point.unguarded for point in guarded if point.unguarded is not None]
    networks += [network for point, network in measured(results.speedups) if point.technique.form == "svd"]
    if networks:
        best = max(networks, key=lambda network: network.quality.psnr_rgb).quality
        found.append(f"the best of all {len(networks)} SVD networks in the sweeps {_change(best, dense)}")
    rule = (
        f"an improvement is more than {LEAST_GAIN['psnr']:g} dB and {LEAST_GAIN['ssim']:g} of SSIM in the mean over "
        "the pictures, by the poster's recipe in both readings; "
        f"{rule_of(len(answers), 'means, of PSNR and of SSIM in each reading,')}; {_decides(dense)}"
    )
    return together(answers, "; ".join(found), rule, _untrained(results))


def _untrained(results: Results) -> str | None:
    """Why nothing can be said about accuracy where the network itself is worse than bicubic interpolation."""
    dense, bicubic = results.quality[REFERENCE].psnr_rgb, results.bicubic.psnr_rgb
    said = f"The network itself is no better than bicubic interpolation: {dense:.2f} against {bicubic:.2f} dB."
    return None if dense > bicubic else said


def _losses(quality: Quality, dense: Quality, measure: str) -> list[float]:
    """What each picture loses, of "psnr" in dB or of "ssim", on RGB."""
    before, after = ([getattr(row, f"{measure}_rgb") for row in of.pictures] for of in (dense, quality))
    return [float(first - second) for first, second in zip(before, after, strict=True)]


def _below(values: Sequence[float], limit: float) -> Answer:
    """Whether the mean is at most `limit`; None where its confidence interval holds it, or there is none."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    distance = limit - statistics.fmean(values)
    reach = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * standard_error(values)
    return None if abs(distance) < reach else distance >= 0


def _decides(dense: Quality) -> str:
    """When a mean over the pictures decides, for the rule of a claim."""
    return (
        f"a mean decides where its {CONFIDENCE:.0%} confidence interval, by Student's t over "
        f"{counted(len(dense.pictures), 'picture')}, does not hold the limit"
    )


def _change(quality: Quality, dense: Quality) -> str:
    """The mean gain with its standard error over the pictures."""
    psnr, ssim = ([-lost for lost in _losses(quality, dense, measure)] for measure in ("psnr", "ssim"))
    return f"{change(psnr, 3)} dB and {change(ssim, 4)}"


def _bound(results: Results) -> Verdict:
    d = next(iter(results.layers.values())).shape[2]
    rows = [row for layer in results.layers.values() for row in layer.rows if row.poster_bound]
    least_channels = 2 * d * NEAR_BOUND / (1 - NEAR_BOUND)
    rule = (
        "by algebra, not by measurement, since the claim is about theory: at R = NC/(N+C) the formula gives "
        f"d² (N + C) / (N + C + 2 d), which is above {NEAR_BOUND:g} d² = {NEAR_BOUND * d * d:.1f} where N + C is above "
        f"{least_channels:.0f}, but for the rounding of R; {rule_of(len(rows), 'layer shapes, however narrow,')}"
    )
    if not rows:
        return together([], "no layer was measured at this rank", rule)
    theory, timed = [row.theoretical_speedup for row in rows], [row.measured.speedup for row in rows]
    errors = [row.error for row in rows if row.error is not None]
    near = [value > NEAR_BOUND * d * d for value in theory]
    found = (
        f"{min(theory):.1f} to {max(theory):.1f} by the formula over {counted(len(rows), 'layer shape')}, "
        f"{sum(near)} of them above {NEAR_BOUND:g} d²; beside it the clock, {min(timed):.1f} to {max(timed):.1f} times "
        f"as fast as direct, and the kernel's relative error, {min(errors):.2f} to {max(errors):.2f}"
    )
    return together(near, found, rule)
