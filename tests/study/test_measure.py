from dataclasses import replace

import numpy as np
import pytest
from example_results import QUIET
from tiny_study import opened

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.pictures.images import Image, read_image
from lowrank_sr.pictures.metrics import fidelity, ssim
from lowrank_sr.pictures.niqe import niqe
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.pictures.sharpness import sharpness
from lowrank_sr.resources import IMAGES
from lowrank_sr.study import extent
from lowrank_sr.study.measure import (
    ablation,
    blur,
    crops,
    layers,
    networks,
    quality,
    spectra,
    speed,
    sweeps,
)
from lowrank_sr.study.settings import open_studies
from lowrank_sr.study.technique import (
    CP_KERNEL,
    REFERENCE,
    SVD_BUNDLED_WINOGRAD,
    SVD_FITTED_WINOGRAD,
    SVD_KERNEL,
    Technique,
)

pytestmark = pytest.mark.slow


def same_layers(net, other):
    return all(
        np.array_equal(array, other.layers[name].arrays()[key])
        for name, layer in net.layers.items()
        for key, array in layer.arrays().items()
    )


def test_a_factorised_network_is_kept(root, tmp_path, monkeypatch):
    study = opened(root, tmp_path)
    first = networks.network(study, SVD_KERNEL)
    assert (tmp_path / "tiny" / "networks" / "svd.npz").exists()
    monkeypatch.setattr(networks, "at_speedup", lambda *_, **__: pytest.fail("compressed again"))
    assert same_layers(networks.network(study, SVD_KERNEL), first)


@pytest.mark.parametrize("changed", [{"weights": "other.npz"}, {"seed": 1}])
def test_another_studys_network_is_not_used(root, tmp_path, changed):
    """CP's factors depend on the seed, and all of them on the network."""
    networks.network(opened(root, tmp_path), CP_KERNEL)
    (tmp_path / "first").mkdir()
    study = opened(root, tmp_path, **changed)
    net = networks.network(study, CP_KERNEL)
    assert same_layers(net, networks.at_speedup(study, "cp", "kernel", networks.TABLE1_SPEEDUP))
    assert not same_layers(net, networks.network(opened(root, tmp_path / "first"), CP_KERNEL))


def test_a_damaged_network_is_computed_again(root, tmp_path, capsys):
    study = opened(root, tmp_path)
    first = networks.network(study, SVD_KERNEL)
    path = tmp_path / "tiny" / "networks" / "svd.npz"
    path.write_bytes(b"PK")
    assert same_layers(networks.network(study, SVD_KERNEL), first)
    assert f"{path}: is damaged: the network is computed again" in capsys.readouterr().err
    changed = lsr.load(path)
    doubled = lsr.Dense(2 * changed.layers["conv_first"].weight, changed.layers["conv_first"].bias)
    lsr.RRDBNet(dict(changed.layers) | {"conv_first": doubled}, meta=changed.meta).save(path)
    assert same_layers(networks.network(study, SVD_KERNEL), first)
    assert f"{path}: has been changed: the network is computed again" in capsys.readouterr().err


def test_a_technique_is_computed_by_its_method(root, tmp_path):
    study = opened(root, tmp_path, methods=("direct", "winograd", "svd"))
    assert networks.network(study, REFERENCE).method == "direct"
    assert networks.network(study, SVD_KERNEL).method == "direct"
    assert networks.network(study, Technique("svd", method="winograd")).method == "winograd"
    assert study.techniques[-1] == SVD_FITTED_WINOGRAD


def test_speeds_are_over_the_dense_network(root):
    net = lsr.load(root / "tiny.npz", method="direct")
    small = lsr.compress(net, "svd", rank=1, images=()).with_method("winograd")
    pair = speed.compare_with(net, {SVD_KERNEL: small}, side=8, rounds=3)[SVD_KERNEL]
    assert pair.gflop == small.flops(8, 8) / 1e9
    assert pair.theoretical_speedup == net.flops(8, 8) / small.flops(8, 8)
    assert pair.measured.gflops == net.flops(8, 8) / pair.measured.seconds / 1e9
    assert pair.measured.seconds_low <= pair.measured.seconds <= pair.measured.seconds_high
    assert pair.measured.rounds == 3
    # all layers but the first and the last are pairs: 8 of 18 multiplications, 7 of 18 over an enlarged map; of the
    # others 64 of 324
    work = {name: flops.per_pixel(layer) * net.architecture.area(name) / 2 for name, layer in small.layers.items()}
    shares = {name: 7 / 18 if name.startswith("upconv") else 8 / 18 for name in work} | dict.fromkeys(
        networks.ENDS, 64 / 324
    )
    expected = 64 * sum(shares[name] * work[name] for name in work) / 1e9
    assert pair.multiplications == pytest.approx(expected)


