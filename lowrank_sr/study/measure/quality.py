"""How good the pictures of a network are: beside the truth, beside the dense network's, and by themselves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lowrank_sr.network.enlarge import enlarge
from lowrank_sr.network.overlap import digest
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.metrics import fidelity, psnr
from lowrank_sr.pictures.quality import mean_of_known, measure_fidelity, measure_naturalness, measure_quality
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.pictures.sharpness import sharpness
from lowrank_sr.study.measure import blur, networks
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import WINOGRAD, Technique

_measured: WeakKeyDictionary[Study, dict[tuple[str, str], "Quality"]] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Measures:
    """PSNR in dB and SSIM to the truth; fidelity in dB and SSIM to the dense network's picture; NIQE; sharpness.

    Of a picture, or the mean over some. `blur_sigma`, in pixels, is that of the Gaussian under which the dense
    network's picture comes nearest to this one, `blur_explained` the share of their squared difference that it
    explains, and `blur_psnr_rgb` the PSNR of that blurred picture to the truth.
    `fidelity_matched` is the fidelity once colours are matched, see `matched`. Of the dense network itself there is
    nothing that compares with it. NIQE is None where no picture is large enough.
    """

    psnr_rgb: float
    ssim_rgb: float
    psnr_y: float
    ssim_y: float
    niqe: float | None = None
    fidelity: float | None = None
    fidelity_ssim: float | None = None
    sharpness: float | None = None
    blur_sigma: float | None = None
    blur_explained: float | None = None
    blur_psnr_rgb: float | None = None
    fidelity_matched: float | None = None

    @property
    def near(self) -> float:
        """The fidelity in dB; infinite where it is None: of the dense network and its twin, as JSON has no infinity."""
        return math.inf if self.fidelity is None else self.fidelity

    @property
    def distance(self) -> float:
        """The root of the mean square difference from the dense network's picture, of values 0..1."""
        return float(10 ** (-self.near / 20))


@dataclass(frozen=True, kw_only=True)
class PictureQuality(Measures):
    """Of one picture, by its name."""

    picture: str


@dataclass(frozen=True, kw_only=True)
class Quality(Measures):
    """The means, and each picture's."""

    pictures: tuple[PictureQuality, ...]


def bicubic(study: Study) -> Quality:
    """Of bicubic enlargement, to compare with."""
    return _quality(study, lambda _, low: imresize(low, study.net.scale), dense_pictures(study))


def of_blur(study: Study, sigma: float) -> Quality:
    """Of the dense network's pictures under a Gaussian of `sigma` pixels."""
    dense = dense_pictures(study)
    return _quality(study, lambda name, _: blur.blurred(dense[name], sigma), dense)


def of_technique(study: Study, technique: Technique) -> Quality:
    """Of a technique."""
    return of_network(study, networks.network(study, technique))


def of_network(study: Study, net: RRDBNet) -> Quality:
    """Of a network, as `evaluate` reports it; once for networks with the same layers and method."""
    known, key = _measured.setdefault(study, {}), (digest(net), net.method)
    if key not in known:
        dense = None if key[0] == digest(study.net) else dense_pictures(study)
        known[key] = _quality(study, lambda _, low: enlarge(net, low), dense)
    return known[key]


def _quality(
    study: Study, enlarged: Callable[[str, np.ndarray], np.ndarray], dense: dict[str, np.ndarray] | None = None
) -> Quality:
    """Of what `enlarged` makes of a picture's name and its low resolution; `dense` are the dense network's pictures."""
    rows, scale = [], study.net.scale
    for name, low, high in study.pictures:
        estimate = enlarged(name, low.pixels)
        measures: dict[str, Any] = {**measure_quality(estimate, high, scale)}
        measures |= measure_naturalness(estimate, high.grey, scale)
        if dense is not None:
            measures |= _beside(dense[name], estimate, high, scale)
        rows.append(PictureQuality(picture=name, **measures))
    names = (measure.name for measure in fields(Measures))
    means: dict[str, Any] = {name: mean_of_known(getattr(row, name) for row in rows) for name in names}
    return Quality(pictures=tuple(rows), **means)


def _beside(dense: np.ndarray, estimate: np.ndarray, truth: Image, scale: int) -> dict[str, Any]:
    """The fields of `Measures` that compare a picture with the dense network's."""
    nearest = blur.nearest(dense, estimate.clip(0, 1))
    return measure_fidelity(estimate, dense) | {
        "sharpness": sharpness(estimate, dense),
        "blur_sigma": nearest.sigma,
        "blur_explained": nearest.explained,
        "blur_psnr_rgb": psnr(blur.blurred(dense, nearest.sigma), truth.pixels, crop=scale, channels="rgb"),
        "fidelity_matched": fidelity(matched(estimate, dense).clip(0, 1), dense),
    }


@lru_cache(maxsize=1)
def dense_pictures(study: Study) -> dict[str, np.ndarray]:
    """What the dense network makes of each picture, (H, W, 3) float32, 0..1, by name."""
    net = study.net.with_method(WINOGRAD)
    return {name: enlarge(net, low.pixels).clip(0, 1) for name, low, _ in study.pictures}


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
