import pickle
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rrdbnet import random_net

import lowrank_sr as lsr
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network import auto
from lowrank_sr.network import plan as module
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.enlarge import enlarge_tile, enlarged_rows
from lowrank_sr.network.footprint import alignment, call_bytes, receptive_field
from lowrank_sr.network.overlap import overlap_of
from lowrank_sr.network.plan import needed_bytes, plan_picture
from lowrank_sr.network.tiles import TilePlan, least_plan
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES, NETWORKS

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from tiles import in_tiles

TINY = Architecture(num_feat=8, num_block=1, num_grow_ch=4, upsamplings=2, in_channels=3, out_channels=3)
NET = random_net(TINY).with_method("direct")
RNG = np.random.default_rng(0)


def tiled(net, image, plan, dtype=np.float32):
    return np.concatenate(list(enlarged_rows(net, plan, lambda top, bottom: image[top:bottom], np.dtype(dtype))))


@pytest.mark.parametrize(("scale", "unshuffle"), [(4, 1), (1, 1), (2, 2), (1, 4), (8, 1)])
def test_the_receptive_field_is_how_far_a_pixel_reaches(scale, unshuffle):
    design = Architecture(4, 1, 2, (scale * unshuffle).bit_length() - 1, 3 * unshuffle**2, 3)
    net, reach = random_net(design).with_method("direct"), receptive_field(design)
    side = 2 * (reach + unshuffle) // unshuffle * unshuffle + unshuffle
    image = RNG.random((side, side, 3), dtype=np.float32)
    changed = image.copy()
    middle = side // 2 // unshuffle * unshuffle
    changed[middle : middle + unshuffle, middle : middle + unshuffle] = 1e4  # large: weights far off are small
    rows = np.flatnonzero((net(image) != net(changed)).any(axis=(1, 2)))
    above, below = middle - rows[0] / scale, (rows[-1] + 1) / scale - middle - unshuffle
    assert 0.9 * reach - unshuffle <= max(above, below) <= reach


def plans_of(height, width, overlap, step=4):
    side = st.integers(1, 12).map(lambda steps: steps * step)
    return st.builds(TilePlan, st.just(height), st.just(width), side, side, st.just(overlap))


@given(st.integers(1, 70), st.integers(1, 70), st.data())
@settings(deadline=None, max_examples=20)
def test_context_of_the_receptive_field_changes_no_bit(height, width, data):
    image = RNG.random((height, width, 3), dtype=np.float32)
    overlap = receptive_field(TINY) + -receptive_field(TINY) % 4
    plan = data.draw(plans_of(height, width, overlap))
    np.testing.assert_array_equal(tiled(NET, image, plan), NET(image))


@pytest.mark.slow
@given(st.integers(100, 300), st.data())
@settings(deadline=None, max_examples=5)
def test_winograd_with_six_times_that(height, data):
    """A Winograd tile of 6 x 6 pixels is computed from the whole tiles around it: bits reach 6 pixels a layer."""
    net = NET.with_method("winograd")
    image = RNG.random((height, 24, 3), dtype=np.float32)
    step = alignment(TINY)
    reach = step * receptive_field(TINY)
    whole = net(image)
    np.testing.assert_array_equal(tiled(net, image, TilePlan(height, 24, 7 * step, 24, reach)), whole)
    plan = data.draw(plans_of(height, 24, receptive_field(TINY) + -receptive_field(TINY) % step, step))
    np.testing.assert_allclose(tiled(net, image, plan), whole, rtol=0, atol=2e-5 * np.ptp(whole))  # as in test_rrdbnet


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("size", [(150, 97), (151, 20)])
def test_tiles_of_an_unshuffled_image(factor, size):
    design = Architecture(4, 1, 2, 2, 3 * factor**2, 3)
    net = random_net(design).with_method("direct")
    image = RNG.random((*size, 3), dtype=np.float32)
    step = alignment(design)
    overlap = receptive_field(design) + -receptive_field(design) % step
    np.testing.assert_array_equal(tiled(net, image, TilePlan(*size, 2 * step, step, overlap)), net(image))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_picture_files_store(channels, dtype):
    image = RNG.uniform(0.01, 1, (9, 7, channels)).astype(np.float32)  # no colour of what is transparent
    most = 1 if dtype == np.float32 else np.iinfo(dtype).max
    stored = (most * image).astype(dtype)
    done = []
    out = lsr.enlarge(NET, stored, progress=done.append)
    assert (out.dtype, out.shape) == (dtype, (36, 28, channels))
    assert sum(done) == pytest.approx(1, abs=0.01)  # conv_first is computed twice
    groups = {1: [0], 2: [0, 1], 3: [slice(3)], 4: [slice(3), 3]}[channels]
    for group in groups:
        scaled = (stored / np.float32(most))[:, :, group]
        expected = NET(scaled) if scaled.ndim == 3 else NET(np.repeat(scaled[:, :, None], 3, axis=2)).mean(axis=2)
        if most > 1:
            expected = np.rint(expected.clip(0, 1) * most)
        np.testing.assert_array_equal(out[:, :, group], expected)