def test_colours_are_matched():
    rng = np.random.default_rng(0)
    picture = rng.random((9, 8, 3), dtype=np.float32)
    tinted = picture * np.float32([0.5, 0.8, 2]) + np.float32([0.1, -0.2, 0])
    np.testing.assert_allclose(quality.matched(tinted, picture), picture, atol=1e-6)  # a few eps of values below 2


def test_quality_beside_the_dense_network_and_by_itself(root, tmp_path):
    high = read_image(IMAGES / "chelsea.png").pixels[50:258, 100:308]  # two blocks of NIQE a side
    low = imresize(high, 1 / 4)
    study = replace(opened(root, tmp_path), pictures=(("cat", Image(low), Image(high)),))
    small, dense = networks.network(study, SVD_KERNEL), study.net.with_method("winograd")
    picture, reference = small(low), dense(low)
    found = quality.of_network(study, small)
    assert found.fidelity == pytest.approx(fidelity(picture, reference), abs=1e-3)  # float32
    assert found.fidelity_ssim == pytest.approx(ssim(picture, reference, channels="rgb"), abs=1e-3)
    assert found.sharpness == pytest.approx(sharpness(picture, reference), rel=1e-3)
    bicubic = quality.bicubic(study)
    assert bicubic.niqe == pytest.approx(niqe(imresize(low, 4), crop=4))
    assert bicubic.fidelity == pytest.approx(fidelity(imresize(low, 4), reference), abs=1e-3)
    itself = quality.of_network(study, dense)
    assert (itself.fidelity, itself.fidelity_ssim, itself.sharpness) == (None, None, None)


def test_the_nearest_blur_is_found():
    rng = np.random.default_rng(0)
    dense = blur.blurred(rng.random((60, 50, 3)), 1.0)
    found = blur.nearest(dense, blur.blurred(dense, 0.8))
    assert found.sigma == pytest.approx(0.8, abs=2 * blur.RESOLUTION)
    near = blur.blurred(dense, 0.8 + 2 * blur.RESOLUTION) - blur.blurred(dense, 0.8)  # the farthest that is accepted
    change = dense - blur.blurred(dense, 0.8)
    assert found.explained >= 1 - np.square(near.mean(2)).sum() / np.square(change.mean(2)).sum()
    noise = rng.standard_normal(dense.shape)
    noise *= np.linalg.norm(change.mean(2)) / np.linalg.norm(noise.mean(2))  # as far, and no blur
    noisy, both = (blur.nearest(dense, dense + each) for each in (noise, noise - change))
    assert noisy.explained < 0.1 < 0.3 < both.explained
    sharpened = 2 * dense - blur.blurred(dense, 0.8)
    assert blur.nearest(dense, sharpened) == (0.0, 0.0)


def test_a_gaussian_is_measured_as_networks_are(root, tmp_path):
    study = opened(root, tmp_path)
    plain = quality.of_blur(study, 0.7)
    dense = quality.dense_pictures(study)
    expected = [fidelity(blur.blurred(picture, 0.7), picture) for picture in dense.values()]
    assert plain.fidelity == pytest.approx(np.mean(expected))
    assert plain.blur_sigma == pytest.approx(0.7, abs=2 * blur.RESOLUTION)
    wider = quality.of_blur(study, 0.7 + 2 * blur.RESOLUTION)
    assert abs(plain.blur_psnr_rgb - plain.psnr_rgb) <= abs(wider.psnr_rgb - plain.psnr_rgb) + 1e-3  # of 8-bit values


def test_the_bundled_form_is_the_shipped_one(tmp_path):
    deep, _ = open_studies(tmp_path, [], None, True, None, 0)
    net = networks.network(deep, SVD_BUNDLED_WINOGRAD)
    assert net.method == "winograd"
    assert same_layers(net, lsr.load("realesrgan-x4plus-svd"))
    assert not (deep.folder / "networks").exists()


def test_the_same_network_is_not_enlarged_twice(root, tmp_path, monkeypatch):
    study = opened(root, tmp_path)
    small = networks.network(study, SVD_KERNEL)
    first = quality.of_network(study, small)
    assert first.fidelity_matched > first.fidelity
    assert quality.of_network(study, study.net.with_method("direct")).fidelity_matched is None
    monkeypatch.setattr(quality, "enlarge", lambda *_: pytest.fail("enlarged again"))
    assert quality.of_network(study, lsr.RRDBNet(small.layers, "direct")) is first


