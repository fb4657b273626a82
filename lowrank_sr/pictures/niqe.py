"""NIQE, the naturalness of a picture without its original: how far its statistics are from those of natural pictures.

Luma is normalised by its own surroundings, in a 7 x 7 Gaussian window of sigma 7/6,

    x̂ = (x - μ) / (σ + 1)

which leaves noise that is nearly Gaussian in a natural picture. A block of 96 x 96 pixels has 18 features: the shape of
the distribution of x̂, and of its products with the neighbour to the right, below and on both diagonals, each fitted by
an asymmetric generalised Gaussian distribution (a block's neighbours go round its borders, as in the authors' code)

    f(x) = α / ((βl + βr) Γ(1/α)) exp(-(-x / βl)^α)  for x < 0,  exp(-(x / βr)^α)  from 0 on

and 18 more at half the size. Mean ν and covariance Σ of a picture's blocks are compared with those of the authors'
pristine photographs,

    NIQE = √( (ν1 - ν2)ᵀ ((Σ1 + Σ2) / 2)⁻¹ (ν1 - ν2) )

Less is more natural.

References
----------
A. Mittal, R. Soundararajan, A. Bovik, "Making a 'completely blind' image quality analyzer", IEEE Signal Processing
Letters 20 (2013), eq. (1) to (10).
N.-E. Lasmar, Y. Stitou, Y. Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009 (the
moments by which the distribution is fitted).
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import correlate1d
from scipy.special import gamma

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.metrics import LUMA_ROUNDING, eight_bit
from lowrank_sr.pictures.resize import imresize

_PRISTINE = Path(__file__).with_name("niqe_pristine.npz")  # the authors' numbers: data/README.md
BLOCK = 96  # pixels a side, of the pristine model
_SIGMA = 7 / 6
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_ALPHAS = np.arange(200, 10001) / 1000  # that are tried, as the authors do


def niqe(picture: np.ndarray, *, crop: int = 0) -> float:
    """Return the distance of a picture's statistics from those of natural pictures: the module has the equations.

    Parameters
    ----------
    picture : (H, W, 3) RGB or (H, W) greyscale floating-point array, 0..1 (rounded to 8 bit first, clipped)
    crop : pixels cut from each border

    Returns
    -------
    NIQE on luma, 0 at best, 2 to 5 for most photographs

    Raises
    ------
    InputError
        If the picture is no such array, or after cropping has fewer than two blocks of 96 x 96 pixels that are not of
        one colour or a plain pattern.
    """
    if crop < 0:
        raise InputError(f"a crop of {crop} pixels: expected 0 or more")
    y = eight_bit(picture, "y")
    height, width = y.shape
    y = y[crop : height - crop, crop : width - crop]
    rows, columns = y.shape[0] // BLOCK, y.shape[1] // BLOCK
    if rows * columns < 2:
        raise InputError(
            f"NIQE of a {height} x {width} picture: expected two blocks of {BLOCK} x {BLOCK} pixels within its borders"
        )
    y = y[: rows * BLOCK, : columns * BLOCK]
    features = np.hstack([_features(y, BLOCK), _features(imresize(y, 0.5), BLOCK // 2)])
    whole = features[~np.isnan(features).any(axis=1)]  # a block of one colour, or a plain pattern, has no shape
    if len(whole) < 2:
        raise InputError("NIQE of a picture that is mostly of one colour: expected two blocks that are not")
    mean, covariance = _pristine()
    difference = np.nanmean(features, axis=0) - mean  # as the authors' code has it
    inverse = np.linalg.pinv((covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(difference @ inverse @ difference))


@cache
def _pristine() -> tuple[np.ndarray, np.ndarray]:
    """Mean (36,) and covariance (36, 36) of the features of the authors' pristine photographs."""
    with np.load(_PRISTINE) as file:
        return file["mean"], file["covariance"]


def _features(y: np.ndarray, side: int) -> np.ndarray:
    """The 18 features of each block of `side` pixels of luma 0..255: (blocks, 18)."""
    x = _normalised(y)
    blocks = [
        x[row : row + side, column : column + side]
        for row in range(0, x.shape[0], side)
        for column in range(0, x.shape[1], side)
    ]
    return np.array([_features_of_block(block) for block in blocks])


def _normalised(y: np.ndarray) -> np.ndarray:
    """x̂, eq. (1); 0 where all is one colour, where the sign of what rounding leaves would decide on a feature."""
    mean = _window_mean(y)
    deviation = np.sqrt(np.abs(_window_mean(y * y) - mean**2))
    difference = y - mean
    return np.where(np.abs(difference) < LUMA_ROUNDING, 0.0, difference / (deviation + 1))


def _window_mean(x: np.ndarray) -> np.ndarray:
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    mean: np.ndarray = correlate1d(correlate1d(x, weights, axis=0, mode="nearest"), weights, axis=1, mode="nearest")
    return mean


def _features_of_block(x: np.ndarray) -> list[float]:
    alpha, left, right = _fitted(x)
    features = [alpha, (left + right) / 2]
    for shift in _NEIGHBOURS:
        alpha, left, right = _fitted(x * np.roll(x, shift, axis=(0, 1)))
        mean = (right - left) * gamma(2 / alpha) / gamma(1 / alpha)  # eq. (8)
        features += [alpha, mean, left, right]
    return features


@cache
def _ratios() -> np.ndarray:
    """E[|x|]² / E[x²] of the symmetric distribution, for each of the alphas."""
    ratios: np.ndarray = gamma(2 / _ALPHAS) ** 2 / (gamma(1 / _ALPHAS) * gamma(3 / _ALPHAS))
    return ratios


def _fitted(x: np.ndarray) -> tuple[float, float, float]:
    """α, βl and βr of the distribution that has the moments of x; not a number where x has one sign."""
    negative, positive = x[x < 0], x[x > 0]
    if not (negative.size and positive.size):
        return (float("nan"),) * 3
    left, right = (np.sqrt(np.mean(side**2)) for side in (negative, positive))
    skew = left / right
    ratio = np.mean(np.abs(x)) ** 2 / np.mean(x**2) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    alpha = _ALPHAS[np.argmin((_ratios() - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return float(alpha), float(left * scale), float(right * scale)
