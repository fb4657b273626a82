"""A whole network compressed: budgets kept, pictures kept, and what the file says of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from reference import EPS
from threadpoolctl import threadpool_info, threadpool_limits

import lowrank_sr as lsr
from lowrank_sr import flops, layers
from lowrank_sr.cli import main
from lowrank_sr.compression import calibration, factorise, fit, stacks
from lowrank_sr.compression.sensitivity import sensitivities
from lowrank_sr.conv.methods import convolve
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank import cp_als, svd
from lowrank_sr.network.esrgan import forward
from lowrank_sr.pictures.images import Image, write_image

FORMS = ["svd", "cp"]
BLOCK = "RRDB_trunk.0.RDB1.conv"


def photograph(seed=0, side=128):
    """Smooth and rough at once, as photographs are: noise whose amplitude falls with the frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))[:, :, None]
    spectrum = np.fft.rfft2(rng.standard_normal((side, side, 3)), axes=(0, 1)) / (frequency + 1 / side)
    image = np.fft.irfft2(spectrum, (side, side), axes=(0, 1))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


PICTURES = [photograph(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def net():
    """Method im2col: nothing to measure first."""
    return lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8, method="im2col")


@pytest.fixture(scope="module", params=FORMS)
def halved(request, net):
    return lsr.compress(net, request.param, speedup=2.0, images=PICTURES)


def difference(net, other, picture):
    """Mean squared difference of the outputs, relative to the variance of the first."""
    small = lsr.imresize(picture, 1 / 4)
    a, b = net(small), other(small)
    return float(np.square(a - b).mean() / a.var())


def test_layers_on_stacks_make_the_network(net):
    low = np.stack([lsr.imresize(picture, 1 / 4)[:, :24] for picture in PICTURES[:2]])
    runs = {name: stacks.on_stacks(layer, net.method) for name, layer in net.layers.items()}
    stacked = forward(net.architecture, np.stack([low, low[::-1]]), lambda name, x: runs[name](x))
    assert stacked.shape == (2, 2, 128, 96, 3)
    for image, out in zip([*low, *low[::-1]], stacked.reshape(4, 128, 96, 3), strict=True):
        # the same products; the last additions of a block are in another order: a few eps a layer, 21 layers
        np.testing.assert_allclose(out, net(image), rtol=0, atol=100 * EPS * np.abs(out).max())


@pytest.mark.parametrize(
    ("form", "method"), [(None, "direct"), (None, "winograd"), ("svd", "winograd"), ("cp", "direct")]
)
def test_maps_of_a_stack_do_not_touch(monkeypatch, form, method):
    layer = layers.random_layer((5, 6, 3), form, 4)
    maps = np.random.default_rng(0).standard_normal((2, 3, 7, 9, 6), dtype=np.float32)
    expected = np.array([[convolve(x, layer, method) for x in row] for row in maps])
    for pixels in (1, 2 * 7 * 9, 10**6):
        monkeypatch.setattr(stacks, "STACK_PIXELS", pixels)
        # Winograd's tiles may lie elsewhere in a taller map: other roundings of the same sum
        np.testing.assert_allclose(stacks.on_stacks(layer, method)(maps), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_budget_is_kept_and_used(net, halved):
    record = halved.meta["compression"]
    totals = record["totals"]
    assert totals["flops_before"] == net.flops(1, 1)
    assert totals["flops_after"] == halved.flops(1, 1)
    assert 2.0 <= totals["theoretical_speedup"] <= 2.1  # the smallest step of a layer's rank is below a twentieth
    for row, (name, layer) in zip(record["layers"], halved.layers.items(), strict=True):
        assert (row["name"], row["rank"], row["chosen"]) == (name, layer.rank, layer.rank is not None)
        assert row["flops_after"] == flops.per_pixel(layer) * net.architecture.area(name)
        assert (row["error"] is not None) == row["chosen"]
    assert sum(row["flops_after"] for row in record["layers"]) == totals["flops_after"]
    ends = {row["name"]: row["chosen"] for row in record["layers"]}
    assert not ends["conv_first"]
    assert not ends["conv_last"]


@pytest.mark.slow
def test_the_old_network_stays_and_the_new_one_is_kept(net, halved, tmp_path):
    assert all(isinstance(layer, layers.Dense) for layer in net.layers.values())
    assert "compression" not in net.meta
    halved.save(tmp_path / "small.npz")
    again = lsr.load(tmp_path / "small.npz", method="im2col")
    assert again.meta["compression"] == json.loads(json.dumps(halved.meta["compression"]))
    image = photograph(9, 16)
    np.testing.assert_array_equal(again(image), halved(image))


@pytest.mark.parametrize("method", FORMS)
def test_the_same_seed_gives_the_same_network(net, method):
    ones, others = (lsr.compress(net, method, rank=6, images=PICTURES, seed=3, layers=f"{BLOCK}*") for _ in range(2))
    for name, layer in ones.layers.items():
        for key, array in layer.arrays().items():
            np.testing.assert_array_equal(array, others.layers[name].arrays()[key])


@pytest.mark.slow
def test_pictures_help_much(net, halved):
    alone = lsr.compress(net, halved.meta["compression"]["method"], speedup=2.0, images=())
    assert alone.meta["compression"]["calibration"] is None
    unseen = photograph(17)
    assert difference(net, halved, unseen) < 0.3 * difference(net, alone, unseen)


@pytest.mark.parametrize("form", FORMS)
def test_the_bias_alone_is_fitted(net, form):
    """Every channel of a factorised layer has the mean that it has in the dense network; kernels are those without.

    In the trunk: the tail is fitted to the middle of the crops.
    """
    picture = photograph(side=256)
    kernels = lsr.compress(net, form, rank=2, images=())
    small = lsr.compress(net, form, rank=2, images=[picture], fitted="bias")
    low = calibration.crops([picture], net.scale).low
    outputs = [{}, {}]

    def keep(name, maps):
        for i, each in enumerate((net, small)):
            outputs[i][name] = stacks.on_stacks(each.layers[name], "direct")(maps[i])
        return np.stack([outputs[i][name] for i in (0, 1)])

    forward(net.architecture, np.stack([low, low]), keep)
    for name, layer in small.layers.items():
        for key, array in layer.arrays().items():
            assert key == "bias" or np.array_equal(array, kernels.layers[name].arrays()[key])
        if layer.rank is not None and name not in net.architecture.tail():
            dense, factorised = (outputs[i][name].mean(axis=(0, 1, 2), dtype=float) for i in (0, 1))
            # the layer's own rounding, and that of the methods before it
            np.testing.assert_allclose(factorised, dense, atol=100 * EPS * np.abs(outputs[0][name]).max())


@pytest.mark.parametrize("method", FORMS)
def test_layers_that_stay_dense_correct_what_the_factors_lost(net, method):
    small = lsr.compress(net, method, rank=3, layers="*RDB2.conv2", images=PICTURES)
    names = list(net.layers)
    first = next(i for i, name in enumerate(names) if small.layers[name].rank is not None)
    assert all(small.layers[name] is net.layers[name] for name in names[:first])
    assert all(small.layers[name] is not net.layers[name] for name in ("trunk_conv", "conv_last"))
    factorised = {name: layer for name, layer in small.layers.items() if layer.rank is not None}
    kept = lsr.RRDBNet({**net.layers, **factorised})
    assert difference(net, small, PICTURES[0]) < difference(net, kept, PICTURES[0])


@pytest.mark.parametrize("method", FORMS)
def test_without_pictures_the_factors_are_the_kernels_own(net, method):
    small = lsr.compress(net, method, rank=5, images=(), layers="*conv5", seed=1)
    name = f"{BLOCK}5"
    weight = net.layers[name].weight
    expected = svd.truncate(weight, 5) if method == "svd" else cp_als.decompose(weight, 5, seed=1)[0]
    for array, factor in zip(small.layers[name].arrays().values(), expected, strict=False):
        np.testing.assert_array_equal(array, factor.astype(np.float32))
    np.testing.assert_array_equal(small.layers[name].bias, net.layers[name].bias)
    row = next(row for row in small.meta["compression"]["layers"] if row["name"] == name)
    left = np.linalg.norm(weight - small.layers[name].kernel()) / np.linalg.norm(weight)
    assert row["error"] == pytest.approx(left, rel=1e-6)
    if method == "svd":
        sigma = svd.singular_values(weight)
        assert row["error"] == pytest.approx(np.sqrt(np.sum(sigma[5:] ** 2) / np.sum(sigma**2)), rel=1e-5)
    others = {key: layer for key, layer in small.layers.items() if not key.endswith("conv5")}
    assert all(layer is net.layers[key] for key, layer in others.items())


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pictures", [(), PICTURES], ids=["kernel alone", "fitted"])
@pytest.mark.parametrize("rule", [{"rank": 4}, {"energy": 0.5}, {"speedup": 1.5}], ids=lambda rule: next(iter(rule)))
def test_a_kernel_of_zeros_leaves_no_nan_in_the_record(net, form, pictures, rule):
    zeros = dict.fromkeys(["trunk_conv", f"{BLOCK}2"])
    for name in zeros:
        layer = net.layers[name]
        zeros[name] = layers.Dense(np.zeros_like(layer.weight), layer.bias)
    small = lsr.compress(lsr.RRDBNet({**net.layers, **zeros}, net.method), form, images=pictures, **rule)
    record = small.meta["compression"]
    json.dumps(record, allow_nan=False)  # raises for NaN and infinity
    for row in record["layers"]:
        if row["name"] in zeros:
            assert row["condition"] is None
            if not pictures:
                assert row["error"] in (None, 0)
            # fitted to outputs that vary by rounding alone, around a bias below 1: a few eps
            assert np.abs(small.layers[row["name"]].kernel()).max() <= (4 * EPS if pictures else 0)


@pytest.mark.parametrize(("rule", "value"), [("energy", 0.5), ("condition", 1.5)])
def test_rules_for_each_layer(net, rule, value):
    small = lsr.compress(net, images=(), **{rule: value})
    for name, layer in small.layers.items():
        if layer.rank is None:
            continue
        sigma = svd.singular_values(net.layers[name].weight)
        if rule == "condition":
            assert sigma[0] / sigma[layer.rank - 1] <= 1.5 < sigma[0] / sigma[layer.rank]
        else:
            kept = np.cumsum(sigma**2) / np.sum(sigma**2)
            assert kept[layer.rank - 2] < 0.5 <= kept[layer.rank - 1]


def test_layers_that_would_cost_more_stay_dense(net):
    """Break-even of the pair is 3 N C / (N + C): 16 for 8 x 16, 18 for 8 x 24, 24 for 16 x 16."""
    small = lsr.compress(net, rank=17, images=())
    assert small.layers[f"{BLOCK}1"].rank is None
    assert small.layers[f"{BLOCK}2"].rank == 17
    assert small.layers["trunk_conv"].rank == 17


@pytest.mark.slow
@pytest.mark.parametrize("drop", [0.02, 0.2])
def test_max_drop_is_kept_on_the_calibration_pictures(net, drop):
    crops = calibration.crops(PICTURES, net.scale)
    small = lsr.compress(net, max_drop=drop, images=PICTURES)
    before, after = (
        np.mean([np.square(other(x) - y).mean() for x, y in zip(crops.reduced, crops.high, strict=True)])
        for other in (net, small)
    )
    assert 10 * np.log10(after / before) <= drop + 1e-6
    assert small.meta["compression"]["totals"]["theoretical_speedup"] > 1.05


def test_select_condition(net):
    conditions = {row["name"]: row["condition"] for row in halved_rows(net)}
    threshold = sorted(conditions.values())[-4]
    small = lsr.compress(net, rank=4, images=(), select_condition=threshold)
    for name, layer in small.layers.items():
        assert (layer.rank is not None) == (conditions[name] > threshold and name not in ("conv_first", "conv_last"))


def halved_rows(net):
    return lsr.compress(net, rank=4, images=()).meta["compression"]["layers"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "none: expected exactly one of rank"),
        ({"rank": 3, "speedup": 2.0}, "rank, speedup: expected exactly one"),
        ({"rank": 0}, "rank 0: expected at least 1"),
        ({"rank": 1000}, "rank 1000: no layer would cost less"),
        ({"energy": 1.5}, "not 1.5"),
        ({"condition": 0.5}, "at least 1, not 0.5"),
        ({"speedup": 0.9}, "speed-up 0.9: expected more than 1"),
        ({"speedup": 1e6}, "speed-up 1e[+]06: expected at most"),
        ({"max_drop": 0.1}, "expected some"),
        ({"rank": 3, "method": "tucker"}, "'tucker': expected one of svd, cp"),
        ({"rank": 3, "target": "joules"}, "'joules': expected one of flops, multiplications, measured"),
        ({"rank": 3, "fitted": "weights"}, "'weights': expected factors or bias"),
        ({"rank": 3, "fitted": "bias"}, "a bias is fitted to calibration pictures: expected some"),
        ({"rank": 3, "layers": "conv7"}, "no layer is called conv7"),
        ({"rank": 3, "select_condition": 1e9}, "no layer has a condition number above 1e[+]09"),
        ({"rank": 3, "images": [np.zeros((60, 200, 3))]}, "60 pixels high or wide: expected at least 64"),
        ({"rank": 3, "images": [np.zeros((128, 128, 3))]}, "1024 pixels at low resolution: expected at least 4096"),
        ({"rank": 3, "images": [np.zeros((128, 128))]}, r"shape \(128, 128\): expected"),
        ({"rank": 3, "images": [np.zeros((128, 128, 3), np.uint8)]}, "floats"),
        ({"max_drop": -1.0, "images": PICTURES}, "max_drop -1 dB: expected more than 0"),
    ],
    ids=lambda value: " ".join(value) or "none" if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_said(net, arguments, said):
    with pytest.raises(InputError, match=said):
        lsr.compress(net, **{"images": (), **arguments})


def test_compressed_once_is_enough(net):
    small = lsr.compress(net, rank=3, images=())
    with pytest.raises(InputError, match=f"{BLOCK}1 is compressed already"):
        lsr.compress(small, rank=2, images=())


def test_calibration_crops_are_of_reduced_pictures_and_of_pictures_as_they_are():
    large, small = photograph(0, 512), photograph(1, 256)
    crops = calibration.crops([large, small], 4)
    close = {"rtol": 0, "atol": 0.5 / 255 + EPS}
    assert len(crops.reduced) == 5  # four tiles of the large one, and one
    at = [i for i, high in enumerate(crops.high) if np.array_equal(high, small)]
    np.testing.assert_allclose(crops.reduced[at[0]], lsr.imresize(small, 1 / 4).clip(0, 1), **close)
    # all tiles of reduced pictures, 4 + 1, and of each picture as it is a quarter of all crops; an eighth held out
    share = (calibration.MOST_CROPS + calibration.HELD_OUT) // 4
    every = np.concatenate([crops.low, crops.held_out])
    assert every.shape == (5 + 2 * share, 64, 64, 3)
    assert len(crops.held_out) == len(every) // 8
    tiles = small.reshape(4, 64, 4, 64, 3).swapaxes(1, 2).reshape(16, 64, 64, 3)
    found = [np.abs(every - tile).max(axis=(1, 2, 3)).min() <= 0.5 / 255 + EPS for tile in [*crops.reduced, *tiles]]
    assert all(found[:5])
    assert sum(found[5:]) == share


def test_every_calibration_picture_is_seen_however_many_there_are():
    pictures = [np.full((64, 64, 3), i / 255, np.float32) for i in range(200)]
    crops = calibration.crops(pictures, 1)
    assert crops.low.shape[1:] == (32, 32, 3)
    assert crops.low.shape[0] * 32**2 == calibration.MOST_PIXELS
    assert len(crops.held_out) == calibration.HELD_OUT
    assert len(set(np.rint(255 * crops.low[:, 0, 0, 0]))) > 150
    assert len(crops.high) == calibration.WITH_TRUTH


def with_a_block_worth_nothing(net, block, size=1e-4):
    """The network with a conv5 in `block` that gives next to nothing but its bias."""
    layer = net.layers[f"{block}.conv5"]
    return lsr.RRDBNet({**net.layers, f"{block}.conv5": replace(layer, weight=size * layer.weight)}, net.method)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", [{"speedup": 1.3}, {"max_drop": 0.02}], ids=str)
def test_a_dense_block_that_is_worth_nothing_vanishes(net, form, rule):
    block = "RRDB_trunk.0.RDB2"
    useless = with_a_block_worth_nothing(net, block)
    small = lsr.compress(useless, form, images=PICTURES, **rule)
    record = small.meta["compression"]
    assert set(record["vanished"]) == small.vanished
    assert block in small.vanished
    rows = [row for row in record["layers"] if row["name"].startswith(block)]
    assert [(row["rank"], row["flops_after"], row["chosen"]) for row in rows] == [(0, 0, True)] * 5
    assert record["totals"]["flops_after"] == small.flops_per_pixel
    if "speedup" in rule:
        assert small.vanished == {block}
        assert 1.3 <= record["totals"]["theoretical_speedup"] < 1.4
        assert difference(useless, small, photograph(17)) < 0.1


@pytest.mark.parametrize("arguments", [{"images": ()}, {"layers": "*conv5"}, {"layers": "trunk_conv"}], ids=str)
def test_a_block_vanishes_where_it_was_measured_and_may(net, arguments):
    useless = with_a_block_worth_nothing(net, "RRDB_trunk.0.RDB2")
    small = lsr.compress(useless, **{"images": PICTURES, "speedup": 1.01} | arguments)
    assert not small.vanished


def test_what_a_layer_is_worth_is_what_the_picture_loses_without_it():
    """To first order, and where pixels are independent of each other: noise through a layer that does little."""
    net = with_a_block_worth_nothing(lsr.RRDBNet.random(16, 1, 8, seed=3, method="im2col"), "RRDB_trunk.0.RDB2", 1e-2)
    low = np.random.default_rng(2).random((24, 16, 16, 3), dtype=np.float32)
    names = [name for name in net.layers if name.startswith("RRDB_trunk.0.RDB2")]
    measured = sensitivities(net, calibration.calibrated(net, low, 0), names, lambda: None)
    assert list(measured) == names
    seen = calibration.Calibration(low, {name: np.eye(layer.shape[0]) for name, layer in net.layers.items()})
    small, errors = fit.factorised(net, "svd", dict.fromkeys(names, 0), seen, 0, lambda: None)
    assert errors == pytest.approx(dict.fromkeys(names, 1.0))
    lost = np.mean([np.square(small(image) - net(image), dtype=float).mean() for image in low])
    # neighbouring outputs share most of what they read, so they err together: of the same order is all that holds
    assert 0.2 < measured[names[-1]].weight / lost < 5


@pytest.mark.parametrize("form", FORMS)
def test_rank_0_without_pictures_leaves_the_bias(net, form):
    names = [name for name in net.layers if name.startswith("RRDB_trunk.0.RDB2")]
    alone, errors = fit.factorised(net, form, dict.fromkeys(names, 0), None, 0, lambda: None)
    np.testing.assert_array_equal(alone.layers[names[-1]].bias, net.layers[names[-1]].bias)
    assert errors == pytest.approx(dict.fromkeys(names, 1.0))


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    dense, out, report = tmp_path / "dense.npz", tmp_path / "small.npz", tmp_path / "report.json"
    lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8).save(dense)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, picture in enumerate(PICTURES):
        write_image(folder / f"{i}.png", Image(picture))
    arguments = ["compress", str(dense), "-o", str(out), "--method", "cp", "--calibrate", str(folder)]
    assert main([*arguments, "--speedup", "1.5", "--json", str(report)]) == 0
    said, written = capsys.readouterr().out, json.loads(report.read_text())
    assert "trunk_conv" in said
    assert "in theory" in said
    assert written["totals"]["theoretical_speedup"] >= 1.5
    assert written["totals"]["measured_speedup"] > 0
    assert written["totals"]["speedup_over_direct"] > 0
    small = lsr.load(out)
    assert written["totals"]["bytes_after"] == out.stat().st_size
    assert written["totals"]["bytes_after"] < written["totals"]["bytes_before"]
    assert written["layers"] == small.meta["compression"]["layers"]
    assert str(tmp_path) not in json.dumps(small.meta)
    assert main(["info", str(out)]) == 0
    assert main(["compress", str(out), "-o", str(tmp_path / "twice.npz"), "--rank", "2"]) == 2
    assert "is compressed already" in capsys.readouterr().err
    assert main(["compress", str(dense), "-o", str(tmp_path / "nowhere" / "a.npz"), "--rank", "2"]) == 2
    assert "a.npz: cannot be written: No such file or directory" in capsys.readouterr().err


def test_kernels_are_factorised_on_one_blas_thread(monkeypatch):
    threads = []
    truncate = svd.truncate

    def record_threads(kernel, rank):
        threads.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return truncate(kernel, rank)

    monkeypatch.setattr(svd, "truncate", record_threads)
    with threadpool_limits(2, "blas"):
        factorise.from_kernel(layers.random_layer((32, 192, 3)), "svd", 4)
    assert threads == [{1}]