def test_every_ablation_has_what_its_causes_and_table_1_need():
    for some in (extent.EVERY, extent.ESSENTIAL, extent.OF_DEEP):
        assert set(some) <= set(extent.EVERY)
        assert {("uniform", "all", "bias"), ("uniform", "blocks", "kernel"), ("chosen", "all", "fitted")} <= set(some)
        kernels = {layers for _, layers, factors in some if factors == "kernel"}
        assert kernels == {"all", "blocks", "outside", "marked", "unmarked"}


@pytest.mark.parametrize("layers", ["all", "blocks", "outside", "marked", "unmarked"])
def test_what_the_ablation_factorises(root, tmp_path, layers):
    study = opened(root, tmp_path)
    row = ablation.ablated(study, "svd", "uniform", layers, "kernel")
    net = ablation.combination(study, "svd", "uniform", layers, "kernel")
    marked = set(spectra.condition_numbers(study.net).marked)
    for name, layer in net.layers.items():
        if layer.rank is not None:
            assert name not in ("conv_first", "conv_last")
            assert layers not in ("blocks", "outside") or name.startswith("RRDB") == (layers == "blocks")
            assert layers not in ("marked", "unmarked") or (name in marked) == (layers == "marked")
    assert row.factorised == sum(layer.rank is not None for layer in net.layers.values())
    assert row.theoretical_speedup == pytest.approx(study.net.flops(8, 8) / net.flops(8, 8))


@pytest.mark.parametrize("factors", ["bias", "fitted"])
@pytest.mark.parametrize("layers", ["blocks", "marked"])
def test_the_ablation_shares_fits_where_they_are_the_same(root, tmp_path, layers, factors):
    """A fit goes from the first layer to the last: without the layers behind, the blocks' biases are the same."""
    study = opened(root, tmp_path)
    ranks = networks.uniform_ranks(study, "svd", 2)
    names = networks.chosen_layers(study.net, layers)
    alone = networks.factorised(study, "svd", {name: rank for name, rank in ranks.items() if name in names}, factors)
    assert same_layers(ablation.combination(study, "svd", "uniform", layers, factors), alone)


def test_the_fitted_network_of_all_layers_has_its_dense_layers_fitted(root, tmp_path):
    study = opened(root, tmp_path)
    net = networks.network(study, Technique("svd", "fitted"))
    assert same_layers(net, networks.at_speedup(study, "svd", "fitted", networks.TABLE1_SPEEDUP))
    assert not np.array_equal(net.layers["conv_last"].weight, study.net.layers["conv_last"].weight)


def test_one_layer_alone(root, tmp_path):
    study = opened(root, tmp_path)
    row = ablation.alone(study, "upconv1")
    net, _, _ = ablation.layer_alone(study, "upconv1")
    assert [name for name, layer in net.layers.items() if layer.rank is not None] == ["upconv1"]
    assert flops.per_pixel(net.layers["upconv1"]) * 2 <= flops.per_pixel(study.net.layers["upconv1"])
    assert row.rank == net.layers["upconv1"].rank
    assert "upconv1" in ablation.layers_alone(study)
    assert not any(name.startswith("RRDB") for name in ablation.layers_alone(study))  # of a quick study


@pytest.mark.parametrize(("measure", "value"), [(sweeps.at_condition, 1e9), (sweeps.above_limit, 0.0)])
def test_without_the_guard_ranks_are_those_of_the_threshold(root, tmp_path, measure, value):
    """Here every singular value is kept, and every layer would cost more than it does dense."""
    study = opened(root, tmp_path)
    point = measure(study, value)
    assert point.network is None
    assert point.refused == "no layer would cost less than it does dense"
    assert point.unguarded.theoretical_speedup < 1
    assert point.unguarded.factorised == len(networks.inner_layers(study.net))


def test_a_limit_drops_the_fraction_asked_for(root, tmp_path):
    study = opened(root, tmp_path)
    point = sweeps.above_limit(study, 0.75)
    sigma = np.concatenate(list(networks.inner_singular_values(study.net).values()))
    assert np.mean(sigma < point.limit) == pytest.approx(0.75, abs=1 / len(sigma))


def test_a_refused_point_says_why(root, tmp_path):
    point = sweeps.at_speedup(opened(root, tmp_path), SVD_KERNEL, 1000)
    assert point.network is None
    assert "1000" in point.refused
    assert sweeps.measured([point]) == []


