"""MATLAB's bicubic `imresize`, which every super-resolution benchmark was made with."""

import math

import numpy as np

from lowrank_sr.errors import InputError

_KERNEL_WIDTH = 4  # samples
_MAX_VALUES = 2**31


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize an image with the bicubic kernel, antialiased when it shrinks, exactly as MATLAB's `imresize`.

    Along each axis, output sample i (from 1) is the weighted mean of the input samples around its centre,

        u_i = i / scale + (1 - 1 / scale) / 2,    y_i = sum_j w_ij x_j / sum_j w_ij,    w_ij = k(s (u_i - j)),

    with Keys' kernel k, s = min(scale, 1), and the image mirrored at its borders (edge samples repeated).

    Parameters
    ----------
    image : (H, W) or (H, W, C) floating-point array, usually 0..1
    scale : positive number; 4 enlarges four times, 1/4 reduces four times

    Returns
    -------
    (ceil(scale * H), ceil(scale * W)) or (ceil(scale * H), ceil(scale * W), C) array of the same dtype,
    computed in float64 and not clipped: the kernel overshoots at edges.

    Raises
    ------
    InputError
        If the image is not floating-point (MATLAB rounds a uint8 image, also between the two axes; here
        rounding is left to the caller), has another number of axes or no pixels, or if the scale is not a
        positive finite number or makes an image of more than 2^31 values (16 GB in float64).

    References
    ----------
    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981),
    eq. (15).
    """
    if image.ndim not in (2, 3) or image.size == 0 or not np.issubdtype(image.dtype, np.floating):
        raise InputError(
            f"imresize: the image has shape {image.shape} and dtype {image.dtype}; "
            "expected a floating-point image of shape (H, W) or (H, W, C)"
        )
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"imresize: the scale is {scale}; expected a positive finite number")
    height, width = (max(1.0, scale * side) for side in image.shape[:2])
    taps = _KERNEL_WIDTH / min(scale, 1.0)  # of each output, whose weights are kept
    if max(image[0, 0].size * height * width, taps * max(height, width)) > _MAX_VALUES:
        raise InputError(
            f"imresize: the scale is {scale} for {image.shape[0]} x {image.shape[1]} pixels;"
            f" expected one that makes at most {_MAX_VALUES} values"
        )
    rows_resized = _resize_rows(image.astype(np.float64), scale)
    resized = _resize_rows(rows_resized.swapaxes(0, 1), scale).swapaxes(0, 1)
    return np.ascontiguousarray(resized, dtype=image.dtype)


def _resize_rows(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize along the first axis: one multiply-add of whole rows for each tap of the kernel."""
    indices, weights = _taps(image.shape[0], scale)
    resized = np.zeros((len(indices), *image.shape[1:]))
    weights = weights.reshape(*weights.shape, *[1] * (image.ndim - 1))
    for tap in range(indices.shape[1]):
        resized += weights[:, tap] * image[indices[:, tap]]
    return resized


def _taps(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the input samples that each output sample is made of, and their weights: both (out, taps)."""
    stretch = min(scale, 1.0)
    width = _KERNEL_WIDTH / stretch
    centres = np.arange(1, math.ceil(scale * length) + 1) / scale + (1 - 1 / scale) / 2
    # MATLAB takes two more taps than the kernel is wide, so that rounding in `centres` can never lose one.
    samples = np.floor(centres - width / 2)[:, None] + np.arange(math.ceil(width) + 2)
    weights = _cubic(stretch * (centres[:, None] - samples))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.r_[np.arange(length), np.arange(length)[::-1]]
    used = weights.any(axis=0)
    return mirrored[(samples.astype(np.intp) - 1) % (2 * length)][:, used], weights[:, used]


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -1/2, zero outside -2..2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
