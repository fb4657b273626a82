"""One small call, so that what is timed afterwards is the network alone."""

import numpy as np

from lowrank_sr.conv.feature_map import DTYPE
from lowrank_sr.network.rrdbnet import RRDBNet

_SIDE = 8  # pixels


def warm_up(net: RRDBNet) -> None:
    """Compile, choose methods and prepare kernels."""
    net(np.zeros((_SIDE, _SIDE, net.architecture.image_channels), DTYPE))
