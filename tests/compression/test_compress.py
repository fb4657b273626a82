"""A whole network compressed: budgets kept, pictures kept, and what the file says of it."""

import json

import numba
import numpy as np
import pytest
from reference import EPS

import lowrank_sr as lsr
from lowrank_sr import flops, layers
from lowrank_sr.cli import main
from lowrank_sr.compression import calibration, choose, cost, factorise, patch_statistics, walk
from lowrank_sr.compression.cost import in_flops
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.conv.methods import convolve
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank import cp_als, svd
from lowrank_sr.machine.threads import limited, thread_count
from lowrank_sr.pictures.images import Image, write_image

METHODS = ["svd", "cp"]
MOST = numba.config.NUMBA_NUM_THREADS
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


@pytest.fixture(scope="module", params=METHODS)
def halved(request, net):
    return lsr.compress(net, request.param, speedup=2.0, images=PICTURES)


def difference(net, other, picture):
    """Mean squared difference of the outputs, relative to the variance of the first."""
    small = lsr.imresize(picture, 1 / 4)
    a, b = net(small), other(small)
    return float(np.square(a - b).mean() / a.var())


def test_the_walk_is_the_network(net):
    low = np.stack([lsr.imresize(picture, 1 / 4)[:, :24] for picture in PICTURES[:2]])
    runs = {name: walk.on_stacks(layer, net.method) for name, layer in net.layers.items()}
    stacked = walk.forward(net.architecture, np.stack([low, low[::-1]]), lambda name, x: runs[name](x))
    assert stacked.shape == (2, 2, 128, 96, 3)
    for image, out in zip([*low, *low[::-1]], stacked.reshape(4, 128, 96, 3), strict=True):
        # the same products; the last additions of a block are in another order: a few eps a layer, 21 layers
        np.testing.assert_allclose(out, net(image), rtol=0, atol=100 * EPS * np.abs(out).max())


def test_the_walk_unshuffles_as_the_network_does():
    design = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=4, method="im2col")
    rng = np.random.default_rng(0)
    first = layers.Dense(rng.standard_normal((8, 12, 3, 3), dtype=np.float32), np.zeros(8, np.float32))
    net = lsr.RRDBNet({**design.layers, "conv_first": first}, "im2col")
    assert net.scale == 2
    image = rng.random((8, 12, 3), dtype=np.float32)
    runs = {name: walk.on_stacks(layer, net.method) for name, layer in net.layers.items()}
    out = walk.forward(net.architecture, image[None], lambda name, x: runs[name](x))[0]
    np.testing.assert_allclose(out, net(image), rtol=0, atol=100 * EPS * np.abs(out).max())


@pytest.mark.parametrize(
    ("form", "method"), [(None, "direct"), (None, "winograd"), ("svd", "winograd"), ("cp", "direct")]
)
def test_maps_of_a_stack_do_not_touch(monkeypatch, form, method):
    layer = layers.random_layer((5, 6, 3), form, 4)
    maps = np.random.default_rng(0).standard_normal((2, 3, 7, 9, 6), dtype=np.float32)
    expected = np.array([[convolve(x, layer, method) for x in row] for row in maps])
    for pixels in (1, 2 * 7 * 9, 10**6):
        monkeypatch.setattr(walk, "STACK_PIXELS", pixels)
        # Winograd's tiles may lie elsewhere in a taller map: other roundings of the same sum
        np.testing.assert_allclose(walk.on_stacks(layer, method)(maps), expected, rtol=0, atol=1e-5)


