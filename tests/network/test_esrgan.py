"""The page of the network against PyTorch, and the fast walk against the page."""

from dataclasses import replace

import numpy as np
import pytest
from exact_network import SIZES, assert_makes, exact_picture, image_for, random_net

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.conv.feature_map import allocate
from lowrank_sr.layers import random_layer
from lowrank_sr.network import rrdbnet
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.esrgan import forward

DESIGNS = [
    Architecture(num_feat=16, num_block=2, num_grow_ch=8, upsamplings=0, in_channels=3, out_channels=3),
    Architecture(num_feat=24, num_block=1, num_grow_ch=12, upsamplings=1, in_channels=3, out_channels=3),
    Architecture(num_feat=10, num_block=3, num_grow_ch=5, upsamplings=2, in_channels=1, out_channels=1),
    Architecture(num_feat=32, num_block=1, num_grow_ch=16, upsamplings=3, in_channels=3, out_channels=3),
    Architecture(num_feat=7, num_block=1, num_grow_ch=3, upsamplings=2, in_channels=4, out_channels=4),
    Architecture(num_feat=16, num_block=1, num_grow_ch=8, upsamplings=2, in_channels=12, out_channels=3),
    Architecture(num_feat=16, num_block=2, num_grow_ch=8, upsamplings=2, in_channels=48, out_channels=3),
]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_page_reads_and_writes_what_the_architecture_says(design):
    shapes, image, seen = design.shapes(), image_for(design, (8, 12)), {}

    def compute(name, x):
        n, _, d = shapes[name]
        seen[name] = (n, x.shape[-1], d), x.shape[0] * x.shape[1] / (8 * 12)
        return np.zeros((*x.shape[:-1], n))

    forward(design, image, compute)
    assert list(seen.items()) == [(name, (shape, design.area(name))) for name, shape in shapes.items()]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_page_equals_pytorch(design):
    torch = pytest.importorskip("torch")
    import torch_rrdbnet

    net, image = random_net(design), image_for(design, (8, 12))  # whole blocks for PyTorch's pixel_unshuffle
    expected = torch_rrdbnet.run(torch_rrdbnet.like(net).to(torch.float64), image)
    np.testing.assert_allclose(exact_picture(net, image), expected, rtol=0, atol=1e-12 * np.ptp(expected))


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_fast_walk_equals_the_page(design):
    net = random_net(design)
    for size in SIZES:
        image = image_for(design, size)
        assert_makes(net, image, exact_picture(net, image))


@pytest.mark.parametrize(("form", "methods"), [("svd", ["direct", "winograd"]), ("cp", ["direct"])])
def test_the_fast_walk_of_a_factorised_network_equals_the_page(form, methods):
    design = DESIGNS[2]
    rng = np.random.default_rng(1)
    layers = {}
    for name, layer in random_net(design).layers.items():
        factors = random_layer(layer.shape, form, 4)
        arrays = {field: rng.standard_normal(a.shape, dtype=np.float32) for field, a in factors.arrays().items()}
        size = np.linalg.norm(type(factors)(**arrays).kernel()) / np.linalg.norm(layer.weight)
        arrays[next(iter(arrays))] /= size  # so that signals neither grow nor vanish
        layers[name] = type(factors)(**arrays | {"bias": layer.bias})
    net = lsr.RRDBNet(layers)
    image = image_for(design, (13, 7))
    assert_makes(net, image, exact_picture(net, image), methods)


def without(net, blocks, form):
    """The network with all layers of these dense blocks of rank 0."""
    layers = dict(net.layers)
    for block in blocks:
        for name in net.architecture.dense_blocks()[block]:
            layers[name] = replace(random_layer(layers[name].shape, form, 0), bias=layers[name].bias)
    return lsr.RRDBNet(layers)


@pytest.mark.parametrize("form", ["svd", "cp"])
@pytest.mark.parametrize("vanished", [["1.RDB1"], ["0.RDB3", "2.RDB2"], ["1.RDB1", "1.RDB2", "1.RDB3"], None], ids=str)
def test_the_fast_walk_skips_what_has_vanished(monkeypatch, form, vanished):
    dense, computed, done = random_net(DESIGNS[2]), [], []
    blocks = list(dense.architecture.dense_blocks())
    vanished = blocks if vanished is None else [f"RRDB_trunk.{name}" for name in vanished]
    net = without(dense, vanished, form)
    assert net.vanished == set(vanished)
    image = image_for(net.architecture, (13, 7))
    assert_makes(net, image, exact_picture(net, image), ["direct", "winograd", "auto"])
    assert set(net._dense_blocks) == set(blocks) - set(vanished)

    monkeypatch.setattr(rrdbnet, "allocate", lambda *size: computed.append(size) or allocate(*size))
    net(image, done.append)
    # no map of a block is left where all blocks have vanished: x1, x2 and x3 alone
    assert len(computed) == 3 + (4 if len(vanished) < len(blocks) else 0)
    assert sum(done) == net.flops(13, 7) + flops.per_pixel(net.layers["conv_first"]) * 13 * 7
    in_blocks = sum(
        flops.per_pixel(dense.layers[name]) for b in vanished for name in dense.architecture.dense_blocks()[b]
    )
    assert dense.flops_per_pixel - net.flops_per_pixel == in_blocks


@pytest.mark.slow
def test_23_blocks_equal_the_page():
    net = lsr.RRDBNet.random()
    for size in ((1, 1), (9, 14)):
        image = image_for(net.architecture, size)
        assert_makes(net, image, exact_picture(net, image))
