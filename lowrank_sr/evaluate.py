"""PSNR and SSIM of networks on pictures whose high-resolution original is known, with bicubic for orientation."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lowrank_sr import images
from lowrank_sr.errors import InputError
from lowrank_sr.images import Image
from lowrank_sr.imresize import imresize
from lowrank_sr.metrics import psnr, ssim
from lowrank_sr.resources import IMAGES
from lowrank_sr.rrdbnet import RRDBNet
from lowrank_sr.text import progress, table
from lowrank_sr.upscale import upscale

MEASURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "seconds")


class Pair(NamedTuple):
    """A picture by name: the file of its high resolution and that of its low one, None where it is to be made."""

    name: str
    high: Path
    low: Path | None

    def read(self, scale: int) -> tuple[Image, Image]:
        """Low and high resolution.

        Without a file of its own the low resolution is `imresize(picture, 1 / scale)`, rounded to 8 bit, of the picture
        cropped to whole multiples of `scale`.

        Raises InputError as `images.read` does, and for sizes that do not fit.
        """
        high = images.read(self.high)
        if self.low is None:
            return _reduced(high, scale, self.high)
        low = images.read(self.low)
        size = tuple(scale * side for side in low.pixels.shape[:2])
        if high.pixels.shape[:2] != size:
            raise InputError(f"{self.high}: {high.pixels.shape[:2]} pixels: expected {scale} times its LR, {size}")
        return low, high


def pairs(folder: str | os.PathLike) -> list[Pair]:
    """The pictures in `folder`: files NAME_LR and NAME_HR where there are such; otherwise each is a high resolution.

    Raises InputError for a folder without pictures, and for a pair that lacks one.
    """
    paths = images.images_in(folder)
    by_stem = {path.stem: path for path in paths}
    if not any(stem.endswith("_HR") for stem in by_stem):
        return [Pair(path.stem, path, None) for path in paths]
    found = []
    for stem, path in by_stem.items():
        name, _, kind = stem.rpartition("_")
        if kind not in ("HR", "LR") or {f"{name}_HR", f"{name}_LR"} - by_stem.keys():
            raise InputError(f"{path}: expected pairs NAME_HR, NAME_LR in {folder}")
        if kind == "HR":
            found.append(Pair(name, path, by_stem[f"{name}_LR"]))
    return found


def _reduced(high: Image, scale: int, path: Path) -> tuple[Image, Image]:
    height, width = (side - side % scale for side in high.pixels.shape[:2])
    if not height or not width:
        raise InputError(f"{path}: {high.pixels.shape[:2]} pixels: expected at least {scale} a side")
    cropped = high.pixels[:height, :width]
    low = np.rint(255 * imresize(cropped, 1 / scale).clip(0, 1)).astype(np.float32) / 255
    return Image(low, grey=high.grey), Image(cropped, grey=high.grey)


def measure(estimate: Image, truth: Image, scale: int) -> dict[str, float]:
    """PSNR and SSIM on luma and on RGB, `scale` pixels cut from each border; greyscale pictures as they are."""
    if truth.grey:
        a, b = estimate.pixels.mean(axis=2), truth.pixels.mean(axis=2)
    else:
        a, b = estimate.pixels, truth.pixels
    return {
        "psnr_y": psnr(a, b, crop=scale, channels="y"),
        "ssim_y": ssim(a, b, crop=scale, channels="y"),
        "psnr_rgb": psnr(a, b, crop=scale, channels="rgb"),
        "ssim_rgb": ssim(a, b, crop=scale, channels="rgb"),
    }


def evaluate(networks: Mapping[str, RRDBNet], folder: str | os.PathLike = IMAGES) -> list[dict]:
    """Enlarge every picture in `folder` by bicubic and by each of `networks`, given by name.

    Returns
    -------
    list of rows
        `image`, `network`, `method`, `psnr_y`, `ssim_y` (dB and index on luma), `psnr_rgb`, `ssim_rgb` and `seconds`;
        after the pictures, for each network, the row of means, whose `image` is "mean".

    Raises
    ------
    InputError
        As `pairs` and `Pair.read` do, and where the networks enlarge by different scales.
    """
    scales = {net.scale for net in networks.values()}
    if len(scales) != 1:
        raise InputError(f"networks of scales {sorted(scales)}: expected one scale to compare at")
    (scale,) = scales
    contestants: list[tuple[str, str | None, Callable[[Image], Image]]] = [
        ("bicubic", None, lambda low: bicubic(low, scale))
    ]
    contestants += [(name, net.method, lambda low, net=net: upscale(net, low)) for name, net in networks.items()]
    pictures = pairs(folder)
    for pair in pictures:
        pair.read(scale)  # one that cannot be used is found before the first is enlarged
    for net in networks.values():  # compile, choose methods and prepare kernels before anything is timed
        upscale(net, Image(np.zeros((8, 8, 3), np.float32)))
    rows = []
    with progress(len(pictures) * len(contestants), "evaluate", "image") as bar:
        for pair in pictures:
            low, high = pair.read(scale)
            for network, method, enlarge in contestants:
                start = time.perf_counter()
                estimate = enlarge(low)
                seconds = time.perf_counter() - start
                row = {"image": pair.name, "network": network, "method": method}
                rows.append({**row, **measure(estimate, high, scale), "seconds": seconds})
                bar.update()
    return rows + list(_means(rows))


def bicubic(low: Image, scale: int) -> Image:
    """`low` enlarged by bicubic interpolation."""
    return Image(imresize(low.pixels, scale), grey=low.grey)


def _means(rows: list[dict]) -> Iterator[dict]:
    for network, method in dict.fromkeys((row["network"], row["method"]) for row in rows):
        own = [row for row in rows if row["network"] == network and row["method"] == method]
        means = {key: math.fsum(row[key] for row in own) / len(own) for key in MEASURES}
        yield {"image": "mean", "network": network, "method": method, **means}


def summary(rows: list[dict]) -> str:
    """The rows as a table of text."""
    formats = {
        "psnr_y": "{:.2f}",
        "ssim_y": "{:.4f}",
        "psnr_rgb": "{:.2f}",
        "ssim_rgb": "{:.4f}",
        "seconds": "{:.3f}",
    }
    header = ["image", "network", "method", "PSNR Y (dB)", "SSIM Y", "PSNR RGB (dB)", "SSIM RGB", "seconds"]
    cells = (
        [
            row["image"],
            row["network"],
            row["method"] or "-",
            *(formats[key].format(row[key]) for key in MEASURES),
        ]
        for row in rows
    )
    return table(header, cells)
