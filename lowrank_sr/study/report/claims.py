"""The poster's claims against what was measured: what it says, what was found, and by which rule that is judged.

The poster is Sedky and Hosmer, "Low-Rank Approximations for Convolutional Layers in Super Resolution Applications".
What it says of the clock is judged in `clock.py`.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from scipy.special import stdtrit

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock, gains
from lowrank_sr.study.report.gains import Network
from lowrank_sr.study.report.tables import change, standard_error
from lowrank_sr.study.report.verdict import (
    AGREES,
    DISAGREES,
    NOT_DECIDED,
    Answer,
    Claim,
    Verdict,
    between,
    counted,
    every,
    rule_of,
    together,
)
from lowrank_sr.study.technique import (
    CP_KERNEL,
    DIRECT,
    FACTORS,
    IM2COL,
    KERNEL,
    REFERENCE,
    SVD_KERNEL,
    WINOGRAD,
    Technique,
    recipes,
)

FASTER = (
    "The low rank approximations via the SVD and the CP-decomposition both slightly outperformed the direct "
    "convolution in the inference stage of the ESRGAN."
)
SIZE = "We propose [SVD and CP] to improve the inference speed and reduce the model size of [ESRGAN] …"
LOSS = "… with minimal loss in accuracy."
IMPROVES = "The SVD decomposition even improved PSNR and SSIM values …"
CAUSE = "… by removing parts of overdetermined layers."
THRESHOLD = "Pushing the SVD to use a lower threshold also slows down the inference speed."
IM2COL_SLOW = "The im2col method is too memory intensive and is slower than the original implementation."
BOUND = "We expect a theoretical speed up of ~d² when R ≈ NC/(N+C)."
LEAST_FIDELITY = 30.0  # dB: a root mean square difference of 8 levels of 255
MOST_NIQE = 0.1  # of the dense network's, that a minimal loss may add
LEAST_GAIN = {"psnr_rgb": 0.01, "ssim_rgb": 0.0005}  # dB, and SSIM: less is no improvement
UNTRAINED = 6.0  # dB below bicubic: one that was trained with a discriminator may be 2 below, one of noise is 10
CONFIDENCE = 0.95  # of the interval around a mean over the pictures that must not hold the limit
NEAR_BOUND = 0.8  # of d²: a speed-up above this is near d²


def judge(results: Results) -> list[Claim]:
    """The poster's claims with their verdicts; not decided where what was not measured could change that."""
    both, exact = (SVD_KERNEL, CP_KERNEL), Technique(method=WINOGRAD)
    return [
        _claim(results, "Low rank is faster than direct convolution", FASTER, both, clock.low_rank_is_faster),
        _claim(results, "… and than the best exact method", FASTER, [exact, SVD_KERNEL], clock.low_rank_beats_exact),
        _claim(results, "Low rank makes the model smaller", SIZE, both, _size),
        _claim(results, "Low rank loses little accuracy", LOSS, both, _loss),
        _claim(results, "SVD improves PSNR and SSIM", IMPROVES, [SVD_KERNEL], _improves),
        _claim(results, "… by removing parts of overdetermined layers", CAUSE, [SVD_KERNEL], _more_than_blur),
        _claim(results, "A lower threshold slows it down", THRESHOLD, [SVD_KERNEL], clock.lower_threshold_is_slower),
        _claim(results, "im2col is memory-intensive and slower", IM2COL_SLOW, [IM2COL], clock.im2col_is_slower),
        _claim(results, "CP approaches d² at R = NC/(N+C), in theory", BOUND, [CP_KERNEL], _bound),
    ]


def _claim(
    results: Results, title: str, said: str, needs: Sequence[Technique], test: Callable[[Results], Verdict]
) -> Claim:
    missing = [technique.name for technique in needs if technique not in results.times]
    left_out = f"this study leaves {' and '.join(missing)} out"
    if len(missing) == len(needs):
        rule = "judged where its techniques are measured"
        return Claim(title, said, together([], "not measured", f"nothing: {left_out}", rule))
    verdict = test(results)
    if missing and verdict.verdict in (AGREES, DISAGREES):  # what is missing could change that
        verdict = replace(verdict, verdict=NOT_DECIDED, why=f"{left_out[0].upper()}{left_out[1:]}.")
    return Claim(title, said, verdict)


