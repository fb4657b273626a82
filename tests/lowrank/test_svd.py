"""The SVD pair: exact at full rank, optimal below, its error the tail of the singular values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from lowrank_sr.errors import InputError
from lowrank_sr.factors import pair_kernel
from lowrank_sr.lowrank import svd

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 5]), st.integers(0, 2**32 - 1))


def random_kernel(N, C, d, seed=0):
    return np.random.default_rng(seed).standard_normal((N, C, d, d))


@settings(deadline=None)
@given(SHAPES, st.data())
def test_error_is_the_tail_of_the_singular_values(shape, data):
    kernel = random_kernel(*shape)
    sigma = svd.singular_values(kernel)
    rank = data.draw(st.integers(1, len(sigma)))
    error = np.linalg.norm(kernel - pair_kernel(*svd.truncate(kernel, rank)))
    np.testing.assert_allclose(error, np.linalg.norm(sigma[rank:]), atol=1e-12 * sigma[0])


@pytest.mark.parametrize(("N", "C", "d"), [(4, 3, 3), (3, 7, 3), (5, 5, 1), (2, 4, 5)])
def test_full_rank_is_exact_and_shapes_are_those_of_the_file(N, C, d):
    kernel = random_kernel(N, C, d)
    K = d * min(N, C)
    vertical, horizontal = svd.truncate(kernel, K)
    assert vertical.shape == (K, C, d)
    assert horizontal.shape == (N, K, d)
    np.testing.assert_allclose(pair_kernel(vertical, horizontal), kernel, atol=1e-12)


def test_two_convolutions_in_a_row_are_the_kernel():
    N, C, d = 2, 3, 3
    kernel = random_kernel(N, C, d)
    vertical, horizontal = svd.truncate(kernel, 4)
    image = np.random.default_rng(1).standard_normal((C, 9, 8))
    between = [sum(correlate2d(image[c], v[c][:, None], "valid") for c in range(C)) for v in vertical]
    pair = [sum(correlate2d(z, h[None], "valid") for z, h in zip(between, n, strict=True)) for n in horizontal]
    folded = pair_kernel(vertical, horizontal)
    once = [sum(correlate2d(image[c], folded[n, c], "valid") for c in range(C)) for n in range(N)]
    np.testing.assert_allclose(pair, once, atol=1e-12)


def test_singular_values_are_shared_between_the_halves():
    vertical, horizontal = svd.truncate(random_kernel(4, 5, 3), 6)
    sigma = svd.singular_values(random_kernel(4, 5, 3))[:6]
    gram_v = np.einsum("kci,lci->kl", vertical, vertical)
    gram_h = np.einsum("nkj,nlj->kl", horizontal, horizontal)
    np.testing.assert_allclose(gram_v, np.diag(sigma), atol=1e-12)
    np.testing.assert_allclose(gram_h, np.diag(sigma), atol=1e-12)


@pytest.mark.parametrize("rank", [0, -1, 10])
def test_impossible_rank(rank):
    with pytest.raises(InputError, match="rank from 1 to 9, not"):
        svd.truncate(random_kernel(4, 3, 3), rank)


def test_real_kernel_at_full_rank(shared):
    with np.load(shared / "weights" / "rrdb_x4_nb3.npz") as weights:
        kernel = weights["RRDB_trunk.1.RDB2.conv5.weight"]
    folded = pair_kernel(*svd.truncate(kernel, 192))
    np.testing.assert_allclose(folded, kernel, atol=1e-6 * np.abs(kernel).max())
