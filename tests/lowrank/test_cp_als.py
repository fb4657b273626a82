"""CP by alternating least squares: known factors come back, the fit is true, TensorLy does no better."""

import warnings

import numpy as np
import pytest

from lowrank_sr.errors import InputError
from lowrank_sr.factors import cp_kernel
from lowrank_sr.lowrank import cp_als


def relative_error(kernel, factors):
    return np.linalg.norm(kernel - cp_kernel(*factors)) / np.linalg.norm(kernel)


def kernel_of_rank(R, N=12, C=10, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return cp_kernel(*(rng.standard_normal((n, R)) for n in (C, d, d, N)))


@pytest.mark.parametrize("R", [1, 2, 3])
def test_known_factors_are_recovered(R, monkeypatch):
    monkeypatch.setattr(cp_als, "TERM_RIDGE", 1e-12)  # the ridge shrinks even an exact fit
    kernel = kernel_of_rank(R)
    factors, fits = cp_als.decompose(kernel, R, sweeps=2000, tolerance=0)
    assert relative_error(kernel, factors) < 1e-6
    assert fits[-1] > 1 - 1e-6


def test_ridge_shrinks_an_exact_fit_by_as_much():
    kernel = kernel_of_rank(3)
    error = relative_error(kernel, cp_als.decompose(kernel, 3, sweeps=2000, tolerance=0)[0])
    assert error == pytest.approx(cp_als.TERM_RIDGE, rel=0.2)


def test_scale_of_the_kernel_changes_nothing():
    kernel = np.random.default_rng(0).standard_normal((5, 4, 3, 3))
    np.testing.assert_allclose(cp_als.decompose(1000 * kernel, 7)[1], cp_als.decompose(kernel, 7)[1], rtol=1e-6)


def test_shapes_and_norms():
    kernel = np.random.default_rng(0).standard_normal((5, 4, 3, 3))
    factors, _ = cp_als.decompose(kernel, 7)
    assert [f.shape for f in factors] == [(4, 7), (3, 7), (3, 7), (5, 7)]
    for factor in factors[:3]:
        np.testing.assert_allclose(np.linalg.norm(factor, axis=0), 1)


def test_fit_is_that_of_the_factors_and_grows():
    kernel = np.random.default_rng(0).standard_normal((8, 6, 3, 3))
    factors, fits = cp_als.decompose(kernel, 10)
    np.testing.assert_allclose(fits[-1], 1 - relative_error(kernel, factors), atol=1e-9)
    assert np.all(np.diff(fits) > -1e-3)


def test_regularised_objective_never_grows():
    kernel = np.random.default_rng(1).standard_normal((8, 6, 3, 3))

    def objective(sweeps):
        factors, _ = cp_als.decompose(kernel, 20, sweeps=sweeps, tolerance=0)
        return np.linalg.norm(kernel - cp_kernel(*factors)) ** 2 + cp_als.TERM_RIDGE * np.sum(factors[3] ** 2)

    assert np.all(np.diff([objective(sweeps) for sweeps in range(1, 12)]) < 1e-9)


def test_seed_decides():
    kernel = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    once, again, other = (cp_als.decompose(kernel, 8, seed=seed)[0] for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])


def test_stops_when_the_fit_does():
    _, fits = cp_als.decompose(kernel_of_rank(1), 1, sweeps=100)
    assert len(fits) < 10


def test_kernel_of_zeros():
    factors, _ = cp_als.decompose(np.zeros((2, 2, 3, 3)), 2)
    assert not cp_kernel(*factors).any()


def test_impossible_rank():
    with pytest.raises(InputError, match="at least 1, not 0"):
        cp_als.decompose(np.ones((2, 2, 3, 3)), 0)


@pytest.mark.parametrize(("layer", "R"), [("RRDB_trunk.1.RDB2.conv1", 45), ("upconv2", 69)])
def test_no_worse_than_tensorly(shared, layer, R):
    decomposition = pytest.importorskip("tensorly.decomposition")
    with np.load(shared / "weights" / "rrdb_x4_nb3.npz") as weights:
        kernel = weights[f"{layer}.weight"].astype(np.float64)
    factors, fits = cp_als.decompose(kernel, R, sweeps=12, tolerance=0)
    assert len(fits) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorLy's, about a rank above the dimensions
        _, errors = decomposition.parafac(kernel, R, n_iter_max=12, tol=0, random_state=0, return_errors=True)
    assert relative_error(kernel, factors) <= 1.01 * float(errors[-1])