def test_little_memory_gives_the_same_picture_in_tiles():
    image = RNG.integers(0, 256, (200, 150, 3), np.uint8)
    needs = partial(needed_bytes, 3, image.dtype, 0)
    whole = lsr.enlarge(NET, image)
    for overlap, most in ((None, 1), (receptive_field(TINY), 0)):
        # what the smallest tiles need here: caches and vectors differ between processors
        least = needs(NET, least_plan(200, 150, overlap or overlap_of(NET), alignment(TINY)))
        assert plan_picture(NET, 200, 150, needs, least, overlap).count > 1
        differences = np.abs(lsr.enlarge(NET, image, memory=least, overlap=overlap).astype(int) - whole)
        assert differences.max() <= most
        with pytest.raises(lsr.InputError, match="even in small tiles"):
            lsr.enlarge(NET, image, memory=least // 2, overlap=overlap)


def test_tiles_are_computed_somewhere_else():
    image = RNG.integers(0, 256, (50, 40, 3), np.uint8)
    plan = TilePlan(50, 40, 20, 20, 4)
    taken, done = [], []

    def elsewhere(net, inputs, progress):
        for each in inputs:
            taken.append(each.tile)
            progress(each.tile, 1)
            yield enlarge_tile(net, pickle.loads(pickle.dumps(each)))

    rows = enlarged_rows(NET, plan, lambda top, bottom: image[top:bottom], image.dtype, done.append, elsewhere)
    first = next(rows)
    assert len(taken) == 2  # read as they are needed
    assert first.shape == (80, 160, 3)
    np.testing.assert_array_equal(np.concatenate([first, *rows]), tiled(NET, image, plan, np.uint8))
    assert sum(done) == pytest.approx(1)


def test_what_cannot_fit_is_refused_before_methods_are_timed(monkeypatch):
    monkeypatch.setattr(auto, "_measure", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(auto, "_remembered", lambda key, names, measure: measure())
    with pytest.raises(lsr.InputError, match="even in small tiles"):
        lsr.enlarge(NET.with_method("auto"), np.zeros((40, 30, 3), np.uint8), memory=1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "design",
    [
        Architecture(64, 1, 32, 2, 3, 3),
        Architecture(16, 1, 8, 3, 3, 3),
        Architecture(64, 1, 32, 0, 3, 3),
        Architecture(32, 1, 16, 2, 12, 3),
        Architecture(32, 1, 16, 2, 48, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(200, 160), (31, 500), (300, 20)])
def test_memory_is_what_the_model_says(design, size):
    assert_needs_what_the_model_says(random_net(design).with_method("winograd"), *size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "method"),
    [*((None, method) for method in METHODS), ("svd", "direct"), ("svd", "winograd"), ("cp", "direct")],
)
def test_memory_of_every_algorithm_is_what_the_model_says(form, method):
    net = random_net(Architecture(64, 1, 32, 2, 3, 3))
    layers = {
        name: random_layer(layer.shape, form, 24) if name.startswith("RRDB") or name == "HRconv" else layer
        for name, layer in net.layers.items()
    }
    assert_needs_what_the_model_says(lsr.RRDBNet(layers, method), 200, 160)


@pytest.mark.parametrize("blocks", [2, 3])
def test_memory_without_dense_blocks_is_what_the_model_says(blocks):
    net = random_net(Architecture(64, 1, 32, 0, 3, 3))
    names = [name for block in list(net.architecture.dense_blocks().values())[:blocks] for name in block]
    layers = {**net.layers, **{name: random_layer(net.layers[name].shape, "svd", 0) for name in names}}
    assert_needs_what_the_model_says(lsr.RRDBNet(layers, "direct"), 200, 160)


def assert_needs_what_the_model_says(net, height, width):
    picture = np.zeros((height, width, 3), np.float32)
    net(picture[:8, :8])  # prepares the kernels
    threads = thread_count()
    needed = call_bytes(net, height, width, threads)
    tracemalloc.start()
    try:
        net(picture + 0)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # What compiled loops work in, up to some caches and rows a thread, is not traced.
    assert held <= needed
    assert needed - held < 0.12 * held + call_bytes(net, 1, width, threads)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": 1000}, r"^40 x 30 pixels need .* MB of memory even in small tiles: 1 KB can be used"),
        ({"overlap": -1}, "an overlap of -1 pixels: expected 0 or more"),
    ],
)
def test_what_cannot_be_done(arguments, message):
    with pytest.raises(lsr.InputError, match=message):
        lsr.enlarge(NET, np.zeros((30, 40, 3)), **arguments)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4)), np.zeros((4, 0, 3)), np.zeros((4, 4, 5)), np.zeros((4, 4, 3), np.int32)],
    ids=["no channels", "empty", "five channels", "int32"],
)
def test_images_that_do_not_fit(image):
    with pytest.raises(lsr.InputError, match=r"^image of "):
        lsr.enlarge(NET, image)


def test_what_is_not_finite_is_not_rounded():
    bad = NET.layers["conv_last"]
    net = lsr.RRDBNet({**NET.layers, "conv_last": lsr.Dense(bad.weight, np.full(3, np.inf, np.float32))}, "direct")
    with pytest.raises(lsr.InputError, match="not a number"):
        tiled(net, np.zeros((4, 4, 3), np.uint8), TilePlan(4, 4, 4, 4, 0), np.uint8)


def test_no_more_than_is_free(monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda: 10**9)
    assert module.memory_to_use(None) == module.memory_to_use(10**12) == 8 * 10**8
    assert module.memory_to_use(10**6) == 10**6


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_that_nobody_sees(name):
    """Whatever the network: the bundled ones, on a bundled picture that none was measured on."""
    net = lsr.load(name, method="winograd")
    image = np.rint(255 * read_image(IMAGES / "chelsea.png").pixels[30:270, 60:330]).astype(np.uint8)
    for each in in_tiles(net, image):
        print(f"{name}: {each}")
        assert each.tiles > 1
        assert each.most <= 3
        assert each.many <= 0.001
