"""Whole networks: ESRGAN's 23 blocks with random weights, and the 3 blocks of psnr-small, by every method."""

from functools import partial

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.network.auto import AUTO

NETWORKS = {"psnr-small": (partial(lsr.load, "psnr-small"), (64, 128)), "ESRGAN": (lsr.RRDBNet.random, (64,))}
CASES = [(name, side) for name, (_, sides) in NETWORKS.items() for side in sides]


@pytest.mark.parametrize("method", [AUTO, *METHODS])
@pytest.mark.parametrize(("network", "side"), CASES)
def test_network(report, network, side, method):
    net = NETWORKS[network][0]()

    def contestants():
        image = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
        return {name: partial(net.with_method(name), image) for name in (AUTO, *METHODS)}

    weights = 4 * net.parameters
    shape = [side, side, 3]
    report(
        f"{network}, {side} x {side}", method, contestants, net.flops(side, side), rounds=3, bytes=weights, shape=shape
    )
