"""The channels of pictures that a network of 1, 3 or 4 channels enlarges.

A picture has 1 channel (grey), 2 (grey + alpha), 3 (RGB) or 4 (RGB + alpha). A grey network is given one channel after
the other. A network of RGB is given a single channel three times over, and the mean of its three results is taken, for
alpha too, as in Real-ESRGAN. A network of RGB + alpha is given an opaque picture where there is no alpha.

A picture whose red, green and blue are equal in every pixel is grey: it goes through the network as one channel, and
comes out with equal ones.
"""

from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.architecture import Architecture

PICTURE_CHANNELS = (1, 2, 3, 4)
NETWORK_CHANNELS = (1, 3, 4)
_OPAQUE = -1


class Pass(NamedTuple):
    """One call of the network.

    `taken` are the picture's channels that the network is given, _OPAQUE where it is given ones; `made` are, for each
    channel of the picture that it makes, the channels of its result of which the mean is taken.
    """

    taken: tuple[int, ...]
    made: dict[int, tuple[int, ...]]

    def given(self, values: np.ndarray) -> np.ndarray:
        """The network's (h, w, C) input, from the picture's (h, w, channels) `values`, floats of 0..1."""
        if self.taken == tuple(range(values.shape[2])):
            return values
        opaque = np.ones_like(values[:, :, 0])
        return np.stack([opaque if i == _OPAQUE else values[:, :, i] for i in self.taken], axis=2)


def check_channels(design: Architecture) -> None:
    """Raise InputError where a network is not one for pictures: grey, RGB or RGB + alpha in and out."""
    taken, made = design.image_channels, design.out_channels
    if taken != made or taken not in NETWORK_CHANNELS:
        raise InputError(f"the network takes {taken} channels and gives {made}: expected 1, 3 or 4, the same number")


def check_image(channels: int, design: Architecture) -> None:
    """Raise InputError where a network enlarges no image of `channels`: neither a picture nor what it takes itself."""
    taken = design.image_channels
    if not channels == taken == design.out_channels:
        check_channels(design)
        if channels not in PICTURE_CHANNELS:
            raise InputError(f"image of {channels} channels: the network takes {taken}")


def alpha_of(channels: int, design: Architecture) -> int | None:
    """The channel that is alpha, of a picture of `channels` for a network of pictures; None where there is none."""
    return channels - 1 if channels in (2, 4) and design.image_channels in NETWORK_CHANNELS else None


def is_grey(values: np.ndarray) -> bool:
    """Whether red, green and blue of (h, w, 3 or 4) values are equal in every pixel."""
    red, green, blue = (values[:, :, i] for i in range(3))
    return bool((red == green).all() and (red == blue).all())


def coloured(grey: np.ndarray, channels: int) -> np.ndarray:
    """Grey, or grey + alpha, as RGB or RGB + alpha of so many channels; a picture that has as many as it is."""
    missing = channels - grey.shape[2]
    return np.concatenate([*[grey[:, :, :1]] * missing, grey], axis=2) if missing else grey


def passes(channels: int, design: Architecture) -> list[Pass]:
    """How a picture of `channels` goes through a network that `check_image` has found to enlarge it."""
    taken = design.image_channels
    if channels == taken == design.out_channels:
        return [Pass(tuple(range(channels)), {i: (i,) for i in range(channels)})]
    if taken == 1:
        return [Pass((i,), {i: (0,)}) for i in range(channels)]
    alpha = channels - 1 if channels in (2, 4) else _OPAQUE
    colours = (0, 1, 2) if channels >= 3 else (0, 0, 0)
    made: dict[int, tuple[int, ...]] = {i: (i,) for i in colours} if channels >= 3 else {0: (0, 1, 2)}
    if taken == 4:
        return [Pass((*colours, alpha), made if alpha == _OPAQUE else made | {alpha: (3,)})]
    colour = Pass(colours, made)
    return [colour] if alpha == _OPAQUE else [colour, Pass((alpha,) * 3, {alpha: (0, 1, 2)})]
