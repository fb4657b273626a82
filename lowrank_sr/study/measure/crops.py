"""Figure 4: the detail in which the techniques differ most, as each enlarges it; and what the tail does there."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.pictures.metrics import fidelity, psnr, ssim
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.study.measure import ablation, networks, sweeps
from lowrank_sr.study.measure.quality import matched
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import (
    ALL,
    BIAS,
    BLOCKS,
    DIRECT,
    FITTED,
    KERNEL,
    REFERENCE,
    SVD_KERNEL,
    UNIFORM,
    WINOGRAD,
    Technique,
)

DETAIL_SIDE = 128  # in pixels of the high resolution
BICUBIC, LOW_RESOLUTION, GROUND_TRUTH = "bicubic", "low resolution", "ground truth"  # panels that are no technique's


@dataclass(frozen=True)
class Panel:
    """The detail as a PNG file, and the file's digest; low resolution and ground truth have no PSNR and SSIM."""

    name: str
    file: str
    digest: str
    psnr_rgb: float | None = None
    ssim_rgb: float | None = None


@dataclass(frozen=True)
class Crop:
    """Where the detail is, in pixels of the high resolution, and a panel for each technique.

    `tail` shows the same detail with single layers outside the dense blocks factorised, with all of them, and with
    what mends it; `sweep` the networks of the sweep of speed-ups, named by technique and speed-up, "svd fitted/3".
    """

    picture: str
    top: int
    left: int
    side: int
    panels: tuple[Panel, ...]
    tail: tuple[Panel, ...] = ()
    sweep: tuple[Panel, ...] = ()


class Square(NamedTuple):
    """A square by how much estimates differ in it, and its place in pixels."""

    difference: float
    top: int
    left: int
    side: int


def crop(study: Study) -> Crop:
    """Write the detail as PNG files into crops/; return where it is and how close each technique comes there."""
    compared = {each.name: networks.network(study, each).with_method(WINOGRAD) for each in shown(study)}
    scale = study.net.scale
    best, place, panels = None, 0, {}
    for i, (_, low, high) in enumerate(study.pictures):
        estimates = {BICUBIC: imresize(low.pixels, scale)}
        estimates |= {name: net(low.pixels) for name, net in compared.items()}
        square = most_different(_sound(estimates), scale)
        if best is None or square.difference > best.difference:
            magnified = low.pixels.repeat(scale, 0).repeat(scale, 1)
            best, place = square, i
            panels = {LOW_RESOLUTION: magnified, GROUND_TRUTH: high.pixels} | estimates
    assert best is not None, "a study has at least one picture"
    name, low, high = study.pictures[place]
    groups = {"panels": panels, "tail": _tail(study, low), "sweep": _sweep(study, low)}
    written = {group: _write(study, some, high.pixels, best, group) for group, some in groups.items()}
    return Crop(name, best.top, best.left, best.side, **written)


def shown(study: Study) -> list[Technique]:
    """The techniques of Figure 4: another method gives the same picture, so direct convolution stands for all."""
    return [technique for technique in study.techniques if technique.method == DIRECT]


def _tail(study: Study, low: Image) -> dict[str, np.ndarray]:
    """The enlargements of `low` that show what the layers outside the dense blocks do, by what was done to them."""
    if "svd" not in study.forms or "svd" not in study.extent.ablated:
        return {}
    outside = [name for name in ablation.layers_alone(study) if not name.startswith(networks.DENSE_BLOCKS)]
    estimates = {f"{name} alone": ablation.layer_alone(study, name)[0](low.pixels) for name in outside}
    every = networks.network(study, SVD_KERNEL).with_method(WINOGRAD)(low.pixels)
    estimates["all layers"] = every
    estimates["all layers, colours matched"] = matched(every, study.net.with_method(WINOGRAD)(low.pixels))
    mended = {
        "all layers, bias fitted": (UNIFORM, ALL, BIAS),
        "dense blocks alone": (UNIFORM, BLOCKS, KERNEL),
        "all layers, fitted": (UNIFORM, ALL, FITTED),
    }
    for label, combination in ((label, each) for label, each in mended.items() if each in study.extent.combinations):
        estimates[label] = ablation.combination(study, "svd", *combination)(low.pixels)
    return estimates


def _sweep(study: Study, low: Image) -> dict[str, np.ndarray]:
    """The enlargements of `low` by the networks of the sweep of speed-ups, but for those of Figure 4."""
    others = [(each, at) for each, at in sweeps.speedups(study) if at != networks.TABLE1_SPEEDUP or each.layers != ALL]
    estimates = {}
    for technique, speedup in others:
        with suppress(InputError):  # no network is so cheap
            net = sweeps.compressed(study, technique, speedup).with_method(WINOGRAD)
            estimates[f"{technique.name}/{speedup:g}"] = net(low.pixels)
    return estimates


def _sound(estimates: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The estimates no farther from the dense network's than bicubic is: what is wrong everywhere tells no place."""
    dense = estimates[REFERENCE.name].clip(0, 1)
    least = fidelity(estimates[BICUBIC].clip(0, 1), dense)
    return [pixels for pixels in estimates.values() if fidelity(pixels.clip(0, 1), dense) >= least]


def _write(
    study: Study, pictures: dict[str, np.ndarray], truth: np.ndarray, square: Square, group: str
) -> tuple[Panel, ...]:
    """Write a PNG file of the square in each of `pictures`, (H, W, 3), into crops/."""
    (study.folder / "crops").mkdir(exist_ok=True)
    prefix = "tail-" if group == "tail" else ""
    window = slice(square.top, square.top + square.side), slice(square.left, square.left + square.side)
    panels = []
    for name, picture in pictures.items():
        detail = np.ascontiguousarray(picture[window].clip(0, 1), np.float32)
        file = f"crops/{prefix}{name.replace(',', '').replace(' ', '-').replace('/', '-')}.png"
        write_image(study.folder / file, Image(detail))
        near: tuple[float, ...] = ()
        if name not in (LOW_RESOLUTION, GROUND_TRUTH):
            near = tuple(measure(detail, truth[window], channels="rgb") for measure in (psnr, ssim))
        panels.append(Panel(name, file, file_digest(study.folder / file), *near))
    return tuple(panels)


def file_digest(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def changed(crop: Crop, folder: Path) -> str | None:
    """The first file of the details that is not in `folder` as it was written, None where all are."""
    for panel in (*crop.panels, *crop.tail, *crop.sweep):
        if not (folder / panel.file).is_file() or file_digest(folder / panel.file) != panel.digest:
            return panel.file
    return None


def most_different(estimates: list[np.ndarray], border: int) -> Square:
    """The square, `border` pixels inside, in which enlargements, (H, W, 3), are farthest from their median."""
    stack = np.stack([estimate.clip(0, 1).mean(axis=2) for estimate in estimates])
    spread = np.abs(stack - np.median(stack, axis=0)).mean(axis=0)
    height, width = spread.shape
    side = max(1, min(DETAIL_SIDE, height - 2 * border, width - 2 * border))
    means = uniform_filter(spread, side, mode="constant")
    first = border + side // 2  # the filter gives a square's mean at its pixel (side // 2, side // 2)
    inner = means[first : height - border - side + side // 2 + 1, first : width - border - side + side // 2 + 1]
    top, left = np.unravel_index(inner.argmax(), inner.shape)
    return Square(float(inner.max()), int(top) + border, int(left) + border, side)
