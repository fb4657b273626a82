"""How far a network looks, measured."""

import argparse
import json

import numpy as np
import pytest
from test_rrdbnet import random_net

import lowrank_sr as lsr
from lowrank_sr.commands import upscale
from lowrank_sr.machine import remembered
from lowrank_sr.network import overlap as module
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.footprint import alignment, receptive_field
from lowrank_sr.network.overlap import digest, largest_changes, measure_overlap, overlap_from, overlap_of
from lowrank_sr.resources import NETWORKS, OVERLAPS

DEEP = random_net(Architecture(2, 8, 1, 0, 3, 3))  # a receptive field of 124 pixels
TINY = random_net(Architecture(4, 1, 2, 1, 3, 3))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(remembered, "_known", {})


@pytest.mark.parametrize(
    ("changes", "overlap"),
    [
        ([0] * 126, 0),
        ([9] * 13 + [0.2] * 113, 18),  # the first whole tile beyond
        ([9] * 12 + [0.25] * 114, 12),
        ([0] * 100 + [2] + [0] * 25, 102),  # farther counts, too
        ([9] * 126, 126),  # receptive field, in whole tiles
    ],
)
def test_the_overlap_is_where_nothing_beyond_moves_by_more_than_the_tolerance(changes, overlap):
    assert receptive_field(DEEP.architecture) == 124
    assert overlap_from(np.array(changes, float), DEEP) == overlap


def test_never_more_than_the_receptive_field():
    reach = receptive_field(TINY.architecture)
    assert overlap_from(np.full(126, 9.0), TINY) == reach + -reach % 6 < 126


@pytest.mark.slow
@pytest.mark.parametrize("unshuffle", [1, 2])
def test_what_is_measured_falls_off_and_ends_with_the_receptive_field(unshuffle):
    net = random_net(Architecture(4, 1, 2, 1, 3 * unshuffle**2, 3))
    changes = largest_changes(net)
    assert changes.shape == (126 * unshuffle,)
    reach = receptive_field(net.architecture)
    assert changes[0] > 1 > changes[reach:].max()  # beyond it float32 rounds tiles that lie differently
    overlap = overlap_from(changes, net)
    assert 0 < overlap <= reach + alignment(net.architecture)
    assert overlap % alignment(net.architecture) == 0


@pytest.mark.slow
def test_the_bundled_figures_are_those_of_the_bundled_networks():
    bundled = json.loads(OVERLAPS.read_text())
    networks = {name: lsr.load(name) for name in NETWORKS}
    assert list(bundled) == [digest(net) for net in networks.values()]
    assert measure_overlap(networks["psnr-small"]) == bundled[digest(networks["psnr-small"])]
    for name, net in networks.items():
        assert f"{overlap_of(net)} for {name}" in help_of_upscale(), name


def help_of_upscale():
    parser = argparse.ArgumentParser()
    upscale.add_options(parser)
    return " ".join(parser.format_help().split()).replace("- ", "-")


def test_an_overlap_is_measured_once(monkeypatch, elsewhere):
    calls = []
    monkeypatch.setattr(module, "measure_overlap", lambda net: calls.append(net) or 12)
    assert overlap_of(TINY) == overlap_of(lsr.RRDBNet(TINY.layers, "direct")) == 12
    assert len(calls) == 1
    monkeypatch.setattr(remembered, "_known", {})  # another process
    assert overlap_of(TINY) == 12
    assert len(calls) == 1
    assert overlap_of(DEEP) == 12
    assert len(calls) == 2


def test_no_number_of_a_network_may_change_unseen():
    last = TINY.layers["conv_last"]
    other = lsr.RRDBNet({**TINY.layers, "conv_last": lsr.Dense(last.weight, last.bias + np.float32(1e-3))})
    assert digest(other) != digest(TINY)
    assert digest(lsr.RRDBNet(TINY.layers, "winograd")) == digest(TINY)


@pytest.mark.parametrize("kept", ["many", -6, 1.5, 10**6, None, True])
def test_a_figure_that_cannot_be_is_measured_anew(monkeypatch, elsewhere, kept):
    monkeypatch.setattr(remembered, "_known", {module._file(): {digest(TINY): kept}})
    monkeypatch.setattr(module, "measure_overlap", lambda net: 6)
    assert overlap_of(TINY) == 6


def test_figures_measured_otherwise_do_not_count(monkeypatch):
    name = module._file()
    monkeypatch.setattr(module, "TOLERANCE", 2)
    assert module._file() != name


def test_networks_of_other_channels_in_tiles(elsewhere):
    net = random_net(Architecture(4, 1, 2, 1, 6, 6))
    image = np.random.default_rng(0).random((150, 120, 6), dtype=np.float32)
    with pytest.raises(lsr.InputError, match="even in small tiles"):
        lsr.enlarge(net, image, memory=10**5)  # which no overlap would change: nothing is measured
    assert overlap_of(net) <= receptive_field(net.architecture) + 6


def test_a_picture_that_fits_whole_needs_no_overlap(monkeypatch):
    monkeypatch.setattr(module, "measure_overlap", lambda net: pytest.fail("measured"))
    fresh = random_net(TINY.architecture, seed=99)
    assert lsr.enlarge(fresh, np.zeros((9, 8, 3), np.uint8)).shape == (18, 16, 3)
