"""A picture through the network: its colours, and its transparency as grey."""

from dataclasses import replace

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image
from lowrank_sr.text import progress


def upscale(net: RRDBNet, image: Image, description: str = "") -> Image:
    """Enlarge a picture: its colours, and its alpha channel by the same network, as grey, as Real-ESRGAN does.

    Greyscale pictures pass as three equal channels and stay greyscale. Raises InputError where the network does not
    take RGB.
    """
    if (net.architecture.image_channels, net.architecture.out_channels) != (3, 3):
        raise InputError(f"the network takes {net.architecture.image_channels} channels: expected one for RGB pictures")
    passes = 1 if image.alpha is None else 2
    with progress(passes * net.flops(*image.pixels.shape[:2]), description, "FLOP") as bar:
        pixels = net(image.pixels, bar.update)
        alpha = image.alpha
        if alpha is not None:
            alpha = net(np.repeat(alpha[:, :, None], 3, axis=2), bar.update).mean(axis=2)
    return replace(image, pixels=pixels, alpha=alpha)
