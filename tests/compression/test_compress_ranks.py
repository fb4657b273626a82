"""Which ranks layers can have, what they cost, and the best of them within a budget."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression import prices, ranks
from lowrank_sr.compression.network import ENDS
from lowrank_sr.compression.prices import TARGETS, Target
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.conv import timing
from lowrank_sr.errors import InputError
from lowrank_sr.network.multiplications import multiplications_per_pixel

FORMS = ["svd", "cp"]


def inner(net):
    """The layers that are compressed, with nothing known of their sensitivity."""
    return dict.fromkeys(name for name in net.layers if name not in ENDS)


def cost(every, chosen):
    return sum(layer.costs[layer.ranks.index(chosen.get(name))] for name, layer in every.items())


def loss(every, chosen):
    return sum(layer.losses[layer.ranks.index(chosen.get(name))] for name, layer in every.items())


@pytest.mark.parametrize("target", ["flops", "multiplications"])
@pytest.mark.parametrize("form", FORMS)
def test_ranks_by_what_is_counted_are_the_same_on_every_machine(monkeypatch, form, target):
    net = lsr.RRDBNet.random(num_block=1, method="im2col")
    every = []
    for lanes in (4, 8, 16, 32):
        monkeypatch.setattr(prices, "LANES", lanes)
        every.append(ranks.candidates(net, inner(net), form, TARGETS[target]))
    assert all(one == every[0] for one in every)
    for name, layer in every[0].items():
        assert all(rank % prices.RANK_STEP == 0 for rank in layer.ranks[2:])
        if name not in ENDS:
            break_even = flops.break_even(form, *net.layers[name].shape)
            assert layer.ranks[1] <= break_even * ranks.LEAST_SHARE + prices.RANK_STEP
            assert break_even - layer.ranks[-1] <= prices.RANK_STEP


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_ranks_by_time_are_whole_vectors(monkeypatch, lanes):
    monkeypatch.setattr(prices, "LANES", lanes)
    assert prices.vector_ranks(96) == list(range(lanes, 96, lanes))
    assert prices.vector_ranks(5.5) == [1, 2, 3, 4, 5]


def test_ranks_of_narrow_layers_are_one_apart():
    assert prices.fixed_ranks(16) == list(range(1, 16))
    assert prices.fixed_ranks(1) == []
    assert prices.fixed_ranks(40) == [4, 8, 16, 24, 32]


@pytest.mark.parametrize("form", FORMS)
def test_six_times_fewer_flops_from_the_kernels_alone(form):
    net = lsr.RRDBNet.random(num_block=1, method="im2col")  # psnr-small's shapes, and a third of its layers
    chosen = ranks.within_cost(ranks.candidates(net, inner(net), form, TARGETS["flops"]), 6.0)
    after = sum(
        net.architecture.area(name) * flops.factorised(form, *layer.shape, chosen[name])
        if name in chosen
        else net.architecture.area(name) * flops.per_pixel(layer)
        for name, layer in net.layers.items()
    )
    assert net.flops_per_pixel / after >= 6


@pytest.mark.parametrize("form", FORMS)
def test_a_speedup_by_multiplications_is_one_over_the_best_exact_method(form):
    net = lsr.RRDBNet.random(num_feat=32, num_block=1, num_grow_ch=16, method="im2col")
    small = lsr.compress(net, form, speedup=1.3, images=(), target="multiplications")
    before, after = multiplications_per_pixel(net), multiplications_per_pixel(small)
    assert 1.3 <= before / after < 1.4
    totals = small.meta["compression"]["totals"]
    assert (totals["multiplications_before"], totals["multiplications_after"]) == (before, after)
    # Winograd saves 5.06 of a dense layer, F(6, 3) 2.25 of a pair and nothing of CP: a pair is worth it from 2.25 on
    assert totals["theoretical_speedup"] > (2 if form == "svd" else 4)


@pytest.mark.parametrize("target", ["flops", "multiplications"])
def test_a_layer_stays_dense_where_its_factors_cost_more_by_the_target(target):
    """The break-even rank of 16 x 16 is 24 by FLOPs and 24 / 2.25 = 10.7 by multiplications."""
    net = lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8, method="im2col")
    for rank in (10, 11, 23, 24):
        if rank >= (24 if target == "flops" else 11):
            with pytest.raises(InputError, match=f"rank {rank}: no layer would cost less than it does dense"):
                lsr.compress(net, rank=rank, layers="trunk_conv", images=(), target=target)
        else:
            assert lsr.compress(net, rank=rank, layers="trunk_conv", images=(), target=target).layers["trunk_conv"].rank


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_six_times_fewer_flops_of_the_bundled_network(form):
    small = lsr.compress(lsr.load("psnr-small", method="winograd"), method=form, speedup=6.0, images=())
    assert 6 <= small.meta["compression"]["totals"]["theoretical_speedup"] < 6.3  # a step is a small part of a layer


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_six_times_fewer_flops_with_fitted_factors(form):
    net = lsr.RRDBNet.random(num_block=1, method="winograd")
    images = [np.random.default_rng(0).random((256, 256, 3), dtype=np.float32)]
    assert (
        lsr.compress(net, method=form, speedup=6.0, images=images).meta["compression"]["totals"]["theoretical_speedup"]
        >= 6
    )


def test_seconds_as_cost(monkeypatch):
    """By this test's clock a pair takes as long as the dense layer from 20 input channels on, and half elsewhere."""
    net = lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8, method="im2col")

    def costs(net, form, ranks):
        times = {name: 1.0 if net.layers[name].shape[1] > 20 else 0.5 for name in ranks}
        return {name: [1.0, *[times[name]] * len(ranks[name])] for name in ranks}

    monkeypatch.setitem(TARGETS, "measured", Target(costs, prices.vector_ranks))
    small = lsr.compress(net, rank=2, images=(), target="measured")
    for name, layer in small.layers.items():
        assert (layer.rank is None) == (layer.shape[1] > 20 or name in ENDS)
    budget = lsr.compress(net, speedup=1.2, images=(), target="measured")
    assert {layer.rank is None for layer in budget.layers.values() if layer.shape[1] > 20} == {True}


