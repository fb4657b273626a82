"""The claims that rest on the picture: how much low rank loses, and whether SVD improves it."""

import math
import statistics
from collections.abc import Sequence

from scipy.special import stdtrit

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import poster
from lowrank_sr.study.report.causes import causes
from lowrank_sr.study.report.verdict import NOT_DECIDED, Answer, Verdict, because, counted, rule_of, together
from lowrank_sr.study.technique import DIRECT, REFERENCE, recipes

LEAST_GAIN = {"psnr": 0.01, "ssim": 0.0005}  # dB, and SSIM: less is no improvement
CONFIDENCE = 0.95  # of the interval around a mean over the pictures that must not hold the limit


def loss(results: Results) -> Verdict:
    """The loss in accuracy is minimal."""
    dense, limit = results.quality[REFERENCE], poster.LARGEST_LOSS
    low_rank = [technique for technique in results.quality if technique.form and technique.method == DIRECT]
    answers, found = [], []
    for technique in low_rank:
        quality = results.quality[technique]
        within = [_below(_losses(quality, dense, measure), limit[measure]) for measure in ("psnr", "ssim")]
        answers.append(False if False in within else None if None in within else True)
        found.append(f"{technique.label} {_change(quality, dense)}")
    rule = (
        f"minimal is what the poster's Table 1 loses at most, {limit['psnr']:.2f} dB and {limit['ssim']:.2f} of SSIM, "
        f"in the mean over the pictures; {rule_of(len(answers), 'low-rank networks')}; {_decides(dense)}"
    )
    untrained = _untrained(results)
    if untrained:
        return Verdict(NOT_DECIDED, "; ".join(found), rule, untrained)
    return Verdict(together(answers), "; ".join(found), rule, because(*causes(results)))


def improves(results: Results) -> Verdict:
    """SVD improves PSNR and SSIM."""
    dense = results.quality[REFERENCE]
    answers, found = [], []
    for technique in recipes("svd"):
        quality = results.quality[technique]
        for measure in ("psnr", "ssim"):
            gains = [-lost for lost in _losses(quality, dense, measure)]
            worse = _below(gains, LEAST_GAIN[measure])
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
    untrained = _untrained(results)
    if untrained:
        return Verdict(NOT_DECIDED, "; ".join(found), rule, untrained)
    none_better = bool(networks) and best.psnr_rgb - dense.psnr_rgb <= LEAST_GAIN["psnr"]
    why = because((none_better, "No SVD network of the sweeps is better by that much than the dense one."))
    return Verdict(together(answers), "; ".join(found), rule, why)


def _untrained(results: Results) -> str | None:
    """Why nothing can be said about accuracy where the network itself is worse than bicubic interpolation."""
    dense, bicubic = results.quality[REFERENCE].psnr_rgb, results.bicubic.psnr_rgb
    if dense > bicubic:
        return None
    return f"The network itself is no better than bicubic interpolation: {dense:.2f} against {bicubic:.2f} dB."


def _losses(quality: Quality, dense: Quality, measure: str) -> list[float]:
    """What each picture loses, of "psnr" in dB or of "ssim", on RGB."""
    field = f"{measure}_rgb"
    pairs = zip(quality.pictures, dense.pictures, strict=True)
    return [float(getattr(original, field) - getattr(low_rank, field)) for low_rank, original in pairs]


def _below(values: Sequence[float], limit: float) -> Answer:
    """Whether the mean is at most `limit`; None where its confidence interval holds it, or there is none."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    distance = limit - statistics.fmean(values)
    reach = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * standard_error(values)
    return None if abs(distance) < reach else distance >= 0


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of two or more values; not a number where one of them is infinite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values) / math.sqrt(len(values))


def _decides(dense: Quality) -> str:
    """When a mean over the pictures decides, for the rule of a claim."""
    return (
        f"a mean decides where its {CONFIDENCE:.0%} confidence interval, by Student's t over "
        f"{counted(len(dense.pictures), 'picture')}, does not hold the limit"
    )


def _change(quality: Quality, dense: Quality) -> str:
    """The mean gain with its standard error over the pictures."""
    parts = []
    for measure, digits in (("psnr", 3), ("ssim", 4)):
        gains = [-lost for lost in _losses(quality, dense, measure)]
        error = f" ± {standard_error(gains):.{digits}f}" if len(gains) > 1 else ""
        parts.append(f"{statistics.fmean(gains):+.{digits}f}{error}")
    return f"{parts[0]} dB and {parts[1]}"
