"""A layer by itself, in every form and by every method, against float64."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    EPS,
    EVERY_WAY,
    assert_rounds_to_layer,
    dense_kernel,
    error_bound,
    exact_convolution,
    exact_layer,
    random_layer,
    seven_loops,
)

from lowrank_sr import layers
from lowrank_sr.conv.algorithms import algorithm_of
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.machine.cpu import NR

SIZES = [(1, 1), (1, 9), (2, 3), (7, 13), (4, 8), (31, 37)]
# N, C, and the rank of a factorised layer
SHAPES = [(1, 1, 1), (64, 3, 9), (3, 64, 5), (32, 64, 16), (33, 17, 40), (64, 192, NR + 1)]


def assert_rounds_to(actual, x, layer, method):
    assert_rounds_to_layer(actual, x, layer, method)
    if not isinstance(layer, Dense):
        # Those bounds are of the worst case; errors of random sign grow with the root of the number of terms only.
        error = actual - exact_layer(x, layer)
        exact = exact_convolution(np.abs(x), dense_kernel(layer, np.abs), np.abs(layer.bias))
        assert np.linalg.norm(error) <= 32 * EPS * np.linalg.norm(exact)


def test_the_reference_is_the_definition():
    rng = np.random.default_rng(0)
    x, layer = rng.random((3, 5, 2)), random_layer(Dense, rng, 4, 2)
    np.testing.assert_allclose(
        exact_convolution(x, layer.weight, layer.bias), seven_loops(x, layer.weight, layer.bias), atol=1e-13
    )


@EVERY_WAY
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_float64(kind, method, size, shape):
    rng = np.random.default_rng(1)
    layer = random_layer(kind, rng, *shape)
    x = rng.standard_normal((*size, shape[1]), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@EVERY_WAY
@settings(max_examples=40, deadline=None)
@given(*(st.integers(1, limit) for limit in (20, 20, 40, 40, 40)), st.integers(0, 2**32))
def test_equals_float64_for_any_size(kind, method, height, width, n, c, rank, seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(kind, rng, n, c, rank)
    x = rng.standard_normal((height, width, c), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


@EVERY_WAY
@pytest.mark.parametrize("view", ["transposed", "every second", "reversed", "float64", "Fortran"])
def test_takes_arrays_in_any_order(kind, method, view):
    rng = np.random.default_rng(2)
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


@EVERY_WAY
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


@EVERY_WAY
@pytest.mark.parametrize("rows", [(0, 3), (6, 11), (12, 18)], ids=str)
def test_rows_of_a_larger_map(kind, method, rows):
    """A map that starts further down reads the rows around it; as in the tail, it starts at a whole tile."""
    rng = np.random.default_rng(5)
    layer = random_layer(kind, rng, 16, 8, 12)
    x = rng.standard_normal((18, 10, 8), dtype=np.float32)
    out = allocate(rows[1] - rows[0], 10, 16)
    convolution(layer, method)(from_array(x).rows(*rows), out, Epilogue(layer.bias))
    within = slice(*rows)
    assert (np.abs(out.array - exact_layer(x, layer)[within]) <= error_bound(x, layer, method)[within]).all()
    if method not in ("im2col", "kn2row"):  # BLAS adds in an order that depends on how many rows it is given
        np.testing.assert_array_equal(out.array, convolve(x, layer, method)[within])


@EVERY_WAY
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_visible(kind, method, value):
    rng = np.random.default_rng(4)
    layer = random_layer(kind, rng, 8, 8, 8)
    x = rng.standard_normal((18, 18, 8), dtype=np.float32)
    x[3, 6, 5] = value
    out = convolve(x, layer, method)
    assert not np.isfinite(out[2:5, 5:8]).any()
    # whole tiles of 6 x 6 pixels, of which each sees 8 x 8: columns -1 to 6 and 5 to 12
    out[(slice(0, 6), slice(0, 12)) if method == "winograd" else (slice(2, 5), slice(5, 8))] = 0
    assert np.isfinite(out).all()


@EVERY_WAY
@pytest.mark.parametrize("height", range(6, 12))
def test_any_part_of_a_tile_at_the_edges(kind, method, height):
    """Heights and widths that leave every remainder modulo the side of a tile, below and beside whole ones."""
    rng = np.random.default_rng(height)
    layer = random_layer(kind, rng, NR + 3, 5, 9)
    for width in range(12, 18):
        x = rng.standard_normal((height, width, 5), dtype=np.float32)
        assert_rounds_to(convolve(x, layer, method), x, layer, method)


def taps_of(layer):
    """Views of a layer's numbers with the three taps of one direction last: the vertical ones, the horizontal ones."""
    if isinstance(layer, Dense):
        return layer.weight.swapaxes(2, 3), layer.weight
    return (layer.cp_y.T, layer.cp_x.T) if isinstance(layer, CP) else (layer.vertical, layer.horizontal)