def test_the_threshold_marks_the_fraction_asked_for(root, tmp_path):
    study = opened(root, tmp_path)
    point = sweeps.above_threshold(study, 0.25)
    inner = len(study.net.layers) - 2
    assert point.marked == round(0.25 * inner)
    kappas = [row.condition for row in spectra.condition_numbers(study.net).layers[1:-1]]
    assert sum(kappa > point.threshold for kappa in kappas) == point.marked


def test_the_widest_gap():
    assert spectra.widest_gap([1, 100, 5, 12]) == pytest.approx(np.sqrt(1200))
    assert spectra.widest_gap([1, 2, 3]) == pytest.approx(np.sqrt(2))


def test_singular_kernels_have_one_condition_number():
    """Rounding alone keeps the smallest singular value of a kernel with a dead filter away from zero."""
    rounding = np.array([1.0, 0.5, 1e-17])
    for sigma in (rounding, np.array([2.0, 0.0]), np.zeros(3)):
        assert spectra.condition(sigma) == spectra.LARGEST_CONDITION
    assert spectra.condition(np.array([3.0, 1.5])) == 2


def test_a_dead_filter_in_every_layer_marks_none(root, tmp_path):
    study = opened(root, tmp_path)
    dead = {}
    for name, layer in study.net.layers.items():
        weight = layer.weight.copy()
        weight[0] = 0
        dead[name] = lsr.Dense(weight, layer.bias)
    study = replace(study, net=lsr.RRDBNet(dead))
    found = spectra.condition_numbers(study.net)
    assert found.marked == ()
    assert {row.condition for row in found.layers[1:-1]} == {spectra.LARGEST_CONDITION}
    point = sweeps.above_threshold(study, 0.5)
    assert (point.marked, point.network) == (0, None)
    assert point.refused


def test_the_layers_variants(root, tmp_path):
    study = opened(root, tmp_path, methods=("direct", "winograd", "svd", "cp"))
    name = "RRDB_trunk.0.RDB1.conv5"
    area = layers.distinct(study.net)[name]
    timed = layers.layer_times(study, name, area)
    names = [row.technique.name for row in timed.rows]
    assert names == ["direct", "winograd", "svd", "svd winograd", "cp", "cp"]
    assert [row.poster_bound for row in timed.rows] == [None] * 4 + [False, True]
    assert timed.rows[0].measured.speedup == timed.rows[0].measured.speedup_high == 1
    assert all(row.measured.rounds == study.extent.rounds for row in timed.rows)


def test_a_layer_of_a_dense_block_is_timed_in_its_block(root, tmp_path, monkeypatch):
    """By this test's clock layer k takes k + 1 seconds alone, a block half of what its layers take."""
    asked = []

    def in_turn(runs, rounds):
        asked.append(len(runs))
        seconds = {key: float(key[-1]) + 1 if "layer" in key else 7.5 for key in runs}
        return {key: [each] * rounds for key, each in seconds.items()}, QUIET

    monkeypatch.setattr(layers, "in_turn", in_turn)
    layers._times.cache_clear()
    study = opened(root, tmp_path, methods=("direct", "winograd", "svd"))
    for k in range(5):
        timed = layers.layer_times(study, f"RRDB_trunk.0.RDB1.conv{k + 1}", 1.0)
        assert {row.measured.seconds for row in timed.rows} == {(k + 1) / 2}
    assert asked == [4 * 6]  # once for all five: each way as a block, and its layers alone
    alone = layers.layer_times(study, "trunk_conv", 1.0)
    assert {row.measured.seconds for row in alone.rows} == {7.5}
    layers._times.cache_clear()


def test_every_shape_is_measured_once(root):
    net = lsr.load(root / "tiny.npz")
    kinds = {(layer.shape, net.architecture.area(name)) for name, layer in net.layers.items()}
    assert len(layers.distinct(net)) == len(kinds)


def test_the_detail_is_where_the_estimates_differ_most():
    rng = np.random.default_rng(0)
    first = rng.random((150, 180, 3), dtype=np.float32)
    second, third = first.copy(), first.copy()
    second[40:130, 70:160] += np.float32(0.5)
    square = crops.most_different([first, second, third], border=4)
    assert square.side == 128
    assert square.top <= 40 < 130 <= square.top + square.side
    assert square.left <= 70 < 160 <= square.left + square.side


def test_the_detail_stays_inside_the_border():
    picture = np.zeros((110, 120, 3), np.float32)
    corner = picture.copy()
    corner[-20:, -20:] = 1
    square = crops.most_different([picture, picture, corner], border=4)
    assert (square.top + square.side, square.left + square.side) == (106, 116)
