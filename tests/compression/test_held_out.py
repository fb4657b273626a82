"""Errors of blocks on other crops."""

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.compression.held_out import block_errors
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.layers import Dense
from lowrank_sr.network.esrgan import OnArrays, rrdb


def test_a_block_that_is_wrong_is_found():
    """The first block is as it was, the second is not, and the third has its error to pass on."""
    net = lsr.RRDBNet.random(num_feat=8, num_block=3, num_grow_ch=4, method="im2col")
    low = np.random.default_rng(0).random((3, 9, 8, 3), dtype=np.float32)
    name = "RRDB_trunk.1.RDB3.conv5"
    layer = net.layers[name]
    wrong = lsr.RRDBNet({**net.layers, name: Dense(layer.weight, layer.bias + 25)}, net.method)
    errors = block_errors(net, wrong, low)
    assert list(errors) == ["RRDB_trunk.0", "RRDB_trunk.1", "RRDB_trunk.2"]
    assert errors["RRDB_trunk.0"] == 0
    assert errors["RRDB_trunk.2"] > 0
    walk = OnArrays(lambda each, x: on_stacks(net.layers[each], "im2col")(x))
    x = walk.conv("conv_first", low)
    for i in range(2):
        x = rrdb(f"RRDB_trunk.{i}", x, walk)
    # the block's output moves by 0.2 * 0.2 * 25 = 1 in each channel
    assert errors["RRDB_trunk.1"] == pytest.approx(1 / np.sqrt(x.var(axis=(0, 1, 2)).mean()), rel=1e-4)
