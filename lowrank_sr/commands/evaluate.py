"""The command `evaluate`: how good pictures of networks are whose original is known, with bicubic beside them.

PSNR and SSIM to the original, and NIQE, which needs none. With a reference network also their fidelity: PSNR and SSIM
between their pictures and the reference's own.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.sent_file import SentFile, received
from lowrank_sr.commands.options import (
    DATA_HELP,
    NETWORK_HELP,
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
from lowrank_sr.pictures.quality import mean_of_known, measure_fidelity, measure_naturalness, measure_quality
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import progress, table

# The numbers of a row, with the table's header and format.
MEASURES = {
    "psnr_y": ("PSNR Y (dB)", "{:.2f}"),
    "ssim_y": ("SSIM Y", "{:.4f}"),
    "psnr_rgb": ("PSNR RGB (dB)", "{:.2f}"),
    "ssim_rgb": ("SSIM RGB", "{:.4f}"),
    "niqe": ("NIQE", "{:.2f}"),
    "seconds": ("seconds", "{:.3f}"),
}
# Those of a row where there is a reference.
FIDELITIES = {
    "fidelity": ("fidelity (dB)", "{:.2f}"),
    "fidelity_ssim": ("fidelity SSIM", "{:.4f}"),
}

Row = dict[str, Any]
Measured = dict[str, float | None]


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
    parser.add_argument(
        "--reference",
        type=given_path,
        metavar="NETWORK",
        help=f"measure fidelity, too, to the pictures of this network: {NETWORK_HELP}",
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
    reference = options.reference and load_network(options.reference, options.method)
    with open_pool(options) as pool:
        rows = evaluate(networks, options.data or IMAGES, pool, reference)
    report(summary(rows), rows, options.json)


def evaluate(
    networks: Mapping[str, RRDBNet],
    folder: str | os.PathLike[str] = IMAGES,
    pool: Pool | None = None,
    reference: RRDBNet | None = None,
) -> list[Row]:
    """Enlarge every picture in `folder` by bicubic and by each of `networks`, given by name; on the workers of `pool`.

    Returns
    -------
    list of rows
        `image`, `network`, `method`, `psnr_y`, `ssim_y` (dB and index on luma), `psnr_rgb`, `ssim_rgb`, `niqe` (less
        is more natural; None for a picture that is too small) and `seconds`, where it was computed; with a `reference`
        `fidelity` and `fidelity_ssim` to its pictures. After the pictures, for each network, the row of means, whose
        `image` is "mean".

    Raises
    ------
    InputError
        As `find_pairs`, `Pair.read_images` and `Pool.run` do, for a network that is not one for pictures, and where the
        networks or the reference enlarge by different scales.
    """
    scales = {net.scale for net in networks.values()}
    if len(scales) != 1:
        raise InputError(f"networks of scales {sorted(scales)}: expected one scale to compare at")
    (scale,) = scales
    if reference is not None and reference.scale != scale:
        raise InputError(f"a reference of scale {reference.scale}: expected {scale}, that of the networks")
    for net in (*networks.values(), *([] if reference is None else [reference])):
        check_channels(net.architecture)
    pairs = find_pairs(folder)
    for pair in pairs:
        pair.read_images(scale)  # a picture that cannot be used is refused before the first is enlarged

    contestants: dict[str, RRDBNet | None] = {"bicubic": None, **networks}
    measures = _measured_here if pool is None else partial(_measured_by, pool)
    results: dict[tuple[int, str], Measured] = {}
    with progress(len(pairs) * len(contestants), "evaluate", "image") as bar:
        for number, name, measured in measures(contestants, reference, pairs, scale):
            results[number, name] = measured
            bar.update()
    rows = [
        {"image": pair.name, "network": name, "method": net and net.method, **results[number, name]}
        for number, pair in enumerate(pairs)
        for name, net in contestants.items()
    ]
    return [*rows, *_means(rows)]


def _measured_here(
    contestants: Mapping[str, RRDBNet | None], reference: RRDBNet | None, pairs: list[Pair], scale: int
) -> Iterator[tuple[int, str, Measured]]:
    """The number of a pair, the name of a contestant, and its MEASURES there, with a reference its FIDELITIES."""
    _warm_up(contestants.values())
    for number, pair in enumerate(pairs):
        low, high = pair.read_images(scale)
        target = None if reference is None else _runner(reference, low, scale)()
        for name, net in contestants.items():
            yield number, name, _measure(net, low, high, scale, target)


def _warm_up(networks: Iterable[RRDBNet | None]) -> None:
    for net in networks:
        if net is not None:
            warm_up(net)


def _measured_by(
    pool: Pool, contestants: Mapping[str, RRDBNet | None], reference: RRDBNet | None, pairs: list[Pair], scale: int
) -> Iterator[tuple[int, str, Measured]]:
    """The same, in the order in which the workers of `pool` are done with each.

    A task is a picture by one contestant, with a reference by all, so that the reference's is computed once.
    """
    sent = {name: net and pool.send(net) for name, net in contestants.items()}
    judge = reference and pool.send(reference)
    groups = [(name,) for name in sent] if reference is None else [tuple(sent)]
    calls = (
        ((number, names), ([sent[name] for name in names], judge, pair.name, files, scale))
        for number, pair in enumerate(pairs)
        for files in [_sent_files(pair, pool.shared_files)]
        for names in groups
    )
    for (number, names), measured in pool.run(
        _measure_sent, calls, lambda label: f"{pairs[label[0]].high} by {', '.join(label[1])}"
    ):
        if isinstance(measured, InputError):
            raise measured
        for name, measures in zip(names, measured, strict=True):
            yield number, name, measures


def _sent_files(pair: Pair, shared: bool) -> list[SentFile]:
    return [SentFile.of(path, shared) for path in (pair.high, pair.low) if path is not None]


def _measure_sent(
    networks: list[RRDBNet | None], reference: RRDBNet | None, name: str, files: list[SentFile], scale: int
) -> list[Measured]:
    _warm_up(networks)
    with received(*files) as (high, *low):
        pair = Pair(name, high, low[0] if low else None)
        images = pair.read_images(scale)
    target = None if reference is None else _runner(reference, images[0], scale)()
    return [_measure(net, *images, scale, target) for net in networks]


def _measure(net: RRDBNet | None, low: Image, high: Image, scale: int, target: np.ndarray | None = None) -> Measured:
    """MEASURES of `low` enlarged by `net`, or by bicubic; FIDELITIES to the reference's picture, `target`."""
    run = _runner(net, low, scale)
    start = time.perf_counter()
    estimate = run()
    seconds = time.perf_counter() - start
    fidelities = {} if target is None else measure_fidelity(estimate, target)
    quality, naturalness = measure_quality(estimate, high, scale), measure_naturalness(estimate, high.grey, scale)
    return {**quality, **naturalness, "seconds": seconds, **fidelities}


