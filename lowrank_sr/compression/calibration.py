"""Calibration pictures as crops: what the network is shown while its layers are fitted, and the truth beside it."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import CALIBRATION
from lowrank_sr.training.output_metric import output_metrics

CROP_SIDE = 64  # of a crop, in pixels of low resolution
SMALL_CROP_SIDE = 32  # where there are many pictures: each is to have one
MOST_CROPS = 24  # of that size: each pixel counts in the fit of every layer, and 40 gain less than 0.1 dB
MOST_PIXELS = 2**18  # of smaller crops, all together
MOST_PICTURES = MOST_PIXELS // SMALL_CROP_SIDE**2
LEAST_CROP_SIDE = 16
LEAST_PIXELS = 4096  # of reduced pictures
HELD_OUT = 8  # crops at most
WITH_TRUTH = 8  # crops at most: what they should become is 16 times as large, and takes the whole network to compare


class Crops(NamedTuple):
    """Squares cut from pictures: `low` (B, h, h, 3), what the network may be given, in random order, and pairs.

    `held_out`, (A, h, h, 3), are crops of the same kind that are not fitted to: none where there are few.
    Some crops are of reduced pictures, some of pictures as they are. `reduced` (M, h, h, 3) are a few of the former,
    with what they should become in `high` (M, scale h, scale h, 3). All float32, 0..1.
    """

    low: np.ndarray
    held_out: np.ndarray
    reduced: np.ndarray
    high: np.ndarray


class Calibration(NamedTuple):
    """Crops `low`, (B, h, h, 3) float32, and the metric M of every layer's output, (N, N) float64, by name."""

    low: np.ndarray
    metrics: Mapping[str, np.ndarray]


def calibrated(net: RRDBNet, low: np.ndarray, seed: int) -> Calibration:
    """Crops with the metrics of a dense network's layers on them; `seed` draws signs."""
    return Calibration(low, output_metrics(net, low, seed))


def read_pictures(folder: str | os.PathLike[str] = CALIBRATION) -> list[np.ndarray]:
    """The pictures in `folder` to calibrate with, (H, W, 3) float32: at most MOST_PICTURES, spread over the names.

    Raises InputError as `images_in` and `read_image` do.
    """
    paths = images_in(folder)
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_PICTURES)).round().astype(int)
    return [read_image(paths[i]).pixels for i in chosen]


def crops(pictures: Sequence[np.ndarray], scale: int, seed: int = 0) -> Crops:
    """Cut `pictures`, (H, W, 3) arrays of floats, 0..1, reduced and as they are, into crops of one size.

    People enlarge both: pictures that were reduced, sharp to the pixel, and pictures as a camera made them. Low
    resolution is `imresize(picture, 1 / scale)`, rounded to 8 bit, as `Pair.read_images` makes it. Crops are tiles of
    CROP_SIDE x CROP_SIDE pixels, of SMALL_CROP_SIDE where there are very many pictures, or of the smallest one's
    shorter side; each picture gives its share of MOST_CROPS, or of MOST_PIXELS, drawn by `seed`.

    Raises InputError for arrays that are no pictures and for pictures that are too small or too few.
    """
    for picture in pictures:
        if np.ndim(picture) != 3 or np.shape(picture)[2] != 3 or np.asarray(picture).dtype.kind != "f":
            raise InputError(f"calibration picture of shape {np.shape(picture)}: expected (H, W, 3) floats, 0..1")
    side = _side(pictures, scale)
    most = MOST_CROPS if side == CROP_SIDE else MOST_PIXELS // side**2
    rng, share = np.random.default_rng(seed), ceil_div(most + HELD_OUT, 2 * len(pictures))
    pairs, plain = [], []
    for picture in pictures:
        high = np.asarray(picture, np.float32)
        low = _to_8_bit(imresize(_whole(high, scale), 1 / scale))
        pairs += [(_cut(low, at, side, 1), _cut(high, at, side, scale)) for at in _tiles(low, side, share, rng)]
        plain += [_to_8_bit(_cut(high, at, side, 1)) for at in _tiles(high, side, share, rng)]
    if (count := len(pairs) * side**2) < LEAST_PIXELS:
        raise InputError(
            f"the calibration pictures have {count} pixels at low resolution: expected at least {LEAST_PIXELS}"
        )
    every = np.stack([*(low for low, _ in pairs), *plain])
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:WITH_TRUTH]]
    apart, drawn = min(HELD_OUT, len(every) // 8), rng.permutation(len(every))
    return Crops(
        every[drawn[apart : apart + most]],
        every[drawn[:apart]],
        np.stack([low for low, _ in chosen]),
        np.stack([high for _, high in chosen]),
    )


def _side(pictures: Sequence[np.ndarray], scale: int) -> int:
    """Of the crops; raises InputError for pictures that are too small."""
    largest = CROP_SIDE if len(pictures) <= 2 * MOST_CROPS else SMALL_CROP_SIDE
    shortest = min(min(picture.shape[:2]) for picture in pictures) // scale
    side = min(largest, shortest - shortest % 4)  # whole blocks for a network that unshuffles its input
    if side < LEAST_CROP_SIDE:
        raise InputError(
            f"a calibration picture is {shortest * scale} pixels high or wide: "
            f"expected at least {LEAST_CROP_SIDE * scale}"
        )
    return side


def _tiles(image: np.ndarray, side: int, share: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The corners of at most `share` of the picture's tiles."""
    rows, columns = (length // side for length in image.shape[:2])
    corners = [(side * row, side * column) for row in range(rows) for column in range(columns)]
    return [corners[i] for i in rng.permutation(len(corners))[:share]]


def _whole(image: np.ndarray, scale: int) -> np.ndarray:
    """The picture without what is no whole pixel at low resolution."""
    height, width = (length // scale * scale for length in image.shape[:2])
    return image[:height, :width]


def _to_8_bit(image: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.rint(255 * image.clip(0, 1)).astype(np.float32) / 255
    return rounded


def _cut(image: np.ndarray, corner: tuple[int, int], side: int, scale: int) -> np.ndarray:
    top, left = (scale * edge for edge in corner)
    return image[top : top + scale * side, left : left + scale * side]
