"""ncnn models of RRDBNets, as each exporter writes them, give the network they were made from, and ncnn's pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ncnn_models import FLOAT16, PNNX, STYLES, Model, Style, ncnn_picture, random_network

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, read_image, write_image
from lowrank_sr.resources import IMAGES


@pytest.fixture
def oracle():
    """ncnn itself."""
    pytest.importorskip("ncnn")
    return ncnn_picture


def assert_same(net, expected):
    assert list(net.layers) == list(expected.layers)
    for name, layer in expected.layers.items():
        np.testing.assert_array_equal(net.layers[name].weight, layer.weight, err_msg=name)
        np.testing.assert_array_equal(net.layers[name].bias, layer.bias, err_msg=name)


def assert_ncnns_picture(net, param, oracle, size=(8, 12), clipped=False, tolerance=1e-5):
    """Within a tolerance of ncnn's picture, as a part of its range.

    By default for small networks: 36 layers, one after another, of sums of up to 162 products, each of which rounds by
    sqrt(162) 2^-24 of its size, together sqrt(36) sqrt(162) 2^-24 = 5e-6 where the errors are independent.
    """
    image = np.random.default_rng(0).random((*size, net.architecture.image_channels), dtype=np.float32)
    expected = oracle(param, image)
    actual = net(image)
    assert actual.shape == expected.shape
    difference = np.abs((actual.clip(0, 1) if clipped else actual) - expected)
    assert difference.max() <= tolerance * np.ptp(expected)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_all_styles(tmp_path, oracle, style):
    expected = random_network(bias=style.bias)
    param = Model(expected, style).write(tmp_path / "model.param")
    net = lsr.load(param, method="direct")
    assert_same(net, expected)
    assert net.meta["dtype"] == ("float16" if style.tag == FLOAT16 else "float32")
    assert_ncnns_picture(net, param, oracle, clipped=bool(style.clipped))


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(("unshuffle", "upsamplings"), [(2, 1), (2, 2), (4, 2), (4, 3)])
def test_unshuffled_images(tmp_path, oracle, unshuffle, upsamplings, order):
    expected = random_network(num_block=1, unshuffle=unshuffle, upsamplings=upsamplings)
    param = Model(expected, replace(PNNX, order=order)).write(tmp_path / "model.param")
    net = lsr.load(param, method="direct")
    assert_same(net, expected)
    assert net.scale == 2**upsamplings // unshuffle
    assert_ncnns_picture(net, param, oracle)


@pytest.mark.parametrize(
    "sizes",
    [
        {"upsamplings": 0},
        {"upsamplings": 1},
        {"upsamplings": 3},
        {"upsamplings": 4},
        {"image_channels": 1},
        {"image_channels": 4},
        {"image_channels": 1, "out_channels": 3},
        {"num_feat": 3, "num_grow_ch": 5, "image_channels": 1},  # odd numbers of weights, so padding in the .bin
        {"num_block": 5, "num_feat": 2, "num_grow_ch": 1},
    ],
    ids=str,
)
def test_sizes(tmp_path, oracle, sizes):
    expected = random_network(**{"num_block": 1, **sizes})
    param = Model(expected, Style()).write(tmp_path / "model.param")
    net = lsr.load(param, method="direct")
    assert_same(net, expected)
    assert_ncnns_picture(net, param, oracle, size=(5, 7))


def test_either_file_stands_for_both(tmp_path):
    net = random_network(num_block=1)
    for param, weights in (
        ("a.param", "a.bin"),
        ("b.ncnn.param", "b.ncnn.bin"),
        ("C.PARAM", "C.BIN"),
        ("d.Param", "d.bin"),
    ):
        Model(net, Style()).write(tmp_path / "model.param")
        (tmp_path / "model.param").rename(tmp_path / param)
        (tmp_path / "model.bin").rename(tmp_path / weights)
        for name in (param, weights):
            loaded = lsr.load(tmp_path / name, method="direct")
            assert_same(loaded, net)
            assert loaded.meta["source"].startswith(f"{name}: an ncnn model")


def test_convert(tmp_path, capsys):
    net = random_network(num_block=1)
    param = Model(net, Style()).write(tmp_path / "model.param")
    for name in (param, param.with_suffix(".bin")):
        assert main(["convert", str(name), str(tmp_path / "model.npz")]) == 0
        assert_same(lsr.load(tmp_path / "model.npz", method="direct"), net)
    param.unlink()
    assert main(["convert", str(name), str(tmp_path / "model.npz")]) == 2
    assert f"lowrank-sr: {name}: is neither" in capsys.readouterr().err


def test_a_bom_blank_lines_and_shape_hints(tmp_path):
    net = random_network(num_block=1)
    param = Model(net, Style()).write(tmp_path / "model.param")
    lines = param.read_text().replace("\nInterp", "\n\nInterp").replace("0=1 1=2.0", "-23330=4,3,16,24,6 0=1 1=2.0")
    param.write_text("\ufeff" + lines + "\n\n", encoding="utf-8")
    assert_same(lsr.load(param, method="direct"), net)


def test_factors_that_were_rounded_to_float16(tmp_path):
    net = random_network(num_block=1)
    for style in (Style(), PNNX):
        param = Model(net, style).write(tmp_path / "model.param")
        param.write_text(param.read_text().replace("2.000000e-01", f"{np.float16(0.2):e}"))
        assert_same(lsr.load(param, method="direct"), net)


def test_noop_dropout_and_same_padding(tmp_path):
    net = random_network(num_block=1)
    model = Model(net, Style(splits=False))
    kind, name, inputs, outputs, options = model.lines[-1]
    model.lines[-1] = (kind, name, ["kept"], outputs, options.replace("4=1", "4=-233"))
    model.lines[-1:-1] = [("Noop", "noop", inputs, ["same"], ""), ("Dropout", "dropout", ["same"], ["kept"], "")]
    assert_same(lsr.load(model.write(tmp_path / "model.param"), method="direct"), net)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["realesrgan-x4plus", "realesrgan-x4plus-anime"])
def test_what_upscale_makes_of_a_picture(shared, tmp_path, oracle, name):
    """By Winograd's algorithm, whose rounding a picture of noise of 13 x 17 pixels would show more of."""
    source, target = tmp_path / "eye.png", tmp_path / "eye_x4.png"
    photo = read_image(IMAGES / "chelsea.png").pixels[100:141, 120:187]
    write_image(source, Image(np.ascontiguousarray(photo)))
    expected = ncnn_picture(shared / "weights" / "ncnn" / f"{name}.param", photo)
    allowed = 3e-5 * np.ptp(expected)
    assert np.abs(lsr.load(name, "winograd")(photo) - expected).max() <= allowed
    assert main(["upscale", str(source), "--weights", name, "--method", "winograd"]) == 0
    np.testing.assert_allclose(read_image(target).pixels, expected.clip(0, 1), rtol=0, atol=0.5 / 255 + allowed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks", "size"), [("realesrgan-x4plus", 23, (13, 17)), ("realesrgan-x4plus-anime", 6, (21, 31))]
)
def test_real_networks(shared, tmp_path, capsys, oracle, name, blocks, size):
    param = shared / "weights" / "ncnn" / f"{name}.param"
    net = lsr.load(param, method="direct")
    assert_ncnns_picture(net, param, oracle, size, tolerance=3e-5)

    assert main(["info", str(param), "--method", "direct", "--json", str(tmp_path / "info.json")]) == 0
    assert f"RRDBNet x4, 64 features, {blocks} blocks, growth 32" in capsys.readouterr().out
    assert json.loads((tmp_path / "info.json").read_text())["scale"] == 4
    target = tmp_path / "model.npz"
    assert main(["convert", str(param), str(target)]) == 0
    converted = lsr.load(target, method="direct")
    assert_same(converted, net)
    assert converted.meta["source"] == f"{name}.param: an ncnn model, float16"
