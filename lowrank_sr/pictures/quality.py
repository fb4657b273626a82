"""How close an enlarged picture is to the true one, and to another network's; and how natural it is."""

import math
from collections.abc import Iterable

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.metrics import fidelity, psnr, ssim
from lowrank_sr.pictures.niqe import niqe


def measure_quality(estimate: np.ndarray, truth: Image, scale: int) -> dict[str, float]:
    """PSNR and SSIM of (H, W, 3) values on luma and on RGB, `scale` pixels cut from each border.

    Those of a greyscale picture are compared as they are. Raises InputError as `psnr` and `ssim` do.
    """
    a, b = (values.mean(axis=2) if truth.grey else values for values in (estimate, truth.pixels))
    return {
        "psnr_y": psnr(a, b, crop=scale, channels="y"),
        "ssim_y": ssim(a, b, crop=scale, channels="y"),
        "psnr_rgb": psnr(a, b, crop=scale, channels="rgb"),
        "ssim_rgb": ssim(a, b, crop=scale, channels="rgb"),
    }


def measure_naturalness(estimate: np.ndarray, grey: bool, scale: int) -> dict[str, float | None]:
    """NIQE of (H, W, 3) values, `scale` pixels cut from each border; None where they are too few, or of one colour."""
    try:
        return {"niqe": niqe(estimate.mean(axis=2) if grey else estimate, crop=scale)}
    except InputError:
        return {"niqe": None}


def measure_fidelity(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Fidelity and SSIM of (H, W, 3) values to those of the reference network, on RGB and with all of the border.

    Raises InputError as `fidelity` and `ssim` do.
    """
    return {"fidelity": fidelity(estimate, reference), "fidelity_ssim": ssim(estimate, reference, channels="rgb")}


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are; None where there is none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