def _size(results: Results) -> Verdict:
    rows = results.times
    low_rank = [technique for technique in rows if technique.form and technique.method == DIRECT]
    shares = {technique: rows[technique].parameters / rows[REFERENCE].parameters for technique in low_rank}
    kept = [f"{each.label} keeps {rows[each].size_mb:.2f} MB ({100 * share:.0f}%)" for each, share in shares.items()]
    found = f"of the {rows[REFERENCE].size_mb:.2f} MB of the dense network, {'; '.join(kept)}"
    short = f"{between((100 * share for share in shares.values()), 0)}% of {rows[REFERENCE].size_mb:.1f} MB"
    rule = f"smaller: fewer parameters than the dense network; {rule_of(len(low_rank), 'low-rank networks')}"
    return together([share < 1 for share in shares.values()], short, found, rule)


def _loss(results: Results) -> Verdict:
    """The loss in accuracy is minimal, by the poster's way to find factors; what other ways lose is told beside it."""
    dense, answers, found = results.quality[REFERENCE], [], []
    networks = {each: of for each, of in results.quality.items() if each.form and each.method == DIRECT}
    for technique, quality in networks.items():
        near = _below([picture.distance for picture in quality.pictures], 10 ** (-LEAST_FIDELITY / 20))
        if technique.factors == KERNEL:
            answers.append(every([near, *_natural(quality, dense)]))
        found.append(f"{technique.label} {_fidelity(quality)}, {_change(results, quality)} to the truth")
    of_niqe = f", and whose NIQE is at most {MOST_NIQE:.0%} above the dense network's"
    rule = (
        f"minimal, since PSNR to the truth rewards blur, is a fidelity to the dense network's picture of at least "
        f"{LEAST_FIDELITY:g} dB, by the root of the mean square difference{of_niqe if dense.niqe else ''}, in the mean "
        "over the pictures; "
        f"judged by factors of the kernels, the poster's; {rule_of(len(answers), 'such networks')}; {_decides(dense)}"
    )
    kernels = [quality for technique, quality in networks.items() if technique.factors == KERNEL]
    others = [quality.near for technique, quality in networks.items() if technique.factors != KERNEL]
    niqes = [quality.niqe for quality in kernels if quality.niqe]
    short = f"fidelity {between((quality.near for quality in kernels), 1)} dB"
    if others:
        short += f", {between(others, 1)} dB by other factors"
    if niqes and dense.niqe:
        short += f"; NIQE {between(niqes, 1)}, dense {dense.niqe:.1f}"
    return together(answers, short, "; ".join(found), rule, _untrained(results))


def _natural(quality: Quality, dense: Quality) -> list[Answer]:
    """Whether NIQE has risen by no more than MOST_NIQE; nothing where no picture is large enough for it."""
    pairs = zip(quality.pictures, dense.pictures, strict=True)
    rises = [after.niqe / before.niqe - 1 for after, before in pairs if after.niqe and before.niqe]
    return [_below(rises, MOST_NIQE)] if rises else []


def _fidelity(quality: Quality) -> str:
    near = f"fidelity {quality.near:.2f} dB"
    return near if quality.niqe is None else f"{near}, NIQE {quality.niqe:.2f}"


def _improves(results: Results) -> Verdict:
    """SVD improves PSNR and SSIM: by some network of each way to find factors, or by none."""
    ways: dict[str, list[Network]] = {}
    for network in gains.svd_networks(results):
        ways.setdefault(network.technique.factors, []).append(network)
    answers, found, short = [], [], []
    for factors, networks in ways.items():
        each = [_gains(results, network.quality) for network in networks]
        answers.append(True if True in each else None if None in each else False)
        best = max(networks, key=lambda network: network.quality.psnr_rgb)
        better = sum(answer is True for answer in each)
        found.append(
            f"by {FACTORS[factors]} factors {better} of {counted(len(networks), 'network')}, the best {best.name} "
            f"{_change(results, best.quality)}"
        )
        short.append(f"{FACTORS[factors]} {_mean(results, best.quality):+.2f} dB at best")
    found.append(f"bicubic enlargement {_change(results, results.bicubic)}")
    recipe = [f"{each.label} {_change(results, results.quality[each])}" for each in recipes("svd")]
    rule = (
        f"a network improves by more than {LEAST_GAIN['psnr_rgb']:g} dB and by more than {LEAST_GAIN['ssim_rgb']:g} of "
        "SSIM, both in the mean over the pictures; an answer for each way to find factors: whether any of its networks "
        "in Table 1, in the sweep of speed-ups, and with only the dense blocks or only the others factorised, does; "
        f"{rule_of(len(answers), 'ways')}; {_decides(results.quality[REFERENCE])}"
    )
    return together(answers, "; ".join(short), "; ".join((*found, *recipe)), rule, _untrained(results))


