"""In which manner a network is used on a picture: what transparency is enlarged by, how strongly, how often.

Blend: the network's picture y and the plain, bicubic enlargement b of the same picture, mixed

    blend y + (1 - blend) b,

so that 1 is the network alone and 0 none of it. Test-time augmentation: the mean of what the network makes of the
picture flipped and turned in all eight ways, each turned back (Timofte, Rothe and Van Gool, "Seven ways to improve
example-based single image super resolution", CVPR 2016, section 3.5, where it is called enhanced prediction).
"""

from dataclasses import dataclass

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import FlopsDone, RRDBNet
from lowrank_sr.network.transparency import BICUBIC, NETWORK
from lowrank_sr.pictures.resize import imresize

TURNS = 8
_VALUE_BYTES = 4
_BLENDED_BYTES = 32  # a value of the result, while imresize makes it in float64


@dataclass(frozen=True)
class Manner:
    """`alpha` is "network" or "bicubic", `blend` 0 to 1, `tta` whether test-time augmentation is done.

    Raises InputError for other values.
    """

    alpha: str = NETWORK
    blend: float = 1.0
    tta: bool = False

    def __post_init__(self) -> None:
        if self.alpha not in (NETWORK, BICUBIC):
            raise InputError(f"alpha {self.alpha!r}: expected {NETWORK!r} or {BICUBIC!r}")
        if not 0 <= self.blend <= 1:
            raise InputError(f"a blend of {self.blend}: expected 0 to 1")

    @property
    def calls(self) -> int:
        """How many calls of the network an image takes."""
        return TURNS if self.tta else 1

    def needed_bytes(self, values: int, call_bytes: int) -> int:
        """What `enlarged` needs for a result of so many values, where a call of the network takes `call_bytes`."""
        in_call = call_bytes + _VALUE_BYTES * values * self.tta
        return max(in_call, (_VALUE_BYTES + _BLENDED_BYTES) * values) if self.blend < 1 else in_call


PLAIN = Manner()


def enlarged(net: RRDBNet, manner: Manner, image: np.ndarray, report: FlopsDone | None = None) -> np.ndarray:
    """(scale H, scale W, C) float32 of an (H, W, C) image for `net`, in a manner; `report` as for a call of `net`."""
    larger = mean_of_turns(net, image, report) if manner.tta else net(image, report)
    if manner.blend < 1:
        larger *= np.float32(manner.blend)
        larger += np.float32(1 - manner.blend) * imresize(image, net.scale).astype(np.float32, copy=False)
    return larger


def mean_of_turns(net: RRDBNet, image: np.ndarray, report: FlopsDone | None = None) -> np.ndarray:
    """The mean of what `net` makes of an image flipped and turned in all eight ways, each turned back."""
    total = np.zeros((net.scale * image.shape[0], net.scale * image.shape[1], image.shape[2]), np.float32)
    for flip in (slice(None), slice(None, None, -1)):
        for quarters in range(4):
            total += np.rot90(net(np.rot90(image[:, flip], quarters), report), -quarters)[:, flip]
    total /= TURNS
    return total
