"""How much of what a network changes is blur: the Gaussian that brings the dense network's picture nearest to its own.

    sigma     = argmin Σ (G_s * D - P)² over s        D the dense network's picture, P the other's, G_s a Gaussian
    explained = 1 - Σ (G_sigma * D - P)² / Σ (D - P)²

D and P are grey here, the mean of the channels.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar

WIDEST = 3.0  # pixels: at four times the size, wider than what bicubic interpolation blurs
RESOLUTION = 0.01  # pixels, of sigma


class Blur(NamedTuple):
    """The standard deviation in pixels, and the share of the squared difference that it explains."""

    sigma: float
    explained: float


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A picture (H, W, ...) under a Gaussian of `sigma` pixels, channel by channel; its border is repeated outwards."""
    widths = (sigma, sigma) + (0,) * (picture.ndim - 2)
    return gaussian_filter(picture, widths, mode="nearest")


def nearest(dense: np.ndarray, picture: np.ndarray) -> Blur:
    """The Gaussian under which `dense` is nearest to `picture`, (H, W, 3) both."""
    d, p = dense.mean(axis=2), picture.mean(axis=2)

    def distance(sigma: float) -> float:
        return float(np.square(blurred(d, sigma) - p).sum(dtype=np.float64))

    found = minimize_scalar(distance, bounds=(0, WIDEST), method="bounded", options={"xatol": RESOLUTION})
    before = distance(0)
    if found.fun >= before:  # no blur is nearer
        return Blur(0.0, 0.0)
    return Blur(float(found.x), 1 - float(found.fun) / before)