def test_moments_are_those_of_the_patches():
    rng = np.random.default_rng(1)
    inputs, outputs = rng.standard_normal((3, 8, 9, 4)) + 5, rng.standard_normal((3, 8, 9, 2)) - 3
    inputs, outputs = inputs.astype(np.float32), outputs.astype(np.float32)
    where = patch_statistics.positions(inputs, 50, seed=0)
    assert len(set(where)) == 50
    padded = np.pad(inputs.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).reshape(-1, 36)[where]
    found = patch_statistics.measure(inputs, outputs, where)
    joint = np.cov(np.hstack([patches, outputs.reshape(-1, 2)[where]]).T, bias=True)
    # sums of 50 products in float32, each below 10^2 once the mean is off: 50 eps 100, divided by 50
    close = {"rtol": 0, "atol": 100 * EPS}
    np.testing.assert_allclose(found.mean, patches.mean(axis=0), **close)
    np.testing.assert_allclose(found.covariance, joint[:36, :36], **close)
    np.testing.assert_allclose(found.cross, joint[36:, :36], **close)
    np.testing.assert_allclose(found.output_variance, np.diag(joint)[36:], **close)
    part = patch_statistics.measure(inputs[..., :3], outputs, where)
    grown = patch_statistics.measure(inputs, outputs, where, part)
    for one, other in zip(grown, found, strict=True):
        np.testing.assert_allclose(one, other, **close)


def test_moments_over_several_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    inputs, outputs = (rng.random((2, 6, 7, n), dtype=np.float32) for n in (3, 2))
    whole = patch_statistics.measure(inputs, outputs, np.arange(84))
    monkeypatch.setattr(patch_statistics, "BLOCK", 25)
    for one, other in zip(patch_statistics.measure(inputs, outputs, np.arange(84)), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=84 * EPS)  # 84 terms below 1


