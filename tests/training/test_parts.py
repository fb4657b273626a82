"""Each part alone: its loss, that it falls, and that what was trained stays as it is."""

import dataclasses

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr import layers
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.network.esrgan import OnArrays, after_blocks, rrdb
from lowrank_sr.training import parts
from lowrank_sr.training.length import Length
from lowrank_sr.training.output_metric import output_metrics, ridged

STEPS = Length(8, None)
BLOCKS = 2


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(parts, "VALIDATION", 2)


@pytest.fixture(scope="module")
def dense():
    return lsr.RRDBNet.random(num_feat=8, num_block=BLOCKS, num_grow_ch=4, method="im2col")


@pytest.fixture(scope="module")
def low():
    return np.random.default_rng(0).random((7, 10, 9, 3), dtype=np.float32)


@pytest.fixture(scope="module", params=["svd", "cp"])
def small(request, dense):
    return lsr.compress(dense, request.param, speedup=1.3, images=())


def on_arrays(net):
    return OnArrays(lambda name, x: on_stacks(net.layers[name], "im2col")(x))


def of_blocks(net, images, count):
    """What conv_first and the first `count` blocks make of images, in NumPy."""
    walk = on_arrays(net)
    x = walk.conv("conv_first", images)
    for i in range(count):
        x = rrdb(f"RRDB_trunk.{i}", x, walk)
    return x


def test_each_part_comes_nearer_to_the_dense_one(dense, small, low):
    before = dict(small.layers)
    for i, each in enumerate(parts.train_parts(before, 0, dense, low, STEPS, 0)):
        assert each.parts == i + 1
        assert each.after < each.before < 1.5
        changed = {name for name, layer in each.layers.items() if layer is not before[name]}
        of_part = {name for name in before if name.startswith(f"RRDB_trunk.{i}.")}
        assert changed
        assert changed <= (of_part or {"trunk_conv", "upconv1", "upconv2", "HRconv", "conv_last"})
        before = each.layers
    assert each.parts == BLOCKS + 1 == parts.count(dense.architecture)


def test_a_network_that_unshuffles_its_input(dense, low):
    first = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).layers["conv_first"]
    taps = np.concatenate([first.weight] * 4, axis=1) / 4
    net = lsr.RRDBNet({**dense.layers, "conv_first": layers.Dense(taps, first.bias)}, "im2col")
    assert net.scale == 2
    small = lsr.compress(net, "svd", speedup=1.3, images=())
    for each in parts.train_parts(small.layers, 0, net, low[:, :, :8], STEPS, 0):
        assert each.after < each.before < 1.5
    assert each.parts == BLOCKS + 1


def assert_loss(found, estimate, answer, outputs, metric):
    """In units of the variance of the dense network's `outputs` for all crops."""
    channels = answer.shape[3]
    errors = (estimate - answer).reshape(-1, channels).astype(float)
    variance = np.trace(np.cov(outputs.reshape(-1, channels).T, bias=True) @ metric)
    expected = np.einsum("pa,ab,pb->p", errors, metric, errors).mean() / variance
    assert found == pytest.approx(expected, rel=1e-3)  # Winograd's algorithm in float32, in two forms


def test_a_block_is_judged_on_the_maps_of_both_networks_in_its_metric(dense, small, low):
    each = next(parts.train_parts(small.layers, 1, dense, low, STEPS, 0))
    metric = ridged(output_metrics(dense, low, 0)["RRDB_trunk.1.RDB3.conv5"])
    maps = np.concatenate([of_blocks(net, low[:1], 1) for net in (dense, small)])
    estimate, answer = (rrdb("RRDB_trunk.1", maps, on_arrays(net)) for net in (small, dense))
    assert_loss(each.before, estimate, answer, of_blocks(dense, low, 2), metric)


def test_the_layers_after_the_blocks_are_judged_by_the_picture(dense, small, low):
    (each,) = parts.train_parts(small.layers, BLOCKS, dense, low, STEPS, 0)
    estimate, target = (
        after_blocks(dense.architecture, of_blocks(net, images, BLOCKS), of_blocks(net, images, 0), on_arrays(net))
        for net, images in ((small, low[:2]), (dense, low))
    )
    assert_loss(each.before, estimate, target[:2], target, np.eye(3))


def test_the_loss_is_the_mean_over_batches_of_any_size(dense, small, low, monkeypatch):
    monkeypatch.setattr(parts, "VALIDATION", 6)
    whole = []
    for batch in (4, 6):
        monkeypatch.setattr(parts, "BATCH", batch)
        whole.append(next(parts.train_parts(small.layers, BLOCKS, dense, low, Length(1, None), 0)).before)
    assert whole[0] == pytest.approx(whole[1], rel=1e-5)


def test_a_run_goes_on_after_any_part(dense, small, low):
    first, *others = parts.train_parts(small.layers, 0, dense, low, STEPS, 3)
    again = list(parts.train_parts(first.layers, 1, dense, low, STEPS, 3))
    assert len(again) == len(others) == BLOCKS
    for name, layer in others[-1].layers.items():
        for field, array in layer.arrays().items():
            np.testing.assert_array_equal(again[-1].layers[name].arrays()[field], array)


def test_a_part_that_gets_no_better_stays_as_it_is(dense, low, monkeypatch):
    monkeypatch.setattr(parts, "RATE", 1e6)
    monkeypatch.setattr(parts, "RATE_AFTER_BLOCKS", 1e6)
    small = lsr.compress(dense, "svd", speedup=1.3, images=())
    for each in parts.train_parts(small.layers, 0, dense, low, STEPS, 0):
        assert each.after == each.before
    assert all(each.layers[name] is layer for name, layer in small.layers.items())


def with_other_kernels(net, names):
    """The network with other kernels in these layers, as a fit gives them to layers that stay dense."""
    other = {name: dataclasses.replace(net.layers[name], weight=-net.layers[name].weight) for name in names}
    return lsr.RRDBNet({**net.layers, **other}, "im2col")


def test_a_block_that_is_dense_is_the_dense_network_s_again(dense, low):
    block = [name for name in dense.layers if name.startswith("RRDB_trunk.1.")]
    small = with_other_kernels(lsr.compress(dense, rank=1, layers="RRDB_trunk.0.*", images=()), block)
    _, second, _ = parts.train_parts(small.layers, 0, dense, low, STEPS, 0)
    assert second.before > 0.01
    assert second.after < 1e-9  # float32, squared
    assert all(second.layers[name] is dense.layers[name] for name in block)


def test_a_block_begins_with_the_teacher_s_dense_layers_where_these_are_nearer(dense, low, monkeypatch):
    name = "RRDB_trunk.0.RDB3.conv5"
    small = lsr.compress(dense, rank=1, layers="RRDB_trunk.0.RDB1.*", images=())
    monkeypatch.setattr(parts, "RATE", 1e6)  # no step makes it better
    other, same = (
        next(parts.train_parts(net.layers, 0, dense, low, STEPS, 0))
        for net in (with_other_kernels(small, [name]), small)
    )
    assert other.after == same.after < other.before
    assert other.layers[name] is dense.layers[name]
