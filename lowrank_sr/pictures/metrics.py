"""PSNR and SSIM as the literature reports them, on 8-bit values, borders cut, on luma; and a network's fidelity."""

import math
from typing import Literal

import numpy as np
from scipy.ndimage import correlate1d

from lowrank_sr.errors import InputError

_PEAK = 255.0
LUMA_ROUNDING = 1e-9  # of luma 0..255: far above float64's, far below 1, which is the least that luma differs by
SSIM_WINDOW = 11  # pixels a side, of a Gaussian window with this sigma
_SSIM_SIGMA = 1.5
_SSIM_C1 = (0.01 * _PEAK) ** 2
_SSIM_C2 = (0.03 * _PEAK) ** 2


def luma(rgb: np.ndarray) -> np.ndarray:
    """Return the ITU-R BT.601 luma of an RGB image, as MATLAB's `rgb2ycbcr` gives it for 8-bit images.

        Y = round(16 + 65.481 R + 128.553 G + 24.966 B)

    Parameters
    ----------
    rgb : (H, W, 3) floating-point array, 0..1

    Returns
    -------
    (H, W) float64 array of whole numbers, 16..235

    References
    ----------
    Recommendation ITU-R BT.601-7.
    """
    y: np.ndarray = np.rint(16 + rgb.astype(np.float64) @ np.array([65.481, 128.553, 24.966]))
    return y


def psnr(a: np.ndarray, b: np.ndarray, *, crop: int = 0, channels: Literal["y", "rgb"] = "y") -> float:
    """Return the peak signal-to-noise ratio of two images in dB, computed on their 8-bit values.

        PSNR = 10 log10(255^2 / mean((a - b)^2))

    Parameters
    ----------
    a, b : (H, W, 3) RGB or (H, W) greyscale floating-point arrays, 0..1 (rounded to 8 bit first, clipped)
    crop : pixels cut from each border; by convention the scale of the super-resolution
    channels : "y" compares the luma of RGB images, "rgb" all three channels together. Greyscale images are
        compared as they are.

    Returns
    -------
    PSNR in dB, `inf` where the 8-bit values are identical

    Raises
    ------
    InputError
        If the images differ in shape, are no such arrays, or have nothing left after cropping.

    References
    ----------
    C.-Y. Yang, C. Ma, M.-H. Yang, "Single-image super-resolution: a benchmark", ECCV 2014.
    """
    a, b = _comparable(a, b, crop, channels, at_least=1)
    error = np.mean((a - b) ** 2)
    return math.inf if error == 0 else 10 * math.log10(_PEAK**2 / error)


def fidelity(picture: np.ndarray, reference: np.ndarray) -> float:
    """Return how close a network's picture is to another network's, in dB.

        fidelity = -10 log10 mean((a - b)^2)

    over all pixels and channels, both clipped to 0..1 but not rounded. No border is cut, as it is against the truth
    because methods guess there what lies outside: both networks are given the same pixels, and the border is seen, too.

    Parameters
    ----------
    picture, reference : (H, W, 3) RGB or (H, W) greyscale floating-point arrays, 0..1

    Returns
    -------
    PSNR in dB, `inf` where the clipped values are identical

    Raises
    ------
    InputError
        If the pictures differ in shape, or have values that are not a number or no pixel.
    """
    if picture.shape != reference.shape or not picture.size:
        raise InputError(f"pictures of shapes {picture.shape} and {reference.shape}: expected two of the same shape")
    error = np.mean((picture.clip(0, 1) - reference.clip(0, 1)) ** 2, dtype=np.float64)
    if np.isnan(error):
        raise InputError("a picture to compare has values that are not a number: expected 0..1")
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(a: np.ndarray, b: np.ndarray, *, crop: int = 0, channels: Literal["y", "rgb"] = "y") -> float:
    """Return the mean structural similarity of two images, computed on their 8-bit values.

        SSIM = mean((2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)))

    with means m, variances s^2 and covariance s_ab under an 11 x 11 Gaussian window of sigma 1.5 wherever it
    fits into the image, C1 = (0.01 * 255)^2 and C2 = (0.03 * 255)^2.

    Parameters
    ----------
    a, b : (H, W, 3) RGB or (H, W) greyscale floating-point arrays, 0..1 (rounded to 8 bit first, clipped)
    crop : pixels cut from each border; by convention the scale of the super-resolution
    channels : "y" compares the luma of RGB images, "rgb" gives the mean of the three channels' SSIM.
        Greyscale images are compared as they are.

    Returns
    -------
    SSIM, 1.0 where the 8-bit values are identical, otherwise less

    Raises
    ------
    InputError
        If the images differ in shape, are no such arrays, or are smaller than the window after cropping.

    References
    ----------
    Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Trans. Image Processing 13 (2004), eq. (13) and section III.C.
    """
    a, b = _comparable(a, b, crop, channels, at_least=SSIM_WINDOW)
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variance_a = _window_mean(a * a) - mean_a**2
    variance_b = _window_mean(b * b) - mean_b**2
    covariance = _window_mean(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    similarity /= (mean_a**2 + mean_b**2 + _SSIM_C1) * (variance_a + variance_b + _SSIM_C2)
    return float(similarity.mean())


def _comparable(a: np.ndarray, b: np.ndarray, crop: int, channels: str, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two images as cropped float64 arrays of the 8-bit values that are to be compared."""
    if a.shape != b.shape:
        raise InputError(f"the images have shapes {a.shape} and {b.shape}; expected two of the same shape")
    if channels not in ("y", "rgb"):
        raise InputError(f"the channels to compare are {channels!r}; expected 'y' or 'rgb'")
    if crop < 0 or min(a.shape[:2]) - 2 * crop < at_least:
        raise InputError(
            f"a crop of {crop} pixels at each border of a {a.shape} image is not possible; "
            f"expected 0 or more, and at least {at_least} x {at_least} pixels to be left"
        )
    inner = slice(crop, a.shape[0] - crop), slice(crop, a.shape[1] - crop)
    return eight_bit(a, channels)[inner], eight_bit(b, channels)[inner]


def eight_bit(image: np.ndarray, channels: str) -> np.ndarray:
    """Return the values 0..255 that would be stored in an 8-bit file, as luma where that is asked for."""
    grey = image.ndim == 2
    rgb = image.ndim == 3 and image.shape[2] == 3
    if not (grey or rgb) or not np.issubdtype(image.dtype, np.floating):
        raise InputError(
            f"an image to compare has shape {image.shape} and dtype {image.dtype}; "
            "expected floating-point values 0..1 of shape (H, W, 3) or (H, W)"
        )
    if not np.isfinite(image).all():
        raise InputError("an image to compare has values that are infinite or not a number; expected 0..1")
    stored = np.rint(np.clip(image.astype(np.float64), 0, 1) * _PEAK)
    return stored if grey or channels == "rgb" else luma(stored / _PEAK)


def _window_mean(x: np.ndarray) -> np.ndarray:
    """Return the mean of (H, W[, C]) under the Gaussian window wherever it fits: (H - 10, W - 10[, C])."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SSIM_SIGMA**2))
    weights /= weights.sum()
    inner = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    rows_averaged = correlate1d(x, weights, axis=0)[inner]
    averaged: np.ndarray = correlate1d(rows_averaged, weights, axis=1)[:, inner]
    return averaged
