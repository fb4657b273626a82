import pickle
from dataclasses import replace

import numpy as np
import pytest
from exact_network import SIZES, assert_makes, image_for, random_net
from reference import EPS

import lowrank_sr as lsr
from lowrank_sr.conv import algorithms
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.layers import random_layer
from lowrank_sr.network import tail
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.unshuffle import pixel_unshuffle

X4 = Architecture(8, 1, 4, 2, 3, 3)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_bundled_network_equals_pytorch(size):
    torch = pytest.importorskip("torch")
    import torch_rrdbnet

    net, image = lsr.load("psnr-small"), image_for(X4, size)
    assert_makes(net, image, torch_rrdbnet.run(torch_rrdbnet.like(net).to(torch.float64), image))


def test_only_2_and_4_unshuffle():
    scales = {channels: Architecture(16, 1, 8, 2, channels, 3).scale for channels in (3, 12, 27, 48, 75)}
    assert scales == {3: 4, 12: 2, 27: 4, 48: 1, 75: 4}


def test_pixel_unshuffle_equals_pytorch():
    torch = pytest.importorskip("torch")
    image = np.arange(4 * 6 * 3, dtype=np.float32).reshape(4, 6, 3)
    expected = torch.nn.functional.pixel_unshuffle(torch.from_numpy(image.transpose(2, 0, 1)), 2)
    np.testing.assert_array_equal(pixel_unshuffle(image, 2), expected.numpy().transpose(1, 2, 0))


def factorised_tail(net, form):
    """The network with noise of rank 5 in its tail, as "svd" or "cp"."""
    tail_layers = [name for name in net.layers if name.startswith(("upconv", "HRconv"))]
    return RRDBNet({**net.layers, **{name: random_layer(net.layers[name].shape, form, 5) for name in tail_layers}})


@pytest.mark.parametrize(("form", "method"), [("svd", "direct"), ("svd", "winograd"), ("cp", "direct")])
def test_bands_change_no_bit_of_factorised_layers(monkeypatch, form, method):
    net = factorised_tail(random_net(X4), form).with_method(method)
    image = np.random.default_rng(6).random((37, 9, 3), dtype=np.float32)
    monkeypatch.setattr(tail, "BAND_PIXELS", 10**9)
    whole = net(image)
    for pixels in (1, 16 * 9 * 8, 16 * 9 * 20):
        monkeypatch.setattr(tail, "BAND_PIXELS", pixels)
        np.testing.assert_array_equal(net(image), whole)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("design", [X4, Architecture(8, 1, 4, 0, 3, 3)], ids=["x4", "x1"])
def test_bands_change_no_bit(monkeypatch, method, design):
    net = random_net(design).with_method(method)
    image = np.random.default_rng(6).random((37, 9, 3), dtype=np.float32)
    monkeypatch.setattr(tail, "BAND_PIXELS", 10**9)
    whole = net(image)
    for pixels in (1, 16 * 9 * 8, 16 * 9 * 20):
        monkeypatch.setattr(tail, "BAND_PIXELS", pixels)
        if method in ("im2col", "kn2row"):  # BLAS sums in another order for another number of rows
            np.testing.assert_allclose(net(image), whole, rtol=0, atol=32 * EPS * np.abs(whole).max())
        else:
            np.testing.assert_array_equal(net(image), whole)


@pytest.mark.slow
def test_the_same_bits_every_time_and_for_any_order_of_memory():
    net, image = lsr.load("psnr-small"), np.random.default_rng(7).random((11, 12, 3))
    first = net(image)
    np.testing.assert_array_equal(net(np.asfortranarray(image)), first)
    np.testing.assert_array_equal(net(np.repeat(image, 2, axis=0)[::2]), first)
    net(np.random.default_rng(8).random((20, 9, 3)))
    np.testing.assert_array_equal(net(image), first)


def test_nan_in_the_image_is_not_hidden():
    image = np.zeros((4, 4, 3), np.float32)
    image[2, 2, 1] = np.nan
    assert np.isnan(lsr.load("psnr-small")(image)).any()


def test_the_result_is_not_clipped():
    assert lsr.load("psnr-small")(np.full((8, 8, 3), 1.5, np.float32)).max() > 1.2


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.float32),
        np.zeros((0, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint8),
    ],
    ids=["grey", "four channels", "empty", "integers"],
)
def test_images_that_do_not_fit(image):
    with pytest.raises(lsr.InputError, match=r"^image of .*: expected"):
        lsr.load("psnr-small")(image)


def test_flops_of_esrgan_are_the_papers():
    """d^2 N C X Y multiply-adds a layer, summed by hand for the 23-block network."""
    dense_block = 9 * 32 * (64 + 96 + 128 + 160) + 9 * 64 * 192
    trunk = 9 * 3 * 64 + 69 * dense_block + 9 * 64 * 64
    tail = 4 * 9 * 64 * 64 + 16 * 2 * 9 * 64 * 64 + 16 * 9 * 64 * 3
    assert lsr.RRDBNet.random().flops(30, 20) == 2 * 600 * (trunk + tail)


def test_progress_counts_the_flops():
    net, done = lsr.load("psnr-small"), []
    net(np.zeros((5, 6, 3), np.float32), done.append)
    first = 2 * 27 * 64 * 5 * 6  # conv_first is computed twice
    assert sum(done) == net.flops(5, 6) + first


def test_with_method_shares_the_layers_and_computes_them_by_that_method(monkeypatch):
    used = set()

    def counted(algorithm):
        def convolve(*arguments):
            used.add(algorithm.name)
            algorithm.convolve(*arguments)

        return replace(algorithm, convolve=convolve)

    monkeypatch.setattr(algorithms, "ALGORITHMS", tuple(map(counted, algorithms.ALGORITHMS)))
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="direct")
    other = net.with_method("im2col")
    assert (net.method, other.method) == ("direct", "im2col")
    assert all(other.layers[name] is layer for name, layer in net.layers.items())
    for each in (net, other):
        used.clear()
        each(np.zeros((5, 6, 3), np.float32))
        assert used == {each.method}


def test_a_copy_for_another_process_gives_the_same_picture():
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="direct")
    image = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    before = pickle.dumps(net)
    expected = net(image)
    assert pickle.dumps(net) == before  # without the kernels prepared for the picture
    copy = pickle.loads(before)
    assert (copy.method, copy.meta) == (net.method, net.meta)
    np.testing.assert_array_equal(copy(image), expected)


def test_random_is_reproducible():
    a, b, c = (lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=seed) for seed in (1, 1, 2))
    assert all((a.layers[name].weight == b.layers[name].weight).all() for name in a.layers)
    assert (a.layers["conv_first"].weight != c.layers["conv_first"].weight).any()
    with pytest.raises(lsr.InputError, match="scale 3: expected 1, 2, 4, 8 or 16"):
        lsr.RRDBNet.random(scale=3)


@pytest.mark.parametrize("sizes", [{"num_feat": 0}, {"num_block": 0}, {"num_grow_ch": -1}, {"num_feat": 8.0}])
def test_sizes_that_no_network_has(sizes):
    with pytest.raises(lsr.InputError, match=f"^{next(iter(sizes))} .*: expected a whole number from 1"):
        lsr.RRDBNet.random(**sizes)
