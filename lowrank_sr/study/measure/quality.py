"""PSNR and SSIM of enlarged pictures, as `evaluate` reports them."""

import math
from collections.abc import Callable

from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image, enlarge
from lowrank_sr.pictures.quality import enlarge_bicubic, measure_quality
from lowrank_sr.study.settings import Study

MEASURES = ("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y")


def bicubic(study: Study) -> dict:
    """PSNR and SSIM of bicubic enlargement, for orientation: the means, and each picture's."""
    return _of(study, lambda low: enlarge_bicubic(low, study.net.scale))


def network(study: Study, net: RRDBNet) -> dict:
    """PSNR and SSIM of a network: the means, and each picture's."""
    return _of(study, lambda low: enlarge(low, net))


def _of(study: Study, enlarge_low: Callable[[Image], Image]) -> dict:
    rows = [
        {"picture": name, **measure_quality(enlarge_low(low), high, study.net.scale)}
        for name, low, high in study.pictures
    ]
    means = {key: math.fsum(row[key] for row in rows) / len(rows) for key in MEASURES}
    return {**means, "pictures": rows}
