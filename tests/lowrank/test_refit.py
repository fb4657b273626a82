"""Factors fitted to data: never worse than the kernel's own, stationary, exact where they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.errors import InputError
from lowrank_sr.factors import cp_kernel, pair_kernel
from lowrank_sr.lowrank import cp_als, data_norm, refit_cp, refit_svd, svd

N, C, d = 6, 5, 3


def problem(seed=0, N=N, C=C):
    """Return a kernel and the second moment of strongly correlated patches, as those of photographs are."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((400, C, C)) * np.geomspace(1, 0.03, C)
    smooth = np.exp(-0.3 * np.abs(np.subtract.outer(np.arange(d), np.arange(d))))
    patches = np.einsum("pcm,pmij,ik,jl->pckl", fields, rng.standard_normal((400, C, d, d)), smooth, smooth)
    patches = patches.reshape(400, -1)
    return rng.standard_normal((N, C, d, d)), patches.T @ patches / len(patches)


def error(kernel, approximation, G):
    """Relative error in the norm that refit minimises."""
    return data_norm.relative_error(kernel, approximation, data_norm.regularise(G))


def svd_error(kernel, rank, G, **options):
    return error(kernel, pair_kernel(*refit_svd.refit(kernel, rank, G, **options)), G)


def cp(kernel, rank, G, seed=0, **options):
    """CP factors fitted from those of the kernel on."""
    return refit_cp.refit(kernel, cp_als.decompose(kernel, rank, seed=seed)[0], G, **options)


def cp_error(kernel, rank, G, **options):
    return error(kernel, cp_kernel(*cp(kernel, rank, G, **options)), G)


def test_relative_error_is_that_of_the_output():
    rng = np.random.default_rng(0)
    kernel, other = rng.standard_normal((2, N, C, d, d))
    patches = rng.standard_normal((C * d * d, 1000)) * rng.uniform(0.1, 2, (C * d * d, 1))
    outputs, others = (k.reshape(N, -1) @ patches for k in (kernel, other))
    expected = np.linalg.norm(outputs - others) / np.linalg.norm(outputs)
    assert data_norm.relative_error(kernel, other, patches @ patches.T / 1000) == pytest.approx(expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14))
def test_never_worse_than_the_kernels_own_pair(seed, rank):
    kernel, G = problem(seed)
    assert svd_error(kernel, rank, G) <= error(kernel, pair_kernel(*svd.truncate(kernel, rank)), G) + 1e-9


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_never_worse_than_the_kernels_own_cp(seed, rank):
    kernel, G = problem(seed)
    factors, _ = cp_als.decompose(kernel, rank)
    assert cp_error(kernel, rank, G) <= error(kernel, cp_kernel(*factors), G) + 1e-9


def test_every_round_helps():
    kernel, G = problem()
    for errors in (
        [svd_error(kernel, 5, G, rounds=rounds) for rounds in range(6)],
        [cp_error(kernel, 10, G, rounds=rounds) for rounds in range(6)],
    ):
        assert np.all(np.diff(errors) < 0)


def test_gain_on_correlated_patches_is_large():
    kernel, G = problem(N=16, C=16)
    own = error(kernel, pair_kernel(*svd.truncate(kernel, 12)), G)
    assert svd_error(kernel, 12, G) < 0.6 * own


def test_white_patches_give_the_truncated_svd():
    kernel, _ = problem()
    G = np.eye(C * d * d)
    truncated = pair_kernel(*svd.truncate(kernel, 4))
    np.testing.assert_allclose(pair_kernel(*refit_svd.refit(kernel, 4, G)), truncated, atol=1e-6)


def test_kronecker_moments_need_no_rounds():
    rng = np.random.default_rng(0)
    kernel, _ = problem()
    parts = [F @ F.T + 0.1 * np.eye(len(F)) for F in (rng.standard_normal((C * d, C * d)), rng.standard_normal((d, d)))]
    G = np.kron(*parts)
    assert svd_error(kernel, 4, G, rounds=0) == pytest.approx(svd_error(kernel, 4, G, rounds=10), rel=1e-3)
    np.testing.assert_allclose(svd_error(kernel, 4, G), refit_svd.error_curve(kernel, G)[4], rtol=1e-3)


def test_full_rank_is_exact():
    kernel, G = problem()
    vertical, horizontal = refit_svd.refit(kernel, C * d, G)
    assert vertical.shape == (C * d, C, d)
    assert horizontal.shape == (N, C * d, d)
    np.testing.assert_allclose(pair_kernel(vertical, horizontal), kernel, atol=1e-5)


def gradient(kernel, approximation, G):
    """∂/∂W' of ½‖W' - W‖²_G, as a kernel."""
    difference = (approximation - kernel).reshape(N, -1)
    return (difference @ data_norm.regularise(G)).reshape(kernel.shape)


