"""Each RRDB alone: its loss, that it falls, and that what was trained stays as it is."""

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.network.esrgan import OnArrays, rrdb
from lowrank_sr.training import blocks
from lowrank_sr.training.length import Length
from lowrank_sr.training.output_metric import output_metrics, ridged

STEPS = Length(8, None)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(blocks, "VALIDATION", 2)


@pytest.fixture(scope="module")
def dense():
    return lsr.RRDBNet.random(num_feat=8, num_block=2, num_grow_ch=4, method="im2col")


@pytest.fixture(scope="module")
def low():
    return np.random.default_rng(0).random((6, 10, 9, 3), dtype=np.float32)


@pytest.fixture(scope="module", params=["svd", "cp"])
def small(request, dense):
    return lsr.compress(dense, request.param, speedup=1.3, images=())


def of_blocks(net, images, count):
    """What the first `count` blocks make of images, in NumPy."""
    walk = OnArrays(lambda name, x: on_stacks(net.layers[name], "im2col")(x))
    x = walk.conv("conv_first", images)
    for i in range(count):
        x = rrdb(f"RRDB_trunk.{i}", x, walk)
    return x


def test_each_block_comes_nearer_to_the_dense_one(dense, small, low):
    layers = dict(small.layers)
    for i, each in enumerate(blocks.train_blocks(layers, 0, dense, low, STEPS, 0)):
        assert each.block == i
        assert each.after < each.before < 1.5
        changed = {name for name, layer in each.layers.items() if layer is not layers[name]}
        assert changed <= {name for name in layers if name.startswith(f"RRDB_trunk.{i}.")}
        assert changed
        layers = each.layers
    assert i == 1


def test_the_loss_is_that_of_the_output_in_its_metric(dense, small, low):
    each = next(blocks.train_blocks(small.layers, 1, dense, low, STEPS, 0))  # the first block as it is
    assert each.block == 1
    target = of_blocks(dense, low, 2)
    metric = ridged(output_metrics(dense, low, 0)["RRDB_trunk.1.RDB3.conv5"])
    errors = (of_blocks(small, low[:2], 2) - target[:2]).reshape(-1, 8).astype(float)
    variance = np.trace(np.cov(target.reshape(-1, 8).T, bias=True) @ metric)
    expected = np.einsum("pa,ab,pb->p", errors, metric, errors).mean() / variance
    assert each.before == pytest.approx(expected, rel=1e-3)  # Winograd's algorithm in float32, in two forms


def test_a_run_goes_on_after_any_block(dense, small, low):
    both = list(blocks.train_blocks(small.layers, 0, dense, low, STEPS, 3))
    (second,) = blocks.train_blocks(both[0].layers, 1, dense, low, STEPS, 3)
    for name, layer in both[1].layers.items():
        for field, array in layer.arrays().items():
            np.testing.assert_array_equal(second.layers[name].arrays()[field], array)


def test_a_block_that_gets_no_better_stays_as_it_is(dense, low, monkeypatch):
    monkeypatch.setattr(blocks, "RATE", 1e6)
    small = lsr.compress(dense, "svd", speedup=1.3, images=())
    for each in blocks.train_blocks(small.layers, 0, dense, low, STEPS, 0):
        assert each.after == each.before
    assert all(each.layers[name] is layer for name, layer in small.layers.items())