@pytest.mark.parametrize(("method", "rank"), [("svd", 15), ("cp", 60), ("svd", 4), ("cp", 12)])
def test_a_fit_finds_the_layer_that_made_the_outputs(method, rank):
    """Outputs of another kernel, with another bias; 15 and 60 are enough for any kernel, were there no ridge."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 24, 24, 5), dtype=np.float32)
    kernel = rng.standard_normal((6, 5, 3, 3), dtype=np.float32)
    truth = layers.Dense(kernel, rng.standard_normal(6, dtype=np.float32))
    outputs = walk.on_stacks(truth, "im2col")(x)
    start = layers.Dense(kernel + 0.1 * rng.standard_normal(kernel.shape, dtype=np.float32), np.zeros(6, np.float32))
    seen = patch_statistics.measure(x, outputs, np.arange(2 * 24 * 24))
    found, error = factorise.to_outputs(start, method, rank, seen)
    if rank >= 15:
        assert error < {"svd": 0.001, "cp": 0.02}[method]  # CP is not convex: 8 rounds leave a little
    left = outputs - walk.on_stacks(found, "im2col")(x)
    # its square is a difference of sums in float32, each within a few eps of 1
    expected = np.square(left).mean() / outputs.var(axis=(0, 1, 2)).mean()
    assert error**2 == pytest.approx(expected, rel=1e-3, abs=10 * EPS)
    np.testing.assert_allclose(left.mean(axis=(0, 1, 2)), 0, atol=1e-5)  # the bias takes the mean: float32 rounding


def test_a_budget_is_kept_and_used(net, halved):
    record = halved.meta["compression"]
    totals = record["totals"]
    assert totals["flops_before"] == net.flops(1, 1)
    assert totals["flops_after"] == halved.flops(1, 1)
    assert 2.0 <= totals["theoretical_speedup"] <= 2.1  # the smallest step of a layer's rank is below a twentieth
    for row, (name, layer) in zip(record["layers"], halved.layers.items(), strict=True):
        assert (row["name"], row["rank"], row["chosen"]) == (name, layer.rank, layer.rank is not None)
        assert row["flops_after"] == flops.per_pixel(layer) * net.area(name)
        assert (row["error"] is not None) == row["chosen"]
    assert sum(row["flops_after"] for row in record["layers"]) == totals["flops_after"]
    ends = {row["name"]: row["chosen"] for row in record["layers"]}
    assert not ends["conv_first"]
    assert not ends["conv_last"]


def test_the_old_network_stays_and_the_new_one_is_kept(net, halved, tmp_path):
    assert all(isinstance(layer, layers.Dense) for layer in net.layers.values())
    assert "compression" not in net.meta
    halved.save(tmp_path / "small.npz")
    again = lsr.load(tmp_path / "small.npz", method="im2col")
    assert again.meta["compression"] == json.loads(json.dumps(halved.meta["compression"]))
    image = photograph(9, 16)
    np.testing.assert_array_equal(again(image), halved(image))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_network(net, method):
    ones, others = (lsr.compress(net, method, rank=6, images=PICTURES, seed=3, layers=f"{BLOCK}*") for _ in range(2))
    for name, layer in ones.layers.items():
        for key, array in layer.arrays().items():
            np.testing.assert_array_equal(array, others.layers[name].arrays()[key])


def test_pictures_help_much(net, halved):
    alone = lsr.compress(net, halved.meta["compression"]["method"], speedup=2.0, images=())
    assert alone.meta["compression"]["calibration"] is None
    unseen = photograph(17)
    assert difference(net, halved, unseen) < 0.3 * difference(net, alone, unseen)


@pytest.mark.parametrize("method", METHODS)
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


@pytest.mark.parametrize("drop", [0.02, 0.2])
def test_max_drop_is_kept_on_the_calibration_pictures(net, drop):
    crops = calibration.crops(PICTURES, net.scale)
    small = lsr.compress(net, max_drop=drop, images=PICTURES)
    before, after = (
        np.mean([np.square(other(low) - high).mean() for low, high in zip(*crops, strict=True)])
        for other in (net, small)
    )
    assert 10 * np.log10(after / before) <= drop + 1e-6
    assert small.meta["compression"]["totals"]["theoretical_speedup"] > 1.05


def test_candidate_ranks_are_the_same_on_every_machine():
    assert choose._ranks(96.0) == [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88]  # an SVD pair of 64 x 64
    assert choose._ranks(38.4) == [4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert choose._ranks(4.0) == [1, 2, 3]
    assert choose._ranks(421.9)[0] == 16  # less is less than a fortieth of break-even


@pytest.mark.parametrize("form", METHODS)
def test_six_times_fewer_flops(form):
    net = lsr.load(method="direct")
    small = lsr.compress(net, form, speedup=6.0, images=())
    assert 6.0 <= net.flops(8, 8) / small.flops(8, 8) < 6.1


@pytest.mark.parametrize("form", METHODS)
@pytest.mark.parametrize("pictures", [(), PICTURES], ids=["kernels", "fitted"])
def test_a_kernel_of_zeros_is_met_exactly(net, form, pictures):
    zeros = layers.Dense(np.zeros((16, 16, 3, 3)), np.zeros(16))
    small = lsr.compress(lsr.RRDBNet({**net.layers, "HRconv": zeros}, net.method), form, speedup=1.5, images=pictures)
    assert np.isfinite(small(PICTURES[0][:8, :8])).all()
    record = small.meta["compression"]
    json.dumps(record, allow_nan=False)
    row = next(row for row in record["layers"] if row["name"] == "HRconv")
    assert row["condition"] is None
    assert row["error"] in (None, pytest.approx(0, abs=1e-6))  # None where it stayed dense


def test_seconds_are_remembered_for_each_number_of_threads(monkeypatch):
    measured = []

    def interleaved(runs, *_):
        measured.append(thread_count())
        return {name: [1.0] for name in runs}

    monkeypatch.setattr(cost, "interleaved", interleaved)
    for threads in (1, 1, MOST, MOST):
        with limited(threads):
            cost.in_seconds((9, 17, 3), "svd", [4])
    assert measured == list(dict.fromkeys([1, MOST]))


def test_select_condition(net):
    conditions = {row["name"]: row["condition"] for row in halved_rows(net)}
    threshold = sorted(conditions.values())[-4]
    small = lsr.compress(net, rank=4, images=(), select_condition=threshold)
    for name, layer in small.layers.items():
        assert (layer.rank is not None) == (conditions[name] > threshold and name not in ("conv_first", "conv_last"))


def halved_rows(net):
    return lsr.compress(net, rank=4, images=()).meta["compression"]["layers"]


def test_seconds_as_cost(net, monkeypatch):
    """By this test's clock a pair takes as long as the dense layer from 20 input channels on, and half elsewhere."""
    assert all(0 < seconds < 1e-3 for seconds in cost.in_seconds((8, 16, 3), "cp", [4, 8]))
    monkeypatch.setitem(
        cost.COSTS, "measured", lambda shape, method, ranks: [1.0, *(1.0 if shape[1] > 20 else 0.5 for _ in ranks)]
    )
    small = lsr.compress(net, rank=2, images=(), target="measured")
    for name, layer in small.layers.items():
        assert (layer.rank is None) == (layer.shape[1] > 20 or name in ("conv_first", "conv_last"))
    every = lsr.compress(net, speedup=1.2, images=(), target="measured")
    assert {layer.rank is None for layer in every.layers.values() if layer.shape[1] > 20} == {True}


