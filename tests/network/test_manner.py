"""Blend and test-time augmentation, written out."""

import tracemalloc

import numpy as np
import pytest
from test_channels import NETS
from test_enlarge import TINY
from test_rrdbnet import random_net

import lowrank_sr as lsr
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.enlarge import TileInput, enlarge_in_tiles, enlarge_tile
from lowrank_sr.network.footprint import call_bytes
from lowrank_sr.network.manner import Manner, enlarged, mean_of_turns
from lowrank_sr.network.plan import needed_bytes
from lowrank_sr.network.tiles import TilePlan
from lowrank_sr.pictures.resize import imresize

RNG = np.random.default_rng(0)
IMAGE = RNG.random((9, 6, 3), dtype=np.float32)
NET = NETS[3]
EPS = np.finfo(np.float32).eps


def test_blend_of_the_network_and_bicubic():
    alone, bicubic = NET(IMAGE), imresize(IMAGE, NET.scale)
    for blend in (0, 0.25, 1):
        expected = blend * alone + (1 - blend) * bicubic
        rounded = 3 * EPS * np.abs(alone).max()  # two products and a sum, once each
        np.testing.assert_allclose(lsr.enlarge(NET, IMAGE, blend=blend), expected, rtol=0, atol=rounded)


def test_the_mean_over_eight_turns():
    ways = [(flip, quarters) for flip in (False, True) for quarters in range(4)]
    results = []
    for flip, quarters in ways:
        turned = np.rot90(np.fliplr(IMAGE) if flip else IMAGE, quarters)
        back = np.rot90(NET(np.ascontiguousarray(turned)), -quarters)
        results.append(np.fliplr(back) if flip else back)
    assert len({result.tobytes() for result in results}) == 8  # all of them differ
    done = []
    larger = lsr.enlarge(NET, IMAGE, tta=True, progress=done.append)
    rounded = 8 * EPS * np.abs(results).max()  # once in each of the eight sums
    np.testing.assert_allclose(larger, np.mean(results, axis=0, dtype=np.float64), rtol=0, atol=rounded)
    assert sum(done) == pytest.approx(1, abs=0.2)  # conv_first is computed twice


def test_it_does_not_matter_how_the_picture_is_turned():
    """What the mean is for: any network becomes one without a preferred direction."""
    turned = np.rot90(IMAGE[:, ::-1])
    whole, of_turned = mean_of_turns(NET, IMAGE), mean_of_turns(NET, turned)
    np.testing.assert_allclose(of_turned, np.rot90(whole[:, ::-1]), rtol=0, atol=8 * EPS * np.abs(whole).max())


@pytest.mark.parametrize("manner", [Manner(blend=0.5), Manner(tta=True), Manner(blend=0.5, tta=True)])
def test_tiles_with_the_context_of_the_receptive_field(manner):
    net = random_net(TINY).with_method("direct")
    image = RNG.random((50, 41, 4), dtype=np.float32)
    whole = enlarge_in_tiles(net, image, TilePlan(50, 41, 50, 41, 0), manner=manner)
    tiled = enlarge_in_tiles(net, image, TilePlan(50, 41, 20, 12, 28), manner=manner)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=8 * EPS * np.abs(whole).max())


@pytest.mark.parametrize("manner", [Manner(), Manner(blend=0.5), Manner(tta=True), Manner(blend=0.5, tta=True)])
def test_memory_is_what_the_model_says(manner):
    net = random_net(TINY).with_method("direct")
    image = RNG.random((200, 90, 3), dtype=np.float32)
    enlarged(net, manner, image[:8, :8])  # prepares the kernels
    plan = TilePlan(200, 90, 200, 90, 0)
    out = 4 * 3 * 16 * 200 * 90
    needed = needed_bytes(3, np.dtype("f4"), 0, net, plan, manner) - out - 2**20  # without the rows that are made of it
    tracemalloc.start()
    try:
        enlarged(net, manner, image + 0)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= needed
    assert needed <= 1.6 * held + call_bytes(net, 1, 90, thread_count())


@pytest.mark.parametrize("alpha", ["network", "bicubic"])
def test_memory_of_transparency_is_what_the_model_says(alpha):
    net, manner = random_net(TINY).with_method("direct"), Manner(alpha)
    plan, image = TilePlan(200, 90, 200, 90, 0), RNG.random((200, 90, 4), dtype=np.float32)
    image[:50, :, 3] = 0
    ((tile,),) = plan.rows()
    given = TileInput(tile, image, np.dtype("u1"), manner)
    enlarge_tile(net, given)  # prepares the kernels
    needed = needed_bytes(4, np.dtype("u1"), 0, net, plan, manner)
    tracemalloc.start()
    try:
        enlarge_tile(net, given)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= needed <= 3 * held


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blend": 1.5}, "a blend of 1.5: expected 0 to 1"),
        ({"blend": float("nan")}, "a blend of nan"),
        ({"alpha": "none"}, "alpha 'none': expected 'network' or 'bicubic'"),
    ],
)
def test_what_cannot_be_done(arguments, message):
    with pytest.raises(lsr.InputError, match=message):
        lsr.enlarge(NET, IMAGE, **arguments)
