"""What a network gains in PSNR and SSIM to the truth, and what plain blur of the dense network's picture gains.

A Gaussian removes no part of any layer. So what it gains at a network's fidelity, which is how far that one's picture
is from the dense network's, needs no property of the layers to be explained.
"""

from typing import NamedTuple

import numpy as np

from lowrank_sr.study.measure.networks import TABLE1_SPEEDUP
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.tables import FIDELITY, Table, change, number
from lowrank_sr.study.technique import BLOCKS, DIRECT, KERNEL, OUTSIDE, REFERENCE, UNIFORM, Technique


class Network(NamedTuple):
    """A network of low rank: which it is, its theoretical speed-up, and its quality."""

    technique: Technique
    speedup: float
    quality: Quality

    @property
    def name(self) -> str:
        """In words, such as "SVD, fitted, ×2.00"."""
        return f"{self.technique.label}, ×{self.speedup:.2f}"


def of_blur(results: Results, quality: Quality, measure: str) -> list[float] | None:
    """What each picture gains by the Gaussian that is as far from the dense network's picture as this network's is.

    Linear in the root of the mean square difference, between the Gaussians that were measured; None where one of the
    pictures is farther away than all of them.
    """
    every = [(blur, results.gains(blur, measure)) for blur in results.blurs.values()]
    gained = []
    for i, picture in enumerate(quality.pictures):
        points = sorted([(0.0, 0.0), *((blur.pictures[i].distance, row[i]) for blur, row in every)])
        if picture.distance > points[-1][0]:
            return None
        gained.append(float(np.interp(picture.distance, *np.array(points).T)))
    return gained


def of_nearest_blur(results: Results, quality: Quality) -> float:
    """What PSNR gains by the Gaussian under which the dense picture comes nearest to this one, the mean."""
    dense = results.quality[REFERENCE].psnr_rgb
    return (dense if quality.blur_psnr_rgb is None else quality.blur_psnr_rgb) - dense


def svd_networks(results: Results) -> list[Network]:
    """All SVD networks of Table 1 and the sweep of speed-ups, and of kernels' factors the blocks or the others alone.

    By how their factors are found, then which layers they are of, then their speed-up.
    """
    every = [
        Network(technique, results.times[technique].theoretical_speedup, quality)
        for technique, quality in results.quality.items()
        if technique.form == "svd" and technique.method == DIRECT
    ]
    for point, network in measured(results.speedups):
        of, in_table1 = point.technique, point.speedup == TABLE1_SPEEDUP and point.technique in results.quality
        if of.form == "svd" and not in_table1:
            every.append(Network(of, network.theoretical_speedup, network.quality))
    for row in results.ablation:
        if (row.form, row.ranks, row.factors) == ("svd", UNIFORM, KERNEL) and row.layers in (BLOCKS, OUTSIDE):
            every.append(Network(Technique("svd", layers=row.layers), row.theoretical_speedup, row.quality))
    ways, layers = ([*dict.fromkeys(getattr(each.technique, of) for each in every)] for of in ("factors", "layers"))
    return sorted(
        every, key=lambda each: (ways.index(each.technique.factors), layers.index(each.technique.layers), each.speedup)
    )


def table(results: Results) -> Table:
    """What every SVD network, every Gaussian and bicubic enlargement gain, and how much of it blur explains."""
    every = [(network.name, network.quality) for network in svd_networks(results)]
    every += [(f"dense, Gaussian of {sigma} pixels", blur) for sigma, blur in results.blurs.items()]
    rows = [_row(results, name, of) for name, of in (*every, ("bicubic", results.bicubic))]
    header = ["pictures of", *FIDELITY, "PSNR gained (dB)", "SSIM gained", "a Gaussian as far gains (dB)"]
    return Table([*header, "sharpness", "nearest Gaussian (pixels)", "it gains (dB)", "and explains"], rows)


def _row(results: Results, name: str, of: Quality) -> list[str]:
    as_far = of_blur(results, of, "psnr_rgb")
    return [
        name,
        number(of.near, 2),
        number(of.fidelity_ssim, 4),
        change(results.gains(of, "psnr_rgb"), 2),
        change(results.gains(of, "ssim_rgb"), 4),
        "–" if as_far is None else change(as_far, 2),
        number(of.sharpness, 2),
        number(of.blur_sigma, 2),
        f"{of_nearest_blur(results, of):+.2f}",
        "–" if of.blur_explained is None else f"{of.blur_explained:.0%}",
    ]
