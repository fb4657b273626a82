"""PSNR and SSIM of networks on pictures whose high-resolution original is known, with bicubic for orientation."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.picture import upscale
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.pairs import pairs
from lowrank_sr.pictures.quality import bicubic, measure
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import progress, table

MEASURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "seconds")


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