def test_seconds_are_measured_once_for_each_number_of_threads(monkeypatch):
    net, measured = lsr.RRDBNet.random(num_feat=8, num_block=2, num_grow_ch=4), []

    def least_seconds(contestants):
        measured.append(prices.thread_count())
        return dict.fromkeys(contestants, float(prices.thread_count()))

    monkeypatch.setattr(prices.timing, "least_seconds", least_seconds)
    monkeypatch.setattr(prices, "of_dense_block", lambda layers, method: ["im2col"] * len(layers))
    monkeypatch.setattr(prices, "thread_count", lambda: threads)
    prices._seconds.cache_clear()
    for threads in (1, 2, 1, 2):
        seconds = prices.in_seconds(net, "cp", {"upconv1": [4, 8]})
        assert seconds == {"upconv1": [threads / timing.SIDE**2] * 3}
    # conv_first, a dense block, trunk_conv, upconv1 with its ranks, upconv2 as HRconv, conv_last
    assert measured == [1] * 6 + [2] * 6
    prices._seconds.cache_clear()


def test_layers_of_a_dense_block_are_timed_in_their_block(monkeypatch):
    """By this test's clock layer k takes 2^k as dense, its rank over 8 of that in factors, and a block half the sum."""
    net = lsr.RRDBNet.random(num_feat=64, num_block=1, num_grow_ch=32)

    def least_seconds(contestants):
        def seconds(layers):
            places = [(layer.shape[1] - 64) / 32 for layer in layers]  # k, by the input channels
            alone = [2.0**k * (layer.rank or 8) / 8 for k, layer in zip(places, layers, strict=True)]
            return sum(alone) / (1 if len(alone) == 1 else 2)

        return {name: seconds(each.layers) for name, each in contestants.items()}

    monkeypatch.setattr(prices.timing, "least_seconds", least_seconds)
    monkeypatch.setattr(prices, "of_dense_block", lambda layers, method: ["winograd"] * len(layers))
    prices._seconds.cache_clear()
    names = next(iter(net.architecture.dense_blocks().values()))
    given = dict(zip(names, ([8], [8, 16], [8, 16, 24], [], [8, 16, 24, 32, 40]), strict=True))
    seconds = prices.in_seconds(net, "svd", given)
    for k, (name, row) in enumerate(seconds.items()):
        assert row == pytest.approx([2**k / 2 * share / timing.SIDE**2 for share in (1, *(r / 8 for r in given[name]))])
    prices._seconds.cache_clear()