def _gains(results: Results, quality: Quality) -> Answer:
    """Whether a network improves both measures."""
    both: list[Answer] = []
    for measure, least in LEAST_GAIN.items():
        worse = _below(results.gains(quality, measure), least)
        both.append(None if worse is None else not worse)
    return every(both)


def _more_than_blur(results: Results) -> Verdict:
    """What SVD gains is more than blur gains: by the networks that gain."""
    answers: list[Answer] = []
    found, shares = [], []
    for network in gains.svd_networks(results):
        if _gains(results, network.quality) is not True:
            continue
        own = results.gains(network.quality, "psnr_rgb")
        by_blur = gains.of_blur(results, network.quality, "psnr_rgb")
        said = f"{network.name} {change(own, 3)} dB, blur as far from the dense picture "
        if by_blur is None:
            answers.append(None)
            said += "was not measured"
        else:
            no_more = _below([mine - plain for mine, plain in zip(own, by_blur, strict=True)], 0.0)
            answers.append(None if no_more is None else not no_more)
            shares.append(statistics.fmean(by_blur) / statistics.fmean(own))
            said += f"{change(by_blur, 3)} dB"
        explained = network.quality.blur_explained or 0.0
        nearest = gains.of_nearest_blur(results, network.quality)
        found.append(f"{said}, the nearest blur, which explains {explained:.0%} of the difference, {nearest:+.3f} dB")
    short = f"plain blur gains {between(shares, 1)} times as much" if shares else "no network certainly improves both"
    rule = (
        "a Gaussian on the dense network's picture removes no part of any layer; the claim needs SVD to gain more PSNR "
        "than the Gaussian that is as far from the dense picture, by fidelity; judged on the networks that improve, "
        f"by the rule above; {rule_of(max(len(answers), 1), 'networks')}; {_decides(results.quality[REFERENCE])}"
    )
    told = "; ".join(found) or "no SVD network certainly improves PSNR and SSIM"
    return together(answers, short, told, rule, _untrained(results))


def _untrained(results: Results) -> str | None:
    """Why nothing can be said about accuracy where the network itself is far worse than bicubic interpolation."""
    dense, bicubic = results.quality[REFERENCE].psnr_rgb, results.bicubic.psnr_rgb
    said = f"The network itself is far below bicubic interpolation: {dense:.2f} against {bicubic:.2f} dB."
    return None if dense > bicubic - UNTRAINED else said


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


def _change(results: Results, quality: Quality) -> str:
    """The mean gain with its standard error over the pictures."""
    psnr, ssim = (results.gains(quality, measure) for measure in LEAST_GAIN)
    return f"{change(psnr, 3)} dB and {change(ssim, 4)}"


def _mean(results: Results, quality: Quality) -> float:
    return statistics.fmean(results.gains(quality, "psnr_rgb"))


def _bound(results: Results) -> Verdict:
    d = results.condition_numbers.layers[0].shape[2]
    rows = [row for layer in results.layers.values() for row in layer.rows if row.poster_bound]
    least_channels = 2 * d * NEAR_BOUND / (1 - NEAR_BOUND)
    rule = (
        "by algebra, not by measurement, since the claim is about theory: at R = NC/(N+C) the formula gives "
        f"d² (N + C) / (N + C + 2 d), which is above {NEAR_BOUND:g} d² = {NEAR_BOUND * d * d:.1f} where N + C is above "
        f"{least_channels:.0f}, but for the rounding of R; {rule_of(len(rows), 'layer shapes, however narrow,')}"
    )
    if not rows:
        return together([], "not measured", "no layer was measured at this rank", rule)
    theory, timed = [row.theoretical_speedup for row in rows], [row.measured.speedup for row in rows]
    errors = [row.error for row in rows if row.error is not None]
    near = [value > NEAR_BOUND * d * d for value in theory]
    found = (
        f"{min(theory):.1f} to {max(theory):.1f} by the formula over {counted(len(rows), 'layer shape')}, "
        f"{sum(near)} of them above {NEAR_BOUND:g} d²; beside it the clock, {min(timed):.1f} to {max(timed):.1f} times "
        f"as fast as direct, and the kernel's relative error, {min(errors):.2f} to {max(errors):.2f}"
    )
    return together(near, f"{between(theory, 1)} by the formula; {between(timed, 1)} on the clock", found, rule)
