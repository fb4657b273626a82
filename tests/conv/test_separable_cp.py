"""The fused kernels of the SVD pair and of CP against float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    EPS,
    assert_rounds_to_layer,
    dense_kernel,
    error_bound,
    exact_convolution,
    exact_layer,
    random_layer,
)

from lowrank_sr.conv import cp, separable, separable_winograd
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import OUTPUT_TILE, allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.lowrank import svd
from lowrank_sr.machine.cpu import PANEL, ROWS

# What factors there are, and the methods that compute them differently.
KINDS = pytest.mark.parametrize(
    ("kind", "method"),
    [(Separable, "direct"), (Separable, "winograd"), (CP, "direct")],
    ids=["pair", "pair by F(6, 3)", "CP"],
)
SIZES = [(1, 1), (1, 9), (2, 3), (7, 13), (31, 37)]
SHAPES = [(1, 1, 1), (64, 3, 9), (3, 64, 5), (32, 96, 16), (33, 17, 40), (64, 192, PANEL + 1)]  # N, C, rank


def assert_rounds_to(actual, x, layer, method):
    assert_rounds_to_layer(actual, x, layer, method)
    # Those bounds are of the worst case; errors of random sign grow with the root of the number of terms only.
    error = actual - exact_layer(x, layer)
    exact = exact_convolution(np.abs(x), dense_kernel(layer, np.abs), np.abs(layer.bias))
    assert np.linalg.norm(error) <= 32 * EPS * np.linalg.norm(exact)


@KINDS
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_float64(kind, method, size, shape):
    rng = np.random.default_rng(1)
    layer = random_layer(kind, rng, *shape)
    x = rng.standard_normal((*size, shape[1]), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@KINDS
@settings(max_examples=40, deadline=None)
@given(*(st.integers(1, limit) for limit in (20, 20, 40, 40, 40)), st.integers(0, 2**32))
def test_equals_float64_for_any_size(kind, method, height, width, n, c, rank, seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(kind, rng, n, c, rank)
    x = rng.standard_normal((height, width, c), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@KINDS
@pytest.mark.parametrize("height", range(6, 12))
def test_any_part_of_a_tile_at_the_edges(kind, method, height):
    """Heights and widths that leave every remainder modulo the side of a tile, below and beside whole ones."""
    rng = np.random.default_rng(height)
    layer = random_layer(kind, rng, PANEL + 3, 5, 9)
    for width in range(12, 18):
        x = rng.standard_normal((height, width, 5), dtype=np.float32)
        assert_rounds_to(convolve(x, layer, method), x, layer, method)


@KINDS
@pytest.mark.parametrize("factor", [0, 1])
@pytest.mark.parametrize("zeros", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
def test_taps_that_are_zero(kind, method, factor, zeros):
    rng = np.random.default_rng(10)
    layer = random_layer(kind, rng, PANEL + 3, 5, 9)
    taps = (layer.cp_y.T, layer.cp_x.T) if kind is CP else (layer.vertical, layer.horizontal)
    taps[factor][..., zeros] = 0
    x = rng.standard_normal((13, 14, 5), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@KINDS
@pytest.mark.parametrize("view", ["transposed", "every second", "reversed", "float64", "Fortran"])
def test_takes_arrays_in_any_order(kind, method, view):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((12, 10, 16)).astype(np.float32)
    layer = random_layer(kind, rng, 5, 8 if view == "every second" else 16, 7)
    x = {
        "transposed": x.transpose(1, 0, 2),
        "every second": x[::2, :, ::2],
        "reversed": x[::-1, ::-1, ::-1],
        "float64": x.astype(np.float64),
        "Fortran": np.asfortranarray(x),
    }[view]
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (32, 64), (64, 192)], ids=str)
def test_a_pair_of_full_rank_is_the_dense_layer(method, shape):
    rng = np.random.default_rng(2)
    n, c = shape
    weight = rng.standard_normal((n, c, 3, 3), dtype=np.float32) / np.float32(3 * c**0.5)
    dense = Dense(weight, rng.standard_normal(n, dtype=np.float32))
    factors = (factor.astype(np.float32) for factor in svd.truncate(weight, 3 * min(shape)))
    pair = Separable(*factors, dense.bias)
    x = rng.standard_normal((9, 11, c), dtype=np.float32)
    # Rounding both factors to float32 moves each product by eps: two more terms of the sums.
    bound = error_bound(x, pair, method) + EPS * exact_convolution(
        np.abs(x), dense_kernel(pair, np.abs), np.abs(dense.bias)
    )
    exact = exact_convolution(x, weight, dense.bias)
    assert (np.abs(convolve(x, pair, method) - exact) <= bound).all()


@KINDS
@pytest.mark.parametrize("n", [3, 24, 32])
def test_channel_slices_and_all_of_the_epilogue(kind, method, n):
    """In and out of the middle of one buffer, whose other channels stay as they were; both additions at once."""
    rng = np.random.default_rng(3)
    height, width, c = 9, 11, 24
    layer = random_layer(kind, rng, n, c, 20)
    buffer = allocate(height, width, 7 + c + n + 5)
    buffer.array[:] = rng.standard_normal(buffer.array.shape)
    before = buffer.buffer.copy()
    skip, outer = (from_array(rng.standard_normal((height, width, n + 2))).slice(1, n) for _ in range(2))
    ends = Epilogue(layer.bias, slope=0.2, scale=0.25, skip=skip, skip_scale=0.5, outer=outer)
    convolution(layer, method)(buffer.slice(7, c), buffer.slice(7 + c, n), ends)

    x = before[1 : height + 1, 1 : width + 1, 7 : 7 + c]
    exact = exact_layer(x, layer)
    exact = 0.25 * np.where(exact > 0, exact, 0.2 * exact) + 0.5 * skip.array.astype(float) + outer.array
    out = buffer.slice(7 + c, n).array
    # the epilogue rounds four times, each at most eps / 2 of numbers below 8
    np.testing.assert_allclose(out, exact, rtol=0, atol=float(error_bound(x, layer, method).max()) + 16 * EPS)
    out[:] = before[1 : height + 1, 1 : width + 1, 7 + c : 7 + c + n]
    np.testing.assert_array_equal(buffer.buffer, before)


@KINDS
def test_rows_of_a_larger_map(kind, method):
    """A map that starts further down reads the rows above and below it, as the tail's bands do."""
    rng = np.random.default_rng(4)
    layer = random_layer(kind, rng, 16, 8, 12)
    x = rng.standard_normal((12, 10, 8), dtype=np.float32)
    whole = convolve(x, layer, method)
    out = allocate(5, 10, 16)
    convolution(layer, method)(from_array(x).rows(6, 11), out, Epilogue(layer.bias))
    np.testing.assert_array_equal(out.array, whole[6:11])