@pytest.mark.parametrize("form", FORMS)
def test_without_pictures_every_layer_gives_up_the_same_share(form):
    net = lsr.RRDBNet.random(num_feat=32, num_block=1, num_grow_ch=16, method="im2col")
    every = ranks.candidates(net, inner(net), form, TARGETS["flops"])
    chosen = ranks.within_cost(every, 2)
    assert cost(every, chosen) <= net.flops(1, 1) / 2
    compressed = [(layer, chosen[name]) for name, layer in every.items() if len(layer.ranks) > 1]
    assert len(compressed) == len(net.layers) - 2
    shares = [layer.costs[layer.ranks.index(rank)] / layer.costs[0] for layer, rank in compressed]
    assert max(shares) < 0.6
    step = max(max(np.diff(layer.costs[1:])) / layer.costs[0] for layer, _ in compressed)
    assert max(shares) - min(shares) < 2 * step  # what is left of the budget buys some layers a rank more


def test_budgets_over_given_costs():
    """Two equal layers, one of which matters a thousand times more: it gets the higher rank."""
    net = lsr.RRDBNet.random(num_feat=64, num_block=1, num_grow_ch=32, method="im2col")
    curve = np.linspace(1, 0, 193)
    weights = {"upconv1": 1.0, "trunk_conv": 1e-3}
    sensitivities = {name: Sensitivity(curve, weight) for name, weight in weights.items()}
    every = ranks.candidates(net, sensitivities, "svd", TARGETS["flops"])
    dense = cost(every, {})
    assert dense == net.flops(1, 1)
    chosen = ranks.within_cost(every, 1.05)
    assert cost(every, chosen) <= dense / 1.05
    assert "upconv1" not in chosen or chosen["upconv1"] > chosen["trunk_conv"]
    assert loss(every, ranks.within_loss(every, 1e-4)) <= 1e-4


def test_of_what_layers_in_dense_blocks_lose_a_part_is_left():
    """Two layers of one shape and one sensitivity, in a block and behind the blocks."""
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=8, method="im2col")
    alike = {name: Sensitivity(np.linspace(1, 0, 25), 2.0) for name in inner(net)}
    every = ranks.candidates(net, alike, "svd", TARGETS["flops"], 0.25)
    within, behind = every["RRDB_trunk.0.RDB1.conv1"], every["trunk_conv"]
    assert within.losses == pytest.approx([0.25 * loss for loss in behind.losses])
    assert every["RRDB_trunk.0.RDB1.conv5"].block.loss == 0.25 * 2
    assert behind.block is None


def without_blocks(net, losses):
    """Sensitivities of all inner layers alike, but for what the dense blocks are worth."""
    last = {names[-1]: losses[block] for block, names in net.architecture.dense_blocks().items()}
    return {name: Sensitivity(np.linspace(1, 0, 193), last.get(name, 1.0)) for name in inner(net)}


@pytest.mark.parametrize("target", ["flops", "multiplications"])
def test_a_dense_block_vanishes_where_that_costs_the_picture_least(target):
    net = lsr.RRDBNet.random(num_feat=64, num_block=1, num_grow_ch=32, method="im2col")
    names = net.architecture.dense_blocks()["RRDB_trunk.0.RDB2"]
    losses = {"RRDB_trunk.0.RDB1": 1e3, "RRDB_trunk.0.RDB2": 1e-6, "RRDB_trunk.0.RDB3": 1e3}
    every = ranks.candidates(net, without_blocks(net, losses), "svd", TARGETS[target])
    chosen = ranks.within_cost(every, 1.5)
    assert {name for name, rank in chosen.items() if rank == 0} == set(names)
    spent = sum(layer.costs[layer.ranks.index(chosen.get(name))] for name, layer in every.items() if name not in names)
    dense = cost(every, {})
    assert 0.9 * dense / 1.5 <= spent <= dense / 1.5  # what the block leaves goes to others
    assert set(ranks.within_loss(every, 1e-5)) >= set(names)
    assert 0 not in ranks.within_loss(every, 1e-7).values()
    worth_much = without_blocks(net, dict.fromkeys(net.architecture.dense_blocks(), 1e3))
    assert 0 not in ranks.within_cost(ranks.candidates(net, worth_much, "svd", TARGETS[target]), 1.5).values()


def test_more_than_factors_allow_is_reached_without_dense_blocks():
    net = lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8, method="im2col")
    factors = ranks.candidates(net, inner(net), "svd", TARGETS["flops"])
    most = cost(factors, {}) / sum(min(layer.costs) for layer in factors.values())
    with pytest.raises(InputError, match="expected at most"):
        ranks.within_cost(factors, 1.001 * most)
    losses = dict.fromkeys(net.architecture.dense_blocks(), 1e9)
    chosen = ranks.within_cost(
        ranks.candidates(net, without_blocks(net, losses), "svd", TARGETS["flops"]), 1.001 * most
    )
    assert 0 in chosen.values()


