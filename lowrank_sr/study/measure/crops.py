"""Figure 4: the detail in which the techniques differ most, as each of them enlarges it."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.pictures.metrics import psnr, ssim
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.study.measure import networks
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import DIRECT

DETAIL_SIDE = 96  # in pixels of the high resolution
BICUBIC, LOW_RESOLUTION, GROUND_TRUTH = "bicubic", "low resolution", "ground truth"  # panels that are no technique's


@dataclass(frozen=True)
class Panel:
    """The detail as a PNG file; the low resolution and the ground truth have no PSNR and SSIM."""

    name: str
    file: str
    psnr_rgb: float | None = None
    ssim_rgb: float | None = None


@dataclass(frozen=True)
class Crop:
    """Where the detail is, in pixels of the high resolution, and a panel for each technique."""

    picture: str
    top: int
    left: int
    side: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Square:
    """A square by how much estimates differ in it, and its place in pixels."""

    difference: float
    top: int
    left: int
    side: int


def crop(study: Study) -> Crop:
    """Write the detail as PNG files into crops/; return where it is and how close each technique comes there."""
    # Another method gives the same picture: direct convolution stands for all of them.
    techniques = [technique for technique in study.techniques if technique.method == DIRECT]
    compared = {technique.name: networks.network(study, technique) for technique in techniques}
    scale = study.net.scale
    best, picture, panels = None, "", {}
    for name, low, high in study.pictures:
        estimates = {BICUBIC: imresize(low.pixels, scale)}
        estimates |= {technique: net(low.pixels) for technique, net in compared.items()}
        square = most_different(_sound(estimates, high.pixels), scale)
        if best is None or square.difference > best.difference:
            magnified = low.pixels.repeat(scale, 0).repeat(scale, 1)
            best, picture = square, name
            panels = {LOW_RESOLUTION: magnified, GROUND_TRUTH: high.pixels} | estimates
    assert best is not None, "a study has at least one picture"
    window = slice(best.top, best.top + best.side), slice(best.left, best.left + best.side)
    details = {name: np.ascontiguousarray(pixels[window].clip(0, 1), np.float32) for name, pixels in panels.items()}
    return Crop(picture, best.top, best.left, best.side, _write(study, details))


def _sound(estimates: dict[str, np.ndarray], truth: np.ndarray) -> list[np.ndarray]:
    """The estimates no worse than bicubic: one that is wrong everywhere does not tell where to look."""
    least = psnr(estimates[BICUBIC], truth, channels="rgb")
    sound = [pixels for pixels in estimates.values() if psnr(pixels, truth, channels="rgb") >= least]
    return sound if len(sound) > 1 else list(estimates.values())


def _write(study: Study, details: dict[str, np.ndarray]) -> tuple[Panel, ...]:
    """Write a PNG file for each detail."""
    folder, truth = study.folder / "crops", details[GROUND_TRUTH]
    folder.mkdir(exist_ok=True)
    panels = []
    for name, detail in details.items():
        file = f"{name.replace(' ', '-')}.png"
        write_image(folder / file, Image(detail))
        panel = Panel(name, f"crops/{file}")
        if name not in (LOW_RESOLUTION, GROUND_TRUTH):
            near = (measure(detail, truth, channels="rgb") for measure in (psnr, ssim))
            panel = Panel(name, panel.file, *near)
        panels.append(panel)
    return tuple(panels)


def most_different(estimates: list[np.ndarray], border: int) -> Square:
    """The square in which enlargements, (H, W, 3) each, differ most: by their mean distance from their median.

    It stays `border` pixels away from the edges.
    """
    stack = np.stack([estimate.clip(0, 1).mean(axis=2) for estimate in estimates])
    spread = np.abs(stack - np.median(stack, axis=0)).mean(axis=0)
    height, width = spread.shape
    side = max(1, min(DETAIL_SIDE, height - 2 * border, width - 2 * border))
    means = uniform_filter(spread, side, mode="constant")
    first = border + side // 2  # the filter gives a square's mean at its pixel (side // 2, side // 2)
    inner = means[first : height - border - side + side // 2 + 1, first : width - border - side + side // 2 + 1]
    top, left = np.unravel_index(inner.argmax(), inner.shape)
    return Square(float(inner.max()), int(top) + border, int(left) + border, side)