def _runner(net: RRDBNet | None, low: Image, scale: int) -> Callable[[], np.ndarray]:
    """What enlarges `low` by `net`, or by bicubic, once the overlap of tiles, where there are any, is measured."""
    if net is None:
        return partial(imresize, low.pixels, scale)
    return partial(enlarge_in_tiles, net, low.pixels, plan_image(net, low.pixels))


def _means(rows: list[Row]) -> Iterator[Row]:
    for network, method in dict.fromkeys((row["network"], row["method"]) for row in rows):
        group = [row for row in rows if row["network"] == network and row["method"] == method]
        means = {key: mean_of_known(row[key] for row in group) for key in _measures_of(rows)}
        yield {"image": "mean", "network": network, "method": method, **means}


def _measures_of(rows: list[Row]) -> dict[str, tuple[str, str]]:
    return MEASURES | (FIDELITIES if "fidelity" in rows[0] else {})


def summary(rows: list[Row]) -> str:
    """The rows as a table of text."""
    measures = _measures_of(rows)
    header = ["image", "network", "method", *(title for title, _ in measures.values())]
    cells = (
        [
            row["image"],
            row["network"],
            row["method"] or "-",
            *("-" if row[key] is None else template.format(row[key]) for key, (_, template) in measures.items()),
        ]
        for row in rows
    )
    return table(header, cells)