POINTS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 100)), min_size=1, max_size=3)


def together(layers):
    """Cost and loss of each combination of a candidate from every layer."""
    return [tuple(map(sum, zip(*each, strict=True))) for each in itertools.product(*layers)]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.lists(POINTS, min_size=1, max_size=2)), min_size=1, max_size=3),
    st.booleans(),
    st.floats(0, 1),
)
def test_blocks_that_may_vanish_near_brute_force(blocks, whole, fraction):
    """The loss is at most one step above the least: that of a block, and that of a layer with what is left."""
    every, choices, one_step = {}, [], 0
    for i, (vanished, layers) in enumerate(blocks):
        names = [f"{i}.{k}" for k in range(len(layers))]
        for name, points in zip(names, layers, strict=True):
            last = ranks.Block(names, float(vanished), whole) if name == names[-1] else None
            costs, losses = ([float(point[axis]) for point in points] for axis in (0, 1))
            every[name] = ranks.Candidates([None, *range(1, len(points))], costs, losses, last)
        forms = [layers]
        if whole:
            cheaper = [[point for point in points if point[0] < points[0][0]] or points[:1] for points in layers]
            forms = [[points[:1] for points in layers], cheaper]
        choices.append([*(point for form in forms for point in together(form)), (0, vanished)])
        one_step = max(one_step, max(point[1] for point in choices[-1]))
    most = sum(max(point[0] for point in row) for row in choices)
    budget = fraction * most
    least = min(
        sum(point[1] for point in each)
        for each in itertools.product(*choices)
        if sum(point[0] for point in each) <= budget
    )
    chosen = ranks._within(every, "costs", "losses", budget)
    spent = lost = 0.0
    for vanished, names in ((layer.block.loss, layer.block.names) for layer in every.values() if layer.block):
        if chosen.get(names[-1]) == 0:
            assert {chosen[name] for name in names} == {0}
            lost += vanished
            continue
        for name in names:
            index = every[name].ranks.index(chosen.get(name))
            spent, lost = spent + every[name].costs[index], lost + every[name].losses[index]
    assert spent <= budget
    assert lost <= least + one_step


@pytest.mark.parametrize("pictures", [True, False])
def test_a_dense_block_is_factorised_whole_or_not_at_all(pictures):
    """Where dense layers share work: each gets factors that are cheaper than itself, or stays dense for want of any."""
    net = lsr.RRDBNet.random(num_feat=64, num_block=2, num_grow_ch=32, method="im2col")
    rng = np.random.default_rng(0)
    weights = {name: 10.0 ** rng.uniform(-2, 0) * (1000 if name.endswith("conv5") else 1) for name in inner(net)}
    known = {name: Sensitivity(np.exp(-np.arange(193) / 8), weight) for name, weight in weights.items()}
    every = ranks.candidates(net, known if pictures else inner(net), "svd", TARGETS["multiplications"])
    found = set()
    for speedup in (1.05, 1.2, 1.5, 2):
        chosen = ranks.within_cost(every, speedup)
        assert cost({name: layer for name, layer in every.items() if chosen.get(name) != 0}, chosen) <= (
            cost(every, {}) / speedup
        )
        for names in net.architecture.dense_blocks().values():
            forms = {"dense" if name not in chosen else "factors" if chosen[name] else "nothing" for name in names}
            assert len(forms) == 1
            found |= forms
            for name in names:
                if chosen.get(name):
                    assert every[name].costs[every[name].ranks.index(chosen[name])] < every[name].costs[0]
    assert {"dense", "factors"} <= found


def test_factors_of_a_whole_block_that_are_dearer_than_dense_are_none():
    layers = [ranks.Candidates([None, 4, 8], [1.0, 0.5, 1.5], [0.0, 2.0, 1.0]), ranks.Candidates([None], [1.0], [0.0])]
    every = {"a": layers[0], "b": layers[1]._replace(block=ranks.Block(["a", "b"], None, True))}
    assert ranks.within_cost(every, 1.01) == {"a": 4}
    with pytest.raises(InputError, match=r"speed-up 1\.4: expected at most 1\.33"):
        ranks.within_cost(every, 1.4)
