"""Figure 4: the detail in which the techniques differ most, as each of them enlarges it."""

import numpy as np
from scipy.ndimage import uniform_filter

from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.pictures.metrics import psnr, ssim
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.study.measure import networks
from lowrank_sr.study.settings import DIRECT, Study

SIDE = 96  # of the detail, in pixels of the high resolution


def crop(study: Study) -> dict:
    """Write the detail as PNG files into crops/, and say where it is and how close each technique comes there."""
    low_rank = filter(networks.is_low_rank, networks.techniques(study))
    names = [DIRECT, *(name for name in low_rank if name != networks.BOTH)]  # which looks like `svd fitted`
    compared = {name: networks.network(study, name) for name in names}
    best, scale = None, study.net.scale
    for picture, low, high in study.pictures:
        estimates = {"bicubic": imresize(low.pixels, scale)}
        estimates |= {name: net(low.pixels) for name, net in compared.items()}
        found = most_different(_sound(estimates, high.pixels), scale)
        if best is None or found > best[0]:
            given = {"low resolution": low.pixels.repeat(scale, 0).repeat(scale, 1), "ground truth": high.pixels}
            best = found, picture, given | estimates
    (_, top, left, side), picture, panels = best
    window = slice(top, top + side), slice(left, left + side)
    details = {name: np.ascontiguousarray(pixels[window].clip(0, 1), np.float32) for name, pixels in panels.items()}
    return {"picture": picture, "top": top, "left": left, "side": side, "panels": _write(study, details)}


def _sound(estimates: dict[str, np.ndarray], truth: np.ndarray) -> list[np.ndarray]:
    """The estimates no worse than bicubic: one that is broken everywhere says nothing about where to look."""
    least = psnr(estimates["bicubic"], truth, channels="rgb")
    sound = [pixels for pixels in estimates.values() if psnr(pixels, truth, channels="rgb") >= least]
    return sound if len(sound) > 1 else list(estimates.values())


def _write(study: Study, details: dict[str, np.ndarray]) -> list[dict]:
    """A PNG file for each detail, and what is said under it."""
    folder, truth, rows = study.folder / "crops", details["ground truth"], []
    folder.mkdir(exist_ok=True)
    for name, detail in details.items():
        file = f"{name.replace(' ', '-')}.png"
        write_image(folder / file, Image(detail))
        row = {"name": name, "file": f"crops/{file}"}
        if name not in ("low resolution", "ground truth"):
            row["psnr_rgb"], row["ssim_rgb"] = (measure(detail, truth, channels="rgb") for measure in (psnr, ssim))
        rows.append(row)
    return rows


def most_different(estimates: list[np.ndarray], border: int) -> tuple[float, int, int, int]:
    """The square in which enlargements, (H, W, 3) each, differ most: by their mean distance from their median.

    Returns that measure, and the square's top, left and side in pixels; it keeps `border` pixels from the edges.
    """
    stack = np.stack([estimate.clip(0, 1).mean(axis=2) for estimate in estimates])
    spread = np.abs(stack - np.median(stack, axis=0)).mean(axis=0)
    height, width = spread.shape
    side = max(1, min(SIDE, height - 2 * border, width - 2 * border))
    means = uniform_filter(spread, side, mode="constant")
    first = border + side // 2  # the filter's squares are named by this pixel of theirs
    inner = means[first : height - border - side + side // 2 + 1, first : width - border - side + side // 2 + 1]
    top, left = np.unravel_index(inner.argmax(), inner.shape)
    return float(inner.max()), int(top) + border, int(left) + border, side