@KINDS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_where_they_are_seen(kind, method, value):
    rng = np.random.default_rng(5)
    layer = random_layer(kind, rng, 8, 8, 8)
    x = rng.standard_normal((18, 18, 8), dtype=np.float32)
    x[3, 6, 5] = value
    out = convolve(x, layer, method)
    assert not np.isfinite(out[2:5, 5:8]).any()
    # whole tiles of 6 x 6 pixels, of which each sees 8 x 8: columns -1 to 6 and 5 to 12
    out[(slice(0, 6), slice(0, 12)) if method == "winograd" else (slice(2, 5), slice(5, 8))] = 0
    assert np.isfinite(out).all()


@pytest.mark.parametrize("sides", [(1, 3), (3, 5)])
def test_cp_kernels_of_another_size_are_refused(sides):
    y, x = (np.zeros((side, 2), np.float32) for side in sides)
    with pytest.raises(ValueError, match=f"kernel of {sides[0]} x {sides[1]}: expected 3 x 3"):
        cp.prepare(np.zeros((4, 2), np.float32), y, x, np.zeros((5, 2), np.float32))


def test_blocks_of_any_size_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(7)
    layer = random_layer(Separable, rng, 24, 20, 18)
    x = rng.standard_normal((10, 27, 20), dtype=np.float32)
    whole = convolve(x, layer, "winograd")
    for block in range(1, 8):
        monkeypatch.setattr(separable_winograd, "block_tiles", lambda across, most, block=block: block)
        np.testing.assert_array_equal(convolve(x, layer, "winograd"), whole)


@pytest.mark.parametrize(("across", "most"), [(1, 1), (7, 3), (24, 24), (24, 16), (48, 13), (5, 100)])
def test_blocks_waste_little_and_fit(across, most):
    block = separable_winograd.block_tiles(across, most)
    assert 1 <= block <= min(across, most)

    def pixels(tiles):  # computed for blocks of so many: the columns of the middle, in whole register tiles
        sizes = [min(tiles, across - first) for first in range(0, across, tiles)]
        return sum(-(-(OUTPUT_TILE * size + 2) // ROWS) * ROWS for size in sizes)

    assert pixels(block) == min(pixels(tiles) for tiles in range(1, min(across, most) + 1))


@KINDS
def test_new_sizes_do_not_compile_anew(kind, method):
    module = {(Separable, "direct"): separable, (Separable, "winograd"): separable_winograd, (CP, "direct"): cp}[
        kind, method
    ]
    rng = np.random.default_rng(6)
    compiled = [value for value in vars(module).values() if hasattr(value, "signatures")]
    assert compiled
    for height, width, n, c, rank in [(1, 1, 1, 1, 1), (5, 1, 2, 3, 4), (1, 9, 64, 32, 50), (8, 8, 3, 16, 16)]:
        convolve(rng.standard_normal((height, width, c)), random_layer(kind, rng, n, c, rank), method)
    assert all(len(function.signatures) <= 1 for function in compiled)