@pytest.mark.parametrize("method", ["svd", "cp"])
def test_without_pictures_every_layer_gives_up_the_same_share(method):
    net = lsr.RRDBNet.random(num_feat=32, num_block=1, num_grow_ch=16, method="im2col")
    every = choose.candidates(net, dict.fromkeys(set(net.layers) - {"conv_first", "conv_last"}), method, in_flops)
    choices = choose.within_cost(every, 2)
    assert sum(each.costs[i] for each, i in zip(every, choices, strict=True)) <= net.flops(1, 1) / 2
    inner = [(each, i) for each, i in zip(every, choices, strict=True) if len(each.ranks) > 1]
    assert len(inner) == len(net.layers) - 2
    shares = [each.costs[i] / each.costs[0] for each, i in inner]
    assert max(shares) <= 0.5 + 8 / 64  # a step of ranks is at most 8 of 64
    step = max((each.costs[2] - each.costs[1]) / each.costs[0] for each, _ in inner)
    assert max(shares) - min(shares) < 2 * step  # what is left of the budget buys some layers a rank more


def test_budgets_over_given_costs():
    """Two equal layers, one of which matters a thousand times more: it gets the higher rank."""
    net = lsr.RRDBNet.random(num_feat=64, num_block=1, num_grow_ch=32, method="im2col")
    curve = np.linspace(1, 0, 193)
    weights = {"upconv1": 1.0, "trunk_conv": 1e-3}
    sensitivities = {name: Sensitivity(curve, weight) for name, weight in weights.items()}
    every = choose.candidates(net, sensitivities, "svd", in_flops)
    dense = sum(each.costs[0] for each in every)
    assert dense == net.flops(1, 1)
    choices = choose.within_cost(every, 1.05)
    assert sum(each.costs[i] for each, i in zip(every, choices, strict=True)) <= dense / 1.05
    chosen = {name: each.ranks[i] for name, each, i in zip(net.layers, every, choices, strict=True)}
    assert chosen["upconv1"] is None or chosen["upconv1"] > chosen["trunk_conv"]
    loss = choose.within_loss(every, 1e-4)
    assert sum(each.losses[i] for each, i in zip(every, loss, strict=True)) <= 1e-4


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
        ({"rank": 3, "target": "joules"}, "'joules': expected one of flops, measured"),
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


def test_calibration_pictures_are_shared_out():
    large, small = photograph(0, 512), photograph(1, 256)
    crops = calibration.crops([large, small], 4)
    assert crops.low.shape == (5, 64, 64, 3)  # four tiles of the large one, the share of each being four, and one
    np.testing.assert_array_equal(crops.high[4], small)
    np.testing.assert_allclose(crops.low[4], lsr.imresize(small, 1 / 4).clip(0, 1), atol=0.5 / 255 + EPS)
    assert len(calibration.crops([large] * 9, 4).low) == calibration.CROPS


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
    small = lsr.load(out)
    assert written["totals"]["bytes_after"] == out.stat().st_size
    assert written["totals"]["bytes_after"] < written["totals"]["bytes_before"]
    assert written["layers"] == small.meta["compression"]["layers"]
    assert str(tmp_path) not in json.dumps(small.meta)
    assert main(["info", str(out)]) == 0
    assert main(["compress", str(out), "-o", str(tmp_path / "twice.npz"), "--rank", "2"]) == 2
    assert "is compressed already" in capsys.readouterr().err
    assert main(["compress", str(dense), "-o", str(tmp_path / "nowhere" / "a.npz"), "--rank", "2"]) == 2
    assert "in a folder that exists" in capsys.readouterr().err
