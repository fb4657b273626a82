"""Calibration pictures as crops: what the network is shown while its layers are fitted, and the truth beside it."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import CALIBRATION

CROP_SIDE = 64  # of a crop, in pixels of low resolution
MOST_CROPS = 8  # at most: 32,768 pixels, and 1 GB for the tail's feature maps of both networks
LEAST_CROP_SIDE = 16
LEAST_PIXELS = 4096


class Crops(NamedTuple):
    """Squares cut from the pictures: `low` (B, h, h, 3) and `high` (B, scale h, scale h, 3), float32, 0..1."""

    low: np.ndarray
    high: np.ndarray


def read_pictures(folder: str | os.PathLike[str] = CALIBRATION) -> list[np.ndarray]:
    """The pictures in `folder` to calibrate with: at most MOST_CROPS, spread evenly over the names, (H, W, 3) float32.

    Raises InputError as `images_in` and `read_image` do.
    """
    paths = images_in(folder)
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_CROPS)).round().astype(int)
    return [read_image(paths[i]).pixels for i in chosen]


def crops(pictures: Sequence[np.ndarray], scale: int, seed: int = 0) -> Crops:
    """Cut `pictures`, (H, W, 3) arrays of floats, 0..1, and their low resolution into crops of one size.

    Low resolution is `imresize(picture, 1 / scale)`, rounded to 8 bit, as `Pair.read_images` makes it. Every picture
    gives its tiles of CROP_SIDE x CROP_SIDE pixels, or of the smallest picture's shorter side; where that is too many,
    each picture gives its share, drawn by `seed`.

    Raises InputError for arrays that are no pictures and for pictures that are too small or too few.
    """
    for picture in pictures:
        if np.ndim(picture) != 3 or np.shape(picture)[2] != 3 or np.asarray(picture).dtype.kind != "f":
            raise InputError(f"calibration picture of shape {np.shape(picture)}: expected (H, W, 3) floats, 0..1")
    shortest = min(min(picture.shape[:2]) for picture in pictures) // scale
    side = min(CROP_SIDE, shortest - shortest % 4)  # whole blocks for a network that unshuffles its input
    if side < LEAST_CROP_SIDE:
        raise InputError(
            f"a calibration picture is {shortest * scale} pixels high or wide: "
            f"expected at least {LEAST_CROP_SIDE * scale}"
        )
    rng, share = np.random.default_rng(seed), ceil_div(MOST_CROPS, len(pictures))
    pairs = [pair for picture in pictures[:MOST_CROPS] for pair in _tiles(np.asarray(picture), scale, side, share, rng)]
    if len(pairs) * side**2 < LEAST_PIXELS:
        raise InputError(
            f"the calibration pictures have {len(pairs) * side**2} pixels at low resolution: "
            f"expected at least {LEAST_PIXELS}"
        )
    return Crops(*(np.stack(maps) for maps in zip(*pairs[:MOST_CROPS], strict=True)))


def _tiles(
    picture: np.ndarray, scale: int, side: int, share: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """At most `share` of the picture's tiles, low and high resolution."""
    rows, columns = (length // (scale * side) for length in picture.shape[:2])
    high = picture[: rows * side * scale, : columns * side * scale].astype(np.float32)
    low = np.rint(255 * imresize(high, 1 / scale).clip(0, 1)).astype(np.float32) / 255
    corners = [(side * row, side * column) for row in range(rows) for column in range(columns)]
    chosen = sorted(rng.permutation(len(corners))[:share])
    return [(_cut(low, corners[i], side, 1), _cut(high, corners[i], side, scale)) for i in chosen]


def _cut(image: np.ndarray, corner: tuple[int, int], side: int, scale: int) -> np.ndarray:
    top, left = (scale * edge for edge in corner)
    return image[top : top + scale * side, left : left + scale * side]
