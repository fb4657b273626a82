"""The command `evaluate`: PSNR and SSIM of networks on pictures whose original is known, with bicubic beside them."""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.commands.options import (
    DATA_HELP,
    Subparsers,
    add_command,
    add_json,
    add_method,
    add_threads,
    load_network,
    network_name,
    report,
)
from lowrank_sr.commands.upscale_file import check_rgb
from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image, enlarge
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import enlarge_bicubic, measure_quality
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import progress, table

# The numbers of a row, with the table's header and format.
MEASURES = {
    "psnr_y": ("PSNR Y (dB)", "{:.2f}"),
    "ssim_y": ("SSIM Y", "{:.4f}"),
    "psnr_rgb": ("PSNR RGB (dB)", "{:.2f}"),
    "ssim_rgb": ("SSIM RGB", "{:.4f}"),
    "seconds": ("seconds", "{:.3f}"),
}
_WARM_UP_SIDE = 8  # pixels of the picture that every network enlarges before any is timed

Row = dict[str, Any]


class _Contestant(NamedTuple):
    network: str
    method: str | None
    enlarge: Callable[[Image], Image]


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    text = "Print PSNR and SSIM of networks on pictures, with bicubic for orientation."
    parser = add_command(subparsers, "evaluate", run, text)
    add_method(parser)
    add_threads(parser)
    parser.add_argument(
        "weights",
        nargs="*",
        type=Path,
        metavar="WEIGHTS",
        help="weights files or checkpoints (default: the bundled network)",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help=DATA_HELP)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate the networks on the pictures."""
    paths: list[Path | None] = options.weights or [None]
    names = [network_name(path) for path in paths]
    if len(set(names)) < len(names):  # files of one name in several folders
        names = [str(path) for path in paths]
    networks = {name: load_network(path, options.method) for name, path in zip(names, paths, strict=True)}
    rows = evaluate(networks, options.data or IMAGES)
    report(summary(rows), rows, options.json)


def evaluate(networks: Mapping[str, RRDBNet], folder: str | os.PathLike[str] = IMAGES) -> list[Row]:
    """Enlarge every picture in `folder` by bicubic and by each of `networks`, given by name.

    Returns
    -------
    list of rows
        `image`, `network`, `method`, `psnr_y`, `ssim_y` (dB and index on luma), `psnr_rgb`, `ssim_rgb` and `seconds`;
        after the pictures, for each network, the row of means, whose `image` is "mean".

    Raises
    ------
    InputError
        As `find_pairs` and `Pair.read_images` do, for a network that does not take RGB, and where the networks enlarge
        by different scales.
    """
    scales = {net.scale for net in networks.values()}
    if len(scales) != 1:
        raise InputError(f"networks of scales {sorted(scales)}: expected one scale to compare at")
    (scale,) = scales
    for net in networks.values():
        check_rgb(net)
    pairs = find_pairs(folder)
    for pair in pairs:
        pair.read_images(scale)  # a picture that cannot be used is refused before the first is enlarged
    for net in networks.values():  # compile, choose methods and prepare kernels before anything is timed
        net(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.float32))

    contestants = [_Contestant("bicubic", None, partial(enlarge_bicubic, scale=scale))]
    contestants += [_Contestant(name, net.method, partial(enlarge, network=net)) for name, net in networks.items()]
    rows: list[Row] = []
    with progress(len(pairs) * len(contestants), "evaluate", "image") as bar:
        for pair in pairs:
            low, high = pair.read_images(scale)
            for contestant in contestants:
                start = time.perf_counter()
                estimate = contestant.enlarge(low)
                seconds = time.perf_counter() - start
                row = {"image": pair.name, "network": contestant.network, "method": contestant.method}
                rows.append({**row, **measure_quality(estimate, high, scale), "seconds": seconds})
                bar.update()
    return [*rows, *_means(rows)]


def _means(rows: list[Row]) -> Iterator[Row]:
    for network, method in dict.fromkeys((row["network"], row["method"]) for row in rows):
        group = [row for row in rows if row["network"] == network and row["method"] == method]
        means = {key: math.fsum(row[key] for row in group) / len(group) for key in MEASURES}
        yield {"image": "mean", "network": network, "method": method, **means}


def summary(rows: list[Row]) -> str:
    """The rows as a table of text."""
    header = ["image", "network", "method", *(title for title, _ in MEASURES.values())]
    cells = (
        [
            row["image"],
            row["network"],
            row["method"] or "-",
            *(template.format(row[key]) for key, (_, template) in MEASURES.items()),
        ]
        for row in rows
    )
    return table(header, cells)
