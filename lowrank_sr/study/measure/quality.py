"""PSNR and SSIM of a network over the pictures of a study."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from weakref import WeakKeyDictionary

import numpy as np

from lowrank_sr.network.enlarge import enlarge
from lowrank_sr.network.overlap import digest
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.metrics import psnr
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.study.measure import networks
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import WINOGRAD, Technique

_measured: WeakKeyDictionary[Study, dict[tuple[str, str], "Quality"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class PictureQuality:
    """PSNR in dB and SSIM of one picture; of a low-rank network, PSNR once its colours are matched, see `matched`."""

    picture: str
    psnr_y: float
    ssim_y: float
    psnr_rgb: float
    ssim_rgb: float
    psnr_rgb_matched: float | None = None


@dataclass(frozen=True)
class Quality:
    """PSNR in dB and SSIM: the means, and each picture's."""

    psnr_rgb: float
    ssim_rgb: float
    psnr_y: float
    ssim_y: float
    pictures: tuple[PictureQuality, ...]
    psnr_rgb_matched: float | None = None


def bicubic(study: Study) -> Quality:
    """PSNR and SSIM of bicubic enlargement, to compare with."""
    return _quality(study, lambda low: imresize(low, study.net.scale))


def of_technique(study: Study, technique: Technique) -> Quality:
    """PSNR and SSIM of a technique."""
    return of_network(study, networks.network(study, technique))


def of_network(study: Study, net: RRDBNet) -> Quality:
    """PSNR and SSIM of a network, as `evaluate` reports them; once for networks with the same layers and method."""
    known, key = _measured.setdefault(study, {}), (digest(net), net.method)
    if key not in known:
        is_dense = all(layer.rank is None for layer in net.layers.values())
        known[key] = _quality(study, lambda low: enlarge(net, low), None if is_dense else dense_pictures(study))
    return known[key]


def _quality(
    study: Study, enlargement: Callable[[np.ndarray], np.ndarray], dense: dict[str, np.ndarray] | None = None
) -> Quality:
    rows = []
    for name, low, high in study.pictures:
        estimate, scale = enlargement(low.pixels), study.net.scale
        row = PictureQuality(picture=name, **measure_quality(estimate, high, scale))
        if dense is not None:
            mended = matched(estimate, dense[name] / np.float32(255))
            row = replace(row, psnr_rgb_matched=psnr(mended, high.pixels, crop=scale, channels="rgb"))
        rows.append(row)

    measures = ["psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", *([] if dense is None else ["psnr_rgb_matched"])]
    means = {measure: fmean(getattr(row, measure) for row in rows) for measure in measures}
    return Quality(pictures=tuple(rows), **means)


@lru_cache(maxsize=1)
def dense_pictures(study: Study) -> dict[str, np.ndarray]:
    """What the dense network makes of each picture, (H, W, 3) uint8, by name: a quarter of the memory of floats."""
    net = study.net.with_method(WINOGRAD)
    enlarged = ((name, enlarge(net, low.pixels)) for name, low, _ in study.pictures)
    return {name: np.rint(255 * picture.clip(0, 1)).astype(np.uint8) for name, picture in enlarged}


def matched(picture: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`picture` with the one gain and one offset for each channel that bring it nearest to `reference`, (H, W, 3) both.

    What is left of its error is not a change of brightness or colour.
    """
    out = np.empty_like(picture)
    for channel in range(picture.shape[2]):
        x, y = (array[..., channel].astype(np.float64) for array in (picture, reference))
        variance = x.var()
        gain = ((x - x.mean()) * (y - y.mean())).mean() / variance if variance > 0 else 1.0
        out[..., channel] = gain * (x - x.mean()) + y.mean()
    return out
