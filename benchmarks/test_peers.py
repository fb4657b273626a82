"""ESRGAN's network here and in other frameworks: one process, the same threads, rounds in turn."""

from functools import partial

import numpy as np
import pytest
from peers import PEERS

import lowrank_sr as lsr
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.auto import AUTO

SIDE = 96
OURS = (AUTO, "kn2row", "direct")


def contestants(net):
    image = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    runs = {name: partial(net.with_method(name), image) for name in OURS}
    for name, build in PEERS.items():
        try:
            runs[name] = partial(build(net, SIDE, SIDE, thread_count()), image)
        except ImportError:
            continue
    return runs


@pytest.mark.parametrize("name", [*OURS, *PEERS])
def test_peers(report, name):
    net = lsr.RRDBNet.random()
    shape, weights = [SIDE, SIDE, 3], 4 * net.parameters
    group = f"ESRGAN against its peers, {SIDE} x {SIDE}"
    report(group, name, partial(contestants, net), net.flops(SIDE, SIDE), bytes=weights, shape=shape)
