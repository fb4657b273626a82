import numpy as np
import pytest

from lowrank_sr.conv import winograd
from lowrank_sr.conv.winograd import A_T, B_T, G, prepare, times_a, times_b
from lowrank_sr.machine.cpu import PANEL


def polynomial_through(points):
    """Toom-Cook's matrices from the points alone: evaluation of 3 taps and of 4 outputs, interpolation of 6 values.

    The valid correlation of 6 inputs with 3 taps is the transpose of multiplying polynomials with 4 and 3 coefficients
    (Lavin and Gray 2016, section 4.1; Blahut 2010): y = E4' [(E3 w) * (V^-T d)], the last point being infinity.
    """
    taps = np.array([[p**k for k in range(3)] for p in points] + [[0, 0, 1]], float)
    outputs = np.array([[p**k for k in range(4)] for p in points] + [[0, 0, 0, 1]], float)
    vandermonde = np.array([[p**k for k in range(6)] for p in points] + [[0] * 5 + [1]], float)
    return taps, outputs, np.linalg.inv(vandermonde).T


def test_the_matrices_are_toom_cooks_at_0_1_2_and_infinity():
    """Equal up to a factor for each of the six products, which may move between the three matrices."""
    taps, outputs, inputs = polynomial_through([0, 1, -1, 2, -2])
    for k in range(6):
        g_factor = np.dot(G[k], taps[k]) / np.dot(taps[k], taps[k])
        b_factor = np.dot(B_T[k], inputs[k]) / np.dot(inputs[k], inputs[k])
        a_factor = np.dot(A_T[:, k], outputs[k]) / np.dot(outputs[k], outputs[k])
        np.testing.assert_allclose(G[k], g_factor * taps[k], atol=1e-12)
        np.testing.assert_allclose(B_T[k], b_factor * inputs[k], atol=1e-12)
        np.testing.assert_allclose(A_T[:, k], a_factor * outputs[k], atol=1e-12)
        np.testing.assert_allclose(g_factor * b_factor * a_factor, 1, rtol=1e-12)


def test_the_rows_are_those_that_the_docstring_derives():
    """B': M(x) / (x - p), and M(x) itself; G: (1, p, p^2) / f_p; A': the powers of p. M(x) = product of all (x - p)."""
    points = [0, 1, -1, 2, -2]
    for k, p in enumerate(points):
        others = [q for q in points if q != p]
        np.testing.assert_allclose(B_T[k], [*np.polynomial.polynomial.polyfromroots(others), 0], atol=1e-12)
        np.testing.assert_allclose(G[k], np.array([1, p, p**2]) / np.prod([p - q for q in others]), rtol=1e-15)
        np.testing.assert_array_equal(A_T[:, k], [1, p, p**2, p**3])
    np.testing.assert_allclose(B_T[5], np.polynomial.polynomial.polyfromroots(points), atol=1e-12)
    np.testing.assert_array_equal(G[5], [0, 0, 1])
    np.testing.assert_array_equal(A_T[:, 5], [0, 0, 0, 1])


def test_the_transforms_are_the_matrices():
    np.testing.assert_array_equal(times_b(np.eye(6)), B_T)
    np.testing.assert_array_equal(times_a(np.eye(6)), A_T)


def test_the_sums_of_magnitudes_that_the_docstring_gives():
    assert np.abs(B_T).sum(1).max() == 10
    assert np.abs(A_T).sum(1).max() == 19


def test_two_dimensions_are_one_nested_in_the_other():
    rng = np.random.default_rng(2)
    d, g = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
    tile = A_T @ ((G @ g @ G.T) * (B_T @ d @ B_T.T)) @ A_T.T
    windows = np.lib.stride_tricks.sliding_window_view(d, (3, 3))
    # float64: 36 terms of magnitudes up to 361 x 100 x 4 in all, times eps of 2e-16
    np.testing.assert_allclose(tile, np.einsum("yxij,ij->yx", windows, g), rtol=0, atol=1e-10)


def test_one_dimension_is_a_correlation():
    rng = np.random.default_rng(0)
    d, w = rng.standard_normal(6), rng.standard_normal(3)
    products = (G @ w) * np.array(times_b(d))
    np.testing.assert_allclose(times_a(products), np.correlate(d, w, "valid"), atol=1e-13)


def test_kernels_are_transformed_in_float64():
    kernel = np.random.default_rng(1).standard_normal((5, 7, 3, 3), dtype=np.float32)
    prepared = prepare(kernel)
    assert (prepared.dtype, prepared.shape) == (np.float32, (1, 36, 7, PANEL))
    exact = G @ kernel[3, 2].astype(float) @ G.T
    np.testing.assert_array_equal(prepared[0, :, 2, 3], exact.astype(np.float32).ravel())
    assert not prepared[0, :, :, 5:].any()


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (3, 1)], ids=str)
def test_kernels_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match=r"F\(4 x 4, 3 x 3\) is for 3 x 3"):
        prepare(np.zeros((2, 2, *size), np.float32))


def test_blocks_fit_the_cache(monkeypatch):
    """36 (C + N) floats a tile, for every layer of ESRGAN, in a cache of any usual size."""
    blocks = []
    monkeypatch.setattr(winograd, "_winograd_loops", lambda operands, kernel, block, workers: blocks.append(block))
    size = np.array([((96, 96),)], [("out", [("height", int), ("width", int)])])
    for cache in (256 * 1024, 512 * 1024, 2 * 1024**2):
        monkeypatch.setattr(winograd, "l2_bytes", lambda cache=cache: cache)
        for n, c in [(32, 64), (32, 160), (64, 192)]:
            winograd.convolve(size, np.empty((-(-n // PANEL), 36, c, PANEL), np.float32), 2)
            assert 4 * 36 * (c + n) * blocks[-1] <= cache or blocks[-1] == winograd.ROWS
