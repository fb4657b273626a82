"""The command `evaluate`: PSNR and SSIM of networks on pictures whose original is known, with bicubic beside them."""

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.sent_file import SentFile, received
from lowrank_sr.commands.options import (
    DATA_HELP,
    WEIGHTS_HELP,
    add_cluster,
    add_json,
    add_method,
    add_threads,
    given_path,
    load_network,
    network_name,
    open_pool,
    report,
)
from lowrank_sr.errors import InputError
from lowrank_sr.network.channels import check_channels
from lowrank_sr.network.enlarge import enlarge_in_tiles, plan_image
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.warm_up import warm_up
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.pairs import Pair, find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.pictures.resize import imresize
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

Row = dict[str, Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_method(parser)
    add_threads(parser)
    add_cluster(parser)
    parser.add_argument(
        "weights",
        nargs="*",
        type=given_path,
        metavar="WEIGHTS",
        help=WEIGHTS_HELP,
    )
    parser.add_argument("--data", type=given_path, metavar="FOLDER", help=DATA_HELP)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate the networks on the pictures."""
    paths: list[Path | None] = options.weights or [None]
    names = [network_name(path) for path in paths]
    if len(set(names)) < len(names):  # files of one name in several folders
        names = [str(path) for path in paths]
    networks = {name: load_network(path, options.method) for name, path in zip(names, paths, strict=True)}
    with open_pool(options) as pool:
        rows = evaluate(networks, options.data or IMAGES, pool)
    report(summary(rows), rows, options.json)


def evaluate(
    networks: Mapping[str, RRDBNet], folder: str | os.PathLike[str] = IMAGES, pool: Pool | None = None
) -> list[Row]:
    """Enlarge every picture in `folder` by bicubic and by each of `networks`, given by name; on the workers of `pool`.

    Returns
    -------
    list of rows
        `image`, `network`, `method`, `psnr_y`, `ssim_y` (dB and index on luma), `psnr_rgb`, `ssim_rgb` and `seconds`,
        where it was computed; after the pictures, for each network, the row of means, whose `image` is "mean".

    Raises
    ------
    InputError
        As `find_pairs`, `Pair.read_images` and `Pool.run` do, for a network that is not one for pictures, and where the
        networks enlarge by different scales.
    """
    scales = {net.scale for net in networks.values()}
    if len(scales) != 1:
        raise InputError(f"networks of scales {sorted(scales)}: expected one scale to compare at")
    (scale,) = scales
    for net in networks.values():
        check_channels(net.architecture)
    pairs = find_pairs(folder)
    for pair in pairs:
        pair.read_images(scale)  # a picture that cannot be used is refused before the first is enlarged

    contestants: dict[str, RRDBNet | None] = {"bicubic": None, **networks}
    measures = _measured_here if pool is None else partial(_measured_by, pool)
    results: dict[tuple[int, str], dict[str, float]] = {}
    with progress(len(pairs) * len(contestants), "evaluate", "image") as bar:
        for number, name, measured in measures(contestants, pairs, scale):
            results[number, name] = measured
            bar.update()
    rows = [
        {"image": pair.name, "network": name, "method": net and net.method, **results[number, name]}
        for number, pair in enumerate(pairs)
        for name, net in contestants.items()
    ]
    return [*rows, *_means(rows)]


def _measured_here(
    contestants: Mapping[str, RRDBNet | None], pairs: list[Pair], scale: int
) -> Iterator[tuple[int, str, dict[str, float]]]:
    """The number of a pair, the name of a contestant, and its MEASURES there."""
    for net in contestants.values():
        if net is not None:
            warm_up(net)
    for number, pair in enumerate(pairs):
        low, high = pair.read_images(scale)
        for name, net in contestants.items():
            yield number, name, _measure(net, low, high, scale)


def _measured_by(
    pool: Pool, contestants: Mapping[str, RRDBNet | None], pairs: list[Pair], scale: int
) -> Iterator[tuple[int, str, dict[str, float]]]:
    """The same, in the order in which the workers of `pool` are done with each."""
    sent = {name: net and pool.send(net) for name, net in contestants.items()}
    calls = (
        ((number, name), (net, pair.name, _sent_files(pair, pool.shared_files), scale))
        for number, pair in enumerate(pairs)
        for name, net in sent.items()
    )
    for (number, name), measured in pool.run(
        _measure_sent, calls, lambda label: f"{pairs[label[0]].high} by {label[1]}"
    ):
        if isinstance(measured, InputError):
            raise measured
        yield number, name, measured


def _sent_files(pair: Pair, shared: bool) -> list[SentFile]:
    return [SentFile.of(path, shared) for path in (pair.high, pair.low) if path is not None]


def _measure_sent(net: RRDBNet | None, name: str, files: list[SentFile], scale: int) -> dict[str, float]:
    if net is not None:
        warm_up(net)
    with received(*files) as (high, *low):
        return _measure(net, *Pair(name, high, low[0] if low else None).read_images(scale), scale)


def _measure(net: RRDBNet | None, low: Image, high: Image, scale: int) -> dict[str, float]:
    """MEASURES of `low` enlarged by `net`, or by bicubic."""
    run = partial(imresize, low.pixels, scale)
    if net is not None:  # planned before the clock starts: the overlap of tiles may have to be measured first
        run = partial(enlarge_in_tiles, net, low.pixels, plan_image(net, low.pixels))
    start = time.perf_counter()
    estimate = run()
    seconds = time.perf_counter() - start
    return {**measure_quality(estimate, high, scale), "seconds": seconds}


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
