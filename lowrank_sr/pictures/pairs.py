"""Pictures at high and at low resolution, to measure an enlargement by."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.machine.rounding import round_up
from lowrank_sr.pictures.images import Image, images_in, read_image
from lowrank_sr.pictures.metrics import SSIM_WINDOW
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

        Raises InputError as `read_image` does, and for sizes that do not fit, or that `measure_quality` has no use for.
        """
        high = read_image(self.high)
        height, width = high.pixels.shape[:2]
        least = round_up(2 * scale + SSIM_WINDOW, scale)
        if min(height, width) < least:
            raise InputError(f"{self.high}: {width} x {height} pixels: expected at least {least} a side")
        if self.low is None:
            return _reduced(high, scale)
        low = read_image(self.low)
        size = tuple(scale * side for side in low.pixels.shape[:2])
        if high.pixels.shape[:2] != size:
            raise InputError(f"{self.high}: {high.pixels.shape[:2]} pixels: expected {scale} times its LR, {size}")
        return low, high


def find_pairs(folder: str | os.PathLike[str]) -> list[Pair]:
    """The pictures in `folder`: files NAME_LR and NAME_HR where there are such; otherwise each is a high resolution.

    A name has no suffix, but for a folder with files, as a.png and a.jpg, that differ in nothing else.

    Raises InputError for a folder without pictures, and for a pair that lacks one or has several.
    """
    paths = images_in(folder)
    by_stem: dict[str, Path] = {}
    same = [(by_stem[path.stem], path) for path in paths if by_stem.setdefault(path.stem, path) != path]
    if not any(stem.endswith("_HR") for stem in by_stem):
        return [Pair(path.name if same else path.stem, path, None) for path in paths]
    if same:
        first, second = same[0]
        raise InputError(f"{second}: {first.name} is there, too: expected one file of a name")
    pairs = []
    for stem, path in by_stem.items():
        name, _, kind = stem.rpartition("_")
        if kind not in ("HR", "LR") or {f"{name}_HR", f"{name}_LR"} - by_stem.keys():
            raise InputError(f"{path}: expected pairs NAME_HR, NAME_LR in {folder}")
        if kind == "HR":
            pairs.append(Pair(name, path, by_stem[f"{name}_LR"]))
    return pairs


def _reduced(high: Image, scale: int) -> tuple[Image, Image]:
    height, width = (side - side % scale for side in high.pixels.shape[:2])
    cropped = high.pixels[:height, :width]
    low = np.rint(255 * imresize(cropped, 1 / scale).clip(0, 1)).astype(np.float32) / 255
    return Image(low, grey=high.grey), Image(cropped, grey=high.grey)
