import numpy as np
import pytest
from tiny_study import opened

import lowrank_sr as lsr
from lowrank_sr.study.measure import crops, full_size, layers, networks, spectra, sweeps
from lowrank_sr.study.technique import CP_KERNEL, REFERENCE, SVD_FITTED_WINOGRAD, SVD_KERNEL, Technique


def same_layers(net, other):
    return all(
        np.array_equal(array, other.layers[name].arrays()[key])
        for name, layer in net.layers.items()
        for key, array in layer.arrays().items()
    )


def test_a_factorised_network_is_kept(root, tmp_path, monkeypatch):
    study = opened(root, tmp_path)
    first = networks.network(study, SVD_KERNEL)
    assert (tmp_path / "networks" / "svd.npz").exists()
    monkeypatch.setattr(networks, "compress", lambda *_, **__: pytest.fail("compressed again"))
    assert same_layers(networks.network(study, SVD_KERNEL), first)


@pytest.mark.parametrize("changed", [{"weights": "other.npz"}, {"seed": 1}])
def test_another_studys_network_is_not_used(root, tmp_path, changed):
    """CP's factors depend on the seed, and all of them on the network."""
    networks.network(opened(root, tmp_path), CP_KERNEL)
    (tmp_path / "first").mkdir()
    study = opened(root, tmp_path, **changed)
    net = networks.network(study, CP_KERNEL)
    assert same_layers(net, networks.compressed(study, CP_KERNEL, speedup=networks.TABLE1_SPEEDUP))
    assert not same_layers(net, networks.network(opened(root, tmp_path / "first"), CP_KERNEL))


def test_a_damaged_network_is_not_used(root, tmp_path):
    study = opened(root, tmp_path)
    first = networks.network(study, SVD_KERNEL)
    (tmp_path / "networks" / "svd.npz").write_bytes(b"PK")
    assert same_layers(networks.network(study, SVD_KERNEL), first)


def test_a_technique_is_computed_by_its_method(root, tmp_path):
    study = opened(root, tmp_path, methods=("direct", "winograd", "svd"))
    assert networks.network(study, REFERENCE).method == "direct"
    assert networks.network(study, SVD_KERNEL).method == "direct"
    assert networks.network(study, Technique("svd", method="winograd")).method == "winograd"
    assert study.techniques[-1] == SVD_FITTED_WINOGRAD


def test_speeds_are_over_the_first_network(root):
    net = lsr.load(root / "tiny.npz", method="direct")
    small = lsr.compress(net, "svd", rank=1, images=()).with_method("direct")
    speeds = networks.compare_networks({REFERENCE: net, SVD_KERNEL: small}, side=8, rounds=3)
    dense, pair = speeds[REFERENCE], speeds[SVD_KERNEL]
    assert dense.measured.speedup == dense.measured.speedup_low == dense.measured.speedup_high == 1
    assert pair.gflop == small.flops(8, 8) / 1e9
    assert pair.theoretical_speedup == net.flops(8, 8) / small.flops(8, 8)
    assert pair.measured.gflops == net.flops(8, 8) / pair.measured.seconds / 1e9
    assert pair.measured.seconds_low <= pair.measured.seconds <= pair.measured.seconds_high


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


def test_the_layers_variants(root, tmp_path):
    study = opened(root, tmp_path, methods=("direct", "winograd", "svd", "cp"))
    name = "RRDB_trunk.0.RDB1.conv5"
    area = layers.distinct(study.net)[name]
    timed = layers.layer_times(study, name, area)
    names = [row.technique.name for row in timed.rows]
    assert names == ["direct", "winograd", *2 * ["svd", "svd winograd", "cp"], "cp"]
    assert [row.poster_bound for row in timed.rows] == [None] * 4 + [False, None, None, False, True]
    assert timed.rows[0].measured.speedup == 1


def test_every_shape_is_measured_once(root):
    net = lsr.load(root / "tiny.npz")
    kinds = {(layer.shape, net.area(name)) for name, layer in net.layers.items()}
    assert len(layers.distinct(net)) == len(kinds)


def test_full_size_factorises_the_dense_blocks():
    net = full_size.factorised(lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8), "cp", 4, "direct")
    for name, layer in net.layers.items():
        assert isinstance(layer, lsr.CP if name.startswith("RRDB_trunk.") else lsr.Dense)


def test_the_detail_is_where_the_estimates_differ_most():
    rng = np.random.default_rng(0)
    first = rng.random((150, 180, 3), dtype=np.float32)
    second, third = first.copy(), first.copy()
    second[40:130, 70:160] += np.float32(0.5)
    square = crops.most_different([first, second, third], border=4)
    assert square.side == 96
    assert square.top <= 40 < 130 <= square.top + square.side
    assert square.left <= 70 < 160 <= square.left + square.side


def test_the_detail_stays_inside_the_border():
    picture = np.zeros((110, 120, 3), np.float32)
    corner = picture.copy()
    corner[-20:, -20:] = 1
    square = crops.most_different([picture, picture, corner], border=4)
    assert (square.top + square.side, square.left + square.side) == (106, 116)
