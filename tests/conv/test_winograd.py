import numpy as np
import pytest
from numba import njit
from reference import EPS, Roundings

from lowrank_sr.conv import winograd
from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.micro_kernel import CACHE_LINE
from lowrank_sr.conv.toom_cook import A_T, B_T, INPUT_TILE, G, times_a, times_b, times_g
from lowrank_sr.conv.winograd import prepare, transform_taps
from lowrank_sr.layers import Dense, random_layer
from lowrank_sr.machine.cpu import LANES, NR

POINTS = [0, 1, -1, 2, -2, 1 / 2, -1 / 2]  # and infinity


@njit
def run_transform_taps(taps, transformed):
    transform_taps(taps.ctypes.data, taps.strides[0], transformed.ctypes.data, transformed.strides[0])
    return taps[0, 0] + transformed[0, 0]  # a use after the call: Numba frees an array after its last


def polynomial_through(points):
    """Toom-Cook's matrices from the points alone: evaluation of 3 taps and of 6 outputs, interpolation of 8 values.

    The valid correlation of 8 inputs with 3 taps is the transpose of multiplying polynomials with 6 and 3 coefficients
    (Lavin and Gray 2016, section 4.1; Blahut 2010): y = E6' [(E3 w) * (V^-T d)], the last point being infinity.
    """

    def powers(n):
        return np.array([[p**k for k in range(n)] for p in points] + [[0] * (n - 1) + [1]], float)

    return powers(3), powers(OUTPUT_TILE), np.linalg.inv(powers(INPUT_TILE)).T


def test_the_matrices_are_toom_cooks_at_0_1_2_a_half_and_infinity():
    """Equal up to a factor for each of the eight products, which may move between the three matrices."""
    taps, outputs, inputs = polynomial_through(POINTS)
    for k in range(INPUT_TILE):
        g_factor = np.dot(G[k], taps[k]) / np.dot(taps[k], taps[k])
        b_factor = np.dot(B_T[k], inputs[k]) / np.dot(inputs[k], inputs[k])
        a_factor = np.dot(A_T[:, k], outputs[k]) / np.dot(outputs[k], outputs[k])
        np.testing.assert_allclose(G[k], g_factor * taps[k], atol=1e-12)
        np.testing.assert_allclose(B_T[k], b_factor * inputs[k], atol=1e-12)
        np.testing.assert_allclose(A_T[:, k], a_factor * outputs[k], atol=1e-12)
        np.testing.assert_allclose(g_factor * b_factor * a_factor, 1, rtol=1e-12)


def test_the_rows_are_those_that_the_docstring_derives():
    """B': M(x) / (x - p), and M(x) itself; G: (1, p, p^2) / f_p; A': the powers of p. M(x) = product of all (x - p)."""
    for k, p in enumerate(POINTS):
        others = [q for q in POINTS if q != p]
        np.testing.assert_allclose(B_T[k], [*np.polynomial.polynomial.polyfromroots(others), 0], atol=1e-12)
        np.testing.assert_allclose(G[k], np.array([1, p, p**2]) / np.prod([p - q for q in others]), rtol=1e-14)
        np.testing.assert_array_equal(A_T[:, k], [p**power for power in range(OUTPUT_TILE)])
    np.testing.assert_allclose(B_T[-1], np.polynomial.polynomial.polyfromroots(POINTS), atol=1e-12)
    np.testing.assert_array_equal(G[-1], [0, 0, 1])
    np.testing.assert_array_equal(A_T[:, -1], [0, 0, 0, 0, 0, 1])


def test_the_transforms_are_the_matrices():
    np.testing.assert_array_equal(times_b(np.eye(8)), B_T)
    np.testing.assert_array_equal(times_g(np.eye(3)), G)
    np.testing.assert_array_equal(times_a(np.eye(8)), A_T)


def test_the_roundings_of_the_transforms():
    """What the bounds on errors are computed from, counted by hand; those of factors that float32 does not hold too."""
    counts = [[value.count for value in times([Roundings()] * n)] for times, n in ((times_b, 8), (times_g, 3))]
    assert counts == [[3, 3, 3, 3, 3, 3, 3, 3], [0, 4, 4, 4, 4, 4, 4, 0]]
    assert [value.count for value in times_a([Roundings()] * 8)] == [4, 3, 3, 3, 3, 4]


def test_the_sums_of_magnitudes_that_the_docstring_gives():
    assert np.abs(B_T).sum(1).max() == 15
    assert np.abs(A_T).sum(1).max() == 67 + 1 / 16


def test_two_dimensions_are_one_nested_in_the_other():
    rng = np.random.default_rng(2)
    d, g = rng.standard_normal((8, 8)), rng.standard_normal((3, 3))
    tile = A_T @ ((G @ g @ G.T) * (B_T @ d @ B_T.T)) @ A_T.T
    windows = np.lib.stride_tricks.sliding_window_view(d, (3, 3))
    # float64: some 30 roundings, each of 1.1e-16 of the algorithm on magnitudes
    magnitudes = (np.abs(G) @ np.abs(g) @ np.abs(G).T) * (np.abs(B_T) @ np.abs(d) @ np.abs(B_T).T)
    bound = 64 * np.finfo(float).eps / 2 * (np.abs(A_T) @ magnitudes @ np.abs(A_T).T)
    assert (np.abs(tile - np.einsum("yxij,ij->yx", windows, g)) <= bound).all()
    assert bound.max() < 1e-9


