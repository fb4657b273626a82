import numpy as np

from lowrank_sr.conv import winograd
from lowrank_sr.conv.winograd import G, prepare, times_a, times_b
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
    a, b = (np.array(times(np.eye(6))) for times in (times_a, times_b))
    for k in range(6):
        g_factor = np.dot(G[k], taps[k]) / np.dot(taps[k], taps[k])
        b_factor = np.dot(b[k], inputs[k]) / np.dot(inputs[k], inputs[k])
        a_factor = np.dot(a[:, k], outputs[k]) / np.dot(outputs[k], outputs[k])
        np.testing.assert_allclose(G[k], g_factor * taps[k], atol=1e-12)
        np.testing.assert_allclose(b[k], b_factor * inputs[k], atol=1e-12)
        np.testing.assert_allclose(a[:, k], a_factor * outputs[k], atol=1e-12)
        np.testing.assert_allclose(g_factor * b_factor * a_factor, 1, rtol=1e-12)


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
