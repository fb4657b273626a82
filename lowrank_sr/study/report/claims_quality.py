"""The claims that rest on the picture: how much low rank loses, whether SVD improves it, and what does the damage."""

import math
import statistics
from collections.abc import Sequence

from lowrank_sr.study.measure.ablation import UNIFORM, Ablated
from lowrank_sr.study.measure.low_rank import BIAS, DENSE_BLOCKS, FITTED, KERNEL
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import poster
from lowrank_sr.study.report.verdict import NOT_DECIDED, Answer, Verdict, because, listed, together
from lowrank_sr.study.technique import ALL, BLOCKS, DIRECT, REFERENCE, recipes

LEAST_GAIN = {"psnr": 0.01, "ssim": 0.0005}  # dB, and SSIM: less is no improvement
SIGNIFICANT = 2  # standard errors over the pictures: a mean nearer to a limit than that does not decide
SMALL_SHARE = 0.5  # of a loss: what leaves less than that was most of it


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
        f"in the mean over the pictures; a mean within {SIGNIFICANT} standard errors of that does not decide"
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
        of_all = f"better on {count} of {len(dense.pictures)} pictures"
        found.append(f"{technique.label} {_change(quality, dense)}, {of_all}")
    networks = [network for _, network in measured([*results.thresholds, *results.truncations, *results.limits])]
    networks += [network for point, network in measured(results.speedups) if point.technique.form == "svd"]
    if networks:
        best = max(networks, key=lambda network: network.quality.psnr_rgb).quality
        found.append(f"the best of all {len(networks)} SVD networks in the sweeps {_change(best, dense)}")
    rule = (
        f"an improvement is more than {LEAST_GAIN['psnr']:g} dB and {LEAST_GAIN['ssim']:g} of SSIM in the mean over "
        f"the pictures, by the poster's recipe in both readings; a mean within {SIGNIFICANT} standard errors of that "
        "does not decide"
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
    """Whether the mean is at most `limit`; None where it is within SIGNIFICANT standard errors of it."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    distance = limit - math.fsum(values) / len(values)
    return None if abs(distance) < SIGNIFICANT * error else distance >= 0


def _change(quality: Quality, dense: Quality) -> str:
    return f"{quality.psnr_rgb - dense.psnr_rgb:+.2f} dB and {quality.ssim_rgb - dense.ssim_rgb:+.4f}"


def causes(results: Results) -> list[tuple[bool, str]]:
    """What the ablation of the SVD says of the loss, each sentence with the condition that it rests on."""
    dense = results.quality[REFERENCE].psnr_rgb
    lost = {(row.layers, row.factors): dense - row.quality.psnr_rgb for row in _uniform_svd(results)}
    if (ALL, KERNEL) not in lost:
        return []
    every = lost[ALL, KERNEL]
    blocks, bias, fitted = lost[BLOCKS, KERNEL], lost[ALL, BIAS], lost[ALL, FITTED]
    matched = next(
        dense - (row.quality.psnr_rgb_matched or row.quality.psnr_rgb)
        for row in _uniform_svd(results)
        if (row.layers, row.factors) == (ALL, KERNEL)
    )
    alone = {row.layer: dense - row.quality.psnr_rgb for row in results.alone}
    outside = {name: value for name, value in alone.items() if not name.startswith(DENSE_BLOCKS)}
    worst = max((value for name, value in alone.items() if name.startswith(DENSE_BLOCKS)), default=None)
    singles = listed(f"{name} loses {value:.1f} dB" for name, value in outside.items()) if outside else ""
    most = f", the worst layer of the dense blocks {worst:.2f} dB" if worst is not None else ""
    kept = listed(outside) if outside else ""
    return [
        (
            blocks < SMALL_SHARE * every,
            f"The loss of the kernels' SVD, {every:.2f} dB, comes from outside the dense blocks: with {kept} dense the "
            f"same ranks lose {blocks:.2f} dB.",
        ),
        (bool(outside) and max(outside.values()) > max(worst or 0, 0), f"Alone, at half its FLOPs, {singles}{most}."),
        (
            matched < SMALL_SHARE * every,
            "Most of it is a change of brightness and colour: one gain and one offset a channel leave "
            f"{matched:.2f} dB.",
        ),
        (bias < every, f"A fitted bias leaves {bias:.2f} dB."),
        (fitted < SMALL_SHARE * every, f"Fitted factors leave {fitted:.2f} dB."),
    ]


def _uniform_svd(results: Results) -> list[Ablated]:
    return [row for row in results.ablation if row.form == "svd" and row.ranks == UNIFORM]