@EVERY_WAY
@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("zeros", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
def test_taps_that_are_zero(kind, method, direction, zeros):
    rng = np.random.default_rng(10)
    layer = random_layer(kind, rng, NR + 3, 5, 9)
    taps_of(layer)[direction][..., zeros] = 0
    x = rng.standard_normal((13, 14, 5), dtype=np.float32)
    assert_rounds_to(convolve(x, layer, method), x, layer, method)


def test_maps_that_do_not_fit_are_refused():
    layer = random_layer(Dense, np.random.default_rng(6), 4, 4)
    run = convolution(layer, "direct")
    with pytest.raises(ValueError, match="map of 4 x 4 does not fit output 4 x 5"):
        run(allocate(4, 4, 4), allocate(4, 5, 4), Epilogue(layer.bias))
    with pytest.raises(ValueError, match="must be"):
        run(allocate(4, 4, 4), allocate(4, 4, 4), Epilogue(layer.bias, skip=allocate(4, 4, 3)))


def test_what_compiled_loops_would_not_notice():
    """Sizes and layouts that addresses cannot show."""
    rng = np.random.default_rng(9)
    with pytest.raises(ValueError, match="input of 5 channels: the layer reads 4"):
        convolve(rng.random((4, 4, 5)), random_layer(Dense, rng, 4, 4), "direct")
    for d in (1, 2, 5):
        with pytest.raises(InputError, match=f"kernel of {d} x {d}: expected 3 x 3"):
            convolve(
                rng.random((4, 4, 2)), Dense(np.zeros((2, 2, d, d), np.float32), np.zeros(2, np.float32)), "direct"
            )
    weight, bias = rng.standard_normal((4, 4, 3, 3)), rng.standard_normal(8)[::2]  # float64, strided
    x, layer = rng.standard_normal((5, 6, 4), dtype=np.float32), Dense(weight, bias)
    assert_rounds_to(convolve(x, layer, "direct"), x, layer, "direct")


@EVERY_WAY
def test_kernels_of_another_size_are_refused(kind, method):
    form = {Dense: None, Separable: "svd", CP: "cp"}[kind]
    for size in (1, 2, 5):
        with pytest.raises(InputError, match=f"kernel of {size} x {size}: expected 3 x 3"):
            convolution(layers.random_layer((4, 4, size), form, 2), method)


def test_unknown_method():
    with pytest.raises(InputError, match="'fft': expected one of direct"):
        convolution(random_layer(Dense, np.random.default_rng(7), 1, 1), "fft")


@EVERY_WAY
def test_new_sizes_do_not_compile_anew(kind, method):
    """One signature serves every size and channel count; 1 x 1 maps, which NumPy sees in any memory order, too."""
    rng = np.random.default_rng(8)
    layer = random_layer(kind, rng, 1, 1, 1)
    module = sys.modules[algorithm_of(layer, method).convolve.__module__]
    compiled = [value for value in vars(module).values() if hasattr(value, "signatures")]
    assert compiled
    for height, width, n, c, rank in [(1, 1, 1, 1, 1), (5, 1, 2, 3, 4), (1, 9, 64, 32, 50), (8, 8, 3, 16, 16)]:
        convolve(rng.standard_normal((height, width, c)), random_layer(kind, rng, n, c, rank), method)
    for zeros in ([], [0], [0, 1], [0, 1, 2]):
        layer = random_layer(kind, rng, 2, 3, 4)
        taps_of(layer)[1][..., zeros] = 0
        convolve(rng.standard_normal((5, 4, 3)), layer, method)
    assert all(len(function.signatures) <= 1 for function in compiled)
