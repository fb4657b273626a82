"""Pictures at high and at low resolution, to measure an enlargement by."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.images import Image, images_in, read_image
from lowrank_sr.pictures.resize import imresize


class Pair(NamedTuple):
    """A picture by name: the file of its high resolution and that of its low one, None where it is to be made."""

    name: str
    high: Path
    low: Path | None

    def read_images(self, scale: int) -> tuple[Image, Image]:
        """The picture at low and at high resolution, (H, W) and (scale H, scale W) pixels.

        Where there is no file of the low resolution, it is `imresize(picture, 1 / scale)`, rounded to 8 bit, of the
        picture cropped to whole multiples of `scale`.

        Raises InputError as `read_image` does, and for sizes that do not fit.
        """
        high = read_image(self.high)
        if self.low is None:
            return _reduced(high, scale, self.high)
        low = read_image(self.low)
        size = tuple(scale * side for side in low.pixels.shape[:2])
        if high.pixels.shape[:2] != size:
            raise InputError(f"{self.high}: {high.pixels.shape[:2]} pixels: expected {scale} times its LR, {size}")
        return low, high


def find_pairs(folder: str | os.PathLike[str]) -> list[Pair]:
    """The pictures in `folder`: files NAME_LR and NAME_HR where there are such; otherwise each is a high resolution.

    Raises InputError for a folder without pictures, and for a pair that lacks one.
    """
    paths = images_in(folder)
    by_stem = {path.stem: path for path in paths}
    if not any(stem.endswith("_HR") for stem in by_stem):
        return [Pair(path.stem, path, None) for path in paths]
    pairs = []
    for stem, path in by_stem.items():
        name, _, kind = stem.rpartition("_")
        if kind not in ("HR", "LR") or {f"{name}_HR", f"{name}_LR"} - by_stem.keys():
            raise InputError(f"{path}: expected pairs NAME_HR, NAME_LR in {folder}")
        if kind == "HR":
            pairs.append(Pair(name, path, by_stem[f"{name}_LR"]))
    return pairs


def _reduced(high: Image, scale: int, path: Path) -> tuple[Image, Image]:
    height, width = (side - side % scale for side in high.pixels.shape[:2])
    if not height or not width:
        raise InputError(f"{path}: {high.pixels.shape[:2]} pixels: expected at least {scale} a side")
    cropped = high.pixels[:height, :width]
    low = np.rint(255 * imresize(cropped, 1 / scale).clip(0, 1)).astype(np.float32) / 255
    return Image(low, grey=high.grey), Image(cropped, grey=high.grey)
