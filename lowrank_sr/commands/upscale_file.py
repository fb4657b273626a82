"""One picture file in, one larger picture file out: what `upscale` does with each of its inputs."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image, enlarge, read_image, write_image
from lowrank_sr.pictures.resize import imresize


def check_rgb(net: RRDBNet) -> None:
    """Raise InputError where the network does not take and give RGB."""
    channels = net.architecture.image_channels
    if (channels, net.architecture.out_channels) != (3, 3):
        raise InputError(f"the network takes {channels} channels: expected one for RGB pictures")


def upscale_file(
    net: RRDBNet,
    source: Path,
    target: Path,
    progress: Callable[[float], object] | None = None,
    frame: int = 0,
    outscale: float | None = None,
) -> None:
    """Enlarge the picture in `source` into `target`, making its folder.

    It is that of the frame or page `frame`, from 0; `outscale` is output size over input size, None for the network's.
    `progress` is called after each step with the share of the picture that was done in it; together 1.

    Raises InputError, naming the file at fault.
    """
    check_rgb(net)
    image = read_image(source, frame)
    height, width = image.pixels.shape[:2]
    passes = 1 if image.alpha is None else 2
    total = passes * net.flops(height, width)

    def report(done: float) -> None:
        if progress is not None:
            progress(done / total)

    try:
        larger = enlarge(image, lambda pixels: net(pixels, report))
        if outscale is not None and outscale != net.scale:
            rows, columns = (math.ceil(outscale * side - 1e-6) for side in (height, width))
            larger = _resized(larger, outscale / net.scale, rows, columns)
    except MemoryError:
        raise InputError(f"{source}: too large for this machine's memory: {width} x {height} pixels") from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be made a folder: {error.strerror}") from error
    write_image(target, larger)


def _resized(image: Image, scale: float, height: int, width: int) -> Image:
    """The picture resized by `scale`, without the pixel beyond `height` or `width` that rounding may add."""
    pixels = imresize(image.pixels, scale)[:height, :width]
    alpha = None if image.alpha is None else imresize(image.alpha, scale)[:height, :width]
    return replace(image, pixels=pixels, alpha=alpha)
