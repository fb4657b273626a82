"""Ranks from formulas and spectra, and the budget of the whole network against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr import flops
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank import ranks


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(1, 256), st.floats(1, 8))
def test_speedup_rank_is_the_largest_that_keeps_the_promise(N, C, speedup):
    for break_even in (flops.break_even(form, N, C, 3) for form in ("svd", "cp")):
        if speedup > break_even:
            with pytest.raises(InputError, match="theoretical speed-up"):
                ranks.speedup_rank(break_even, speedup)
        else:
            rank = ranks.speedup_rank(break_even, speedup)
            assert break_even / rank >= speedup * (1 - 1e-9)
            assert break_even / (rank + 1) < speedup


def test_speedup_rank_of_round_numbers():
    assert [ranks.speedup_rank(96, speedup) for speedup in (1, 1.6, 2, 3, 4, 96)] == [96, 60, 48, 32, 24, 1]


@pytest.mark.parametrize("speedup", [0, -1, 97, float("nan")])
def test_impossible_speedup(speedup):
    with pytest.raises(InputError, match="between 0 and 96, not"):
        ranks.speedup_rank(96, speedup)


def test_energy_rank():
    sigma = np.array([3.0, 2.0, 1.0, 1.0])  # energy 9, 13, 14, 15 of 15
    assert [ranks.energy_rank(sigma, e) for e in (0.01, 9 / 15, 0.61, 0.9, 1.0)] == [1, 1, 2, 3, 4]
    for energy in (0, 1.01, float("nan")):
        with pytest.raises(InputError, match="energy"):
            ranks.energy_rank(sigma, energy)


def test_condition_rank():
    sigma = np.array([8.0, 4.0, 2.0, 0.0])
    assert [ranks.condition_rank(sigma, kappa) for kappa in (1, 2, 3.9, 4, 1e9)] == [1, 2, 2, 3, 3]
    with pytest.raises(InputError, match="condition number"):
        ranks.condition_rank(sigma, 0.5)


LAYER = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 100)), min_size=1, max_size=5)


def brute_force(costs, losses, budget):
    """Return the smallest total loss within the budget, by trying everything."""
    choices = itertools.product(*(range(len(row)) for row in costs))
    return min(total(losses, c) for c in choices if total(costs, c) <= budget)


def total(rows, choices):
    return sum(row[i] for row, i in zip(rows, choices, strict=True))


@settings(deadline=None, max_examples=200)
@given(st.lists(LAYER, min_size=1, max_size=4), st.floats(0, 1))
def test_allocation_keeps_the_budget_and_nears_brute_force(layers, fraction):
    costs, losses = ([[point[i] for point in layer] for layer in layers] for i in (0, 1))
    least, most = (sum(f(row) for row in costs) for f in (min, max))
    budget = least + fraction * (most - least)
    choices = ranks.allocate(costs, losses, budget)
    assert total(costs, choices) <= budget
    one_step = max(max(row) - min(row) for row in losses)
    assert total(losses, choices) <= brute_force(costs, losses, budget) + one_step


def test_allocation_of_convex_curves_is_within_a_thousandth_of_the_optimum():
    rng = np.random.default_rng(0)
    costs = [np.arange(1, 65) * c for c in rng.uniform(1, 4, 20)]
    losses = [
        s * np.exp(-r * c) for c, s, r in zip(costs, rng.uniform(1, 9, 20), rng.uniform(0.02, 0.1, 20), strict=True)
    ]
    budget = 0.4 * sum(c[-1] for c in costs)
    choices = ranks.allocate(costs, losses, budget)

    def lagrangian_bound(price):  # weak duality: no choice within the budget loses less
        return sum(np.min(loss + price * cost) for cost, loss in zip(costs, losses, strict=True)) - price * budget

    bound = max(lagrangian_bound(price) for price in np.geomspace(1e-4, 1, 2000))
    assert total(costs, choices) <= budget
    assert bound <= total(losses, choices) <= 1.001 * bound


def test_everything_dense_when_the_budget_allows():
    assert ranks.allocate([[1, 5, 9], [2, 8]], [[3, 1, 0], [4, 0]], 17) == [2, 1]


def test_exchanged_arguments_bound_the_loss():
    costs, losses = [[9, 5, 1], [8, 2]], [[0, 1, 3], [0, 4]]
    choices = ranks.allocate(losses, costs, 4)
    assert total(losses, choices) <= 4
    assert total(costs, choices) == 9


def test_impossible_budget():
    with pytest.raises(InputError, match="the cheapest choice costs 3, more than the budget of 2"):
        ranks.allocate([[1, 5], [2, 8]], [[1, 0], [1, 0]], 2)