def test_last_half_is_stationary():
    kernel, G = problem()
    vertical, horizontal = refit_svd.refit(kernel, 5, G)
    residual = gradient(kernel, pair_kernel(vertical, horizontal), G)
    scale = np.abs(np.einsum("ncij,kci->nkj", gradient(kernel, 0 * kernel, G), vertical)).max()
    assert np.abs(np.einsum("ncij,kci->nkj", residual, vertical)).max() < 1e-6 * scale


def test_both_halves_are_stationary_in_the_end():
    kernel, G = problem()
    vertical, horizontal = refit_svd.refit(kernel, 5, G, rounds=3000)
    residual = gradient(kernel, pair_kernel(vertical, horizontal), G)
    scale = np.abs(np.einsum("ncij,nkj->kci", gradient(kernel, 0 * kernel, G), horizontal)).max()
    assert np.abs(np.einsum("ncij,nkj->kci", residual, horizontal)).max() < 1e-3 * scale


def test_last_cp_factor_is_stationary():
    kernel, G = problem()
    a, y, x, o = cp(kernel, 8, G)
    residual = gradient(kernel, cp_kernel(a, y, x, o), G)
    scale = np.abs(np.einsum("ncij,cr,ir,jr->nr", gradient(kernel, 0 * kernel, G), a, y, x)).max()
    assert np.abs(np.einsum("ncij,cr,ir,jr->nr", residual, a, y, x)).max() < 1e-6 * scale


def test_error_curve_falls_from_one_to_zero_and_follows_the_refit():
    kernel, G = problem()
    curve = refit_svd.error_curve(kernel, G)
    assert curve.shape == (C * d + 1,)
    assert curve[0] == 1
    assert curve[-1] == 0
    assert np.all(np.diff(curve) < 0)
    measured = np.array([svd_error(kernel, rank, G) for rank in (2, 5, 8)])
    assert np.all(measured < 1.25 * curve[[2, 5, 8]])
    assert np.all(measured > 0.5 * curve[[2, 5, 8]])


def test_target_kernel_undoes_what_the_inputs_went_through():
    rng = np.random.default_rng(0)
    kernel, G = problem()
    distortion = np.eye(C * d * d) + 0.1 * rng.standard_normal((C * d * d, C * d * d))  # p' = D p
    distorted = distortion @ G @ distortion.T
    cross = kernel.reshape(N, -1) @ G @ distortion.T  # E[W p p'ᵀ]
    target = data_norm.target_kernel(kernel, distorted, cross).reshape(N, -1)
    difference = target @ distortion - kernel.reshape(N, -1)  # what is left of the output's error
    before = kernel.reshape(N, -1) @ (distortion - np.eye(len(distortion)))
    assert np.trace(difference @ G @ difference.T) < 0.01 * np.trace(before @ G @ before.T)


def test_target_kernel_of_undistorted_inputs_is_the_kernel():
    kernel, G = problem()
    cross = kernel.reshape(N, -1) @ G
    np.testing.assert_allclose(data_norm.target_kernel(kernel, G, cross), kernel, atol=1e-8)


def test_deterministic():
    kernel, G = problem()
    for refit in (refit_svd.refit, cp):
        once, again = (refit(kernel, 6, G) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(cp(kernel, 6, G, seed=1)[0], cp(kernel, 6, G)[0])


def test_conjugate_gradients_solve():
    A = np.diag([1.0, 2.0, 5.0])
    x = data_norm.conjugate_gradients(
        lambda v: A @ v, lambda v: v, np.zeros(3), np.ones(3), steps=10
    )  # ten, where three suffice
    np.testing.assert_allclose(x, [1, 0.5, 0.2])


def test_halves_have_equal_norms():
    kernel, G = problem()
    vertical, horizontal = refit_svd.refit(kernel, 5, G)
    norms = np.linalg.norm(vertical, axis=(1, 2)), np.linalg.norm(horizontal, axis=(0, 2))
    np.testing.assert_allclose(*norms)


def test_kernel_of_zeros():
    kernel, G = problem()
    assert not pair_kernel(*refit_svd.refit(0 * kernel, 3, G)).any()
    assert not cp_kernel(*cp(0 * kernel, 3, G)).any()


def test_errors_of_a_kernel_of_zeros_are_numbers():
    kernel, G = problem()
    zeros = 0 * kernel
    assert data_norm.relative_error(zeros, zeros, G) == 0
    assert not refit_svd.error_curve(zeros, G).any()


def test_moments_of_another_layer():
    kernel, _ = problem()
    for refit in (refit_svd.refit, cp):
        with pytest.raises(InputError, match="patches is 45 x 45"):
            refit(kernel, 3, np.eye(44))
    with pytest.raises(InputError, match="cross moment"):
        data_norm.target_kernel(kernel, np.eye(45), np.ones((N, 44)))


def test_impossible_rank():
    kernel, G = problem()
    with pytest.raises(InputError, match="rank from 1 to 15, not 16"):
        refit_svd.refit(kernel, 16, G)
