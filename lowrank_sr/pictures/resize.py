"""MATLAB's bicubic `imresize`, which every super-resolution benchmark was made with."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import BAND_BYTES, rows_of

_KERNEL_WIDTH = 4  # samples
_MAX_VALUES = 2**31
_TAP_BYTES = 72  # that finding one tap of one sample takes, of which 16 are kept


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


def resized_side(length: int, scale: float) -> int:
    """How many samples `length` samples become: ceil(scale * length), without one that is there only by rounding."""
    return max(1, math.ceil(scale * length - 1e-6))


def resized_rows(rows: Iterable[np.ndarray], height: int, scale: float) -> Iterator[np.ndarray]:
    """Resize an image of whole numbers whose rows come some at a time, as `imresize` does, and round it.

    `rows` are (h, W, C) arrays of uint8 or uint16, at most BAND_BYTES each, `height` rows in all; so is the result, of
    (`resized_side(height, scale)`, `resized_side(W, scale)`) pixels. No more rows are held than a result is made of:
    `resizing_bytes` in all.
    """
    indices, weights = _taps_in_image(height, scale)
    first = np.minimum.accumulate(indices.min(axis=1)[::-1])[::-1]  # row that this result or a later one needs
    last = np.maximum.accumulate(indices.max(axis=1))
    held: np.ndarray = np.empty((0, 0, 0))
    start = done = 0
    across: tuple[np.ndarray, np.ndarray] | None = None
    for band in rows:
        held = np.concatenate([held, band]) if held.size else band
        width, channels = held.shape[1:]
        across = across or _taps_in_image(width, scale)
        at_a_time = rows_of(_row_bytes(width, channels, scale))
        ready = int(np.searchsorted(last, start + len(held)))
        for top in range(done, ready, at_a_time):
            bottom = min(top + at_a_time, ready)
            yield _resized_band(held, indices[top:bottom] - start, weights[top:bottom], across)
        done = ready
        if done < len(last):
            held, start = held[first[done] - start :], int(first[done])


def resizing_bytes(height: int, width: int, channels: int, value_bytes: int, scale: float) -> int:
    """The most memory that `resized_rows` needs beside the rows that it is given, of (height, width, channels) values.

    `value_bytes` is what one of them takes, 1 or 2.
    """
    taps = math.ceil(_KERNEL_WIDTH / min(scale, 1.0)) + 2
    row = width * channels * value_bytes
    held = 2 * (min(height, taps) + rows_of(row)) * row  # before and after the next rows are appended
    band = max(BAND_BYTES, _row_bytes(width, channels, scale))
    sides = sorted((resized_side(height, scale), resized_side(width, scale)))
    return held + band + taps * (_TAP_BYTES * sides[1] + 16 * sides[0]) + 24 * max(height, width)


def _row_bytes(width: int, channels: int, scale: float) -> int:
    """What it takes to resize one row, whose height is right already."""
    return channels * (24 * width + 36 * resized_side(width, scale))


def _taps_in_image(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    indices, weights = _taps(length, scale)
    side = resized_side(length, scale)
    return indices[:side], weights[:side]


def _resized_band(
    held: np.ndarray, indices: np.ndarray, weights: np.ndarray, across: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    resized = _weighted(_weighted(held, indices, weights).swapaxes(0, 1), *across).swapaxes(0, 1)
    rounded: np.ndarray = np.rint(resized.clip(0, np.iinfo(held.dtype).max)).astype(held.dtype)
    return np.ascontiguousarray(rounded)


def _resize_rows(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize along the first axis: one multiply-add of whole rows for each tap of the kernel."""
    return _weighted(image, *_taps(image.shape[0], scale))


def _weighted(image: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Row i of the result is the sum over t of weights[i, t] image[indices[i, t]]."""
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