def test_one_dimension_is_a_correlation():
    rng = np.random.default_rng(0)
    d, w = rng.standard_normal(8), rng.standard_normal(3)
    products = np.array(times_g(w)) * np.array(times_b(d))
    np.testing.assert_allclose(times_a(products), np.correlate(d, w, "valid"), atol=1e-13)


def test_a_prepared_kernel_is_the_kernel():
    kernel = np.random.default_rng(1).standard_normal((5, 7, 3, 3), dtype=np.float32)
    panels = prepare(Dense(kernel, np.zeros(5)), False).panels
    assert (panels.dtype, panels.shape) == (np.float32, (1, 1, 3, 3, 7, NR))
    np.testing.assert_array_equal(panels[0, 0, ..., :5], kernel.transpose(2, 3, 1, 0))
    assert not panels[..., 5:].any()


@pytest.mark.parametrize("taps", [(i, j) for i in range(8) for j in range(8)], ids=str)
def test_the_elements_are_those_that_do_not_vanish(taps):
    """Of a kernel whose rows and columns are zero but for those of two bit patterns."""
    rng = np.random.default_rng(3)
    rows, columns = ([bool(pattern >> bit & 1) for bit in range(3)] for pattern in taps)
    kernel = rng.random((4, 5, 3, 3)) * np.outer(rows, columns)
    transformed = (G @ kernel @ G.T).reshape(20, 64)
    (needed,) = prepare(Dense(kernel, np.zeros(4)), False).needed
    assert set(np.flatnonzero(np.abs(transformed).max(0) > 1e-12)) <= set(np.flatnonzero(needed))
    if any(rows) and any(columns):
        assert needed.sum() == (6 + rows[0] + rows[2]) * (6 + columns[0] + columns[2])


def test_kernels_are_transformed_to_the_rounding_of_float32():
    kernel = np.random.default_rng(1).standard_normal((LANES, 3, 3), dtype=np.float32)
    taps = np.ascontiguousarray(kernel.reshape(LANES, 9).T)
    transformed = np.full((64, LANES + 3), 7, np.float32)  # elements further apart than they are long
    run_transform_taps(taps, transformed)
    exact, magnitudes = (
        (matrix @ of.astype(float) @ matrix.T).reshape(LANES, 64).T
        for matrix, of in ((G, kernel), (np.abs(G), np.abs(kernel)))
    )
    # 4 roundings each way, see test_the_roundings_of_the_transforms, and less than one by products of them
    assert (np.abs(transformed[:, :LANES] - exact) <= (2 * 4 + 1) * EPS / 2 * magnitudes).all()
    assert (transformed[:, LANES:] == 7).all()


def run_blocks(monkeypatch, channels, n, size, workers):
    """The depth and the block that `convolve` passes to its loops."""
    passed = []
    monkeypatch.setattr(winograd, "_winograd_loops", lambda *arguments: passed.append(arguments))
    inputs = np.array([(c,) for c in channels], [("channels", int)])
    operands = np.array([(size,)], [("out", [("height", int), ("width", int)])])
    winograd.convolve(inputs, operands, prepare(random_layer((n, sum(channels), 3)), False), workers)
    ((*_, depth, block, _),) = passed
    return depth, block


@pytest.mark.parametrize("cache", [256 * 1024, 512 * 1024, 2 * 1024**2])
@pytest.mark.parametrize(("channels", "n"), [([64], 32), ([64, 32, 32, 32], 32), ([64, 32, 32, 32, 32], 64)])
def test_blocks_fit_the_cache(monkeypatch, cache, channels, n):
    """64 (C + N) floats a tile, for every layer of ESRGAN, in a cache of any usual size."""
    monkeypatch.setattr(winograd, "l2_bytes", lambda: cache)
    depth, block = run_blocks(monkeypatch, channels, n, (960, 960), 2)
    assert depth == sum(channels)
    spaced = 1 + CACHE_LINE / (4 * LANES * 64 * winograd.MR)  # a cache line between the vectors of channels
    group = 4 * 64 * winograd.MR * (depth + n) * spaced
    assert block * group <= cache < (block + 1) * group or block == 1


def test_depths_are_whole_vectors_of_each_map(monkeypatch):
    assert run_blocks(monkeypatch, [1, LANES, LANES + 1], 3, (12, 12), 1)[0] == 4 * LANES


def test_blocks_leave_something_for_each_thread(monkeypatch):
    monkeypatch.setattr(winograd, "l2_bytes", lambda: 2**40)
    for size, workers in [((96, 96), 2), ((6, 6), 2), ((1, 300), 7)]:
        tiles = -(-size[0] // 6) * -(-size[1] // 6)
        _, block = run_blocks(monkeypatch, [3], 5, size, workers)
        shares = -(-tiles // (winograd.MR * block))
        assert block == 1 or shares >= 4 * workers - workers
