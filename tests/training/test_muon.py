import itertools

import numpy as np
import pytest

from lowrank_sr.training import muon


@pytest.mark.parametrize("shape", [(3, 7), (8, 8), (40, 9), (1, 5), (6, 1)], ids=str)
def test_a_direction_is_as_long_in_all_directions(shape):
    """Singular values from 1 down to a twentieth all come out near each other."""
    rng = np.random.default_rng(0)
    u, _, vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    m = (u * np.linspace(1, 0.05, len(vt)) @ vt).astype(np.float32)
    found = muon.direction(m)
    assert np.linalg.norm(found) == pytest.approx(1, rel=1e-5)
    values = np.linalg.svd(found, compute_uv=False)
    assert values.max() < 2 * values.min()  # the iteration ends between 0.7 and 1.2, within a little
    cosine = np.vdot(found, u @ vt) / np.linalg.norm(u @ vt)
    assert cosine > 0.95


def test_nothing_to_go_by_is_no_step():
    assert not muon.direction(np.zeros((3, 4), np.float32)).any()


def test_a_step_is_the_rate_times_the_norm_of_each_array():
    rng = np.random.default_rng(1)
    shapes = [(4, 3, 2), (0, 3), (5,), (2, 6)]
    sizes = np.cumsum([0, 24, 0, 5, 12])
    weights = rng.standard_normal(41).astype(np.float32)
    weights[24:29] = 0  # a bias of zeros
    after = muon.step(muon.start(weights), rng.standard_normal(41, dtype=np.float32), shapes, 0.1)
    for first, last in itertools.pairwise(sizes):
        moved = np.linalg.norm(after.weights[first:last] - weights[first:last])
        norm = np.linalg.norm(weights[first:last]) or muon.LEAST_SIZE * np.sqrt(last - first)
        assert moved == pytest.approx(0.1 * norm, rel=1e-4)


def test_a_step_leaves_the_state_before_it_as_it_was():
    before = muon.start(np.ones(3, np.float32))
    after = muon.step(before, np.ones(3, np.float32), [(3,)], 0.1)
    assert (before.weights == 1).all()
    assert not before.momentum.any()
    assert (after.weights < 1).all()
    assert after.steps == 1


def test_the_average_forgets_the_start():
    state = muon.start(np.full(1, 100, np.float32))
    state = state._replace(weights=np.zeros(1, np.float32))
    for _ in range(100):
        state = muon.step(state, np.zeros(1, np.float32), [(1,)], 1.0)
    # the product of (1 + t) / (10 + t) over t = 1 ... 100: 9 factors remain above, 9 below
    remaining = 100 * np.prod([(1 + t) / (10 + t) for t in range(1, 101)])
    assert state.average[0] == pytest.approx(remaining, rel=1e-4)


def test_the_rate_rises_and_falls_to_zero():
    assert muon.schedule(0) == pytest.approx(0.1)
    assert muon.schedule(muon.WARM_UP) > 0.99
    assert muon.schedule(0.5) == pytest.approx(0.5)
    assert muon.schedule(1) == muon.schedule(1.1) == 0


def test_descent_on_a_badly_scaled_problem():
    """min ‖(W - T) D‖², D from 1 to a hundredth: the gradient has next to nothing of the last columns, the step has."""
    rng = np.random.default_rng(2)
    target, scales = rng.standard_normal((6, 10), dtype=np.float32), np.geomspace(1, 0.01, 10).astype(np.float32)
    state = muon.start(np.zeros(60, np.float32) + np.float32(0.1))
    for i in range(300):
        gradient = (state.weights.reshape(6, 10) - target) * scales**2
        state = muon.step(state, gradient.ravel(), [(6, 10)], 0.1 * muon.schedule(i / 300))
    error = np.abs(state.weights.reshape(6, 10) - target).max(axis=0)
    assert error[:5].max() < 0.1
