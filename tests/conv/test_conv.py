import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import EPS, exact_convolution, rounding_error, seven_loops, winograd_error

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import METHODS, convolution, convolve
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense

SIZES = [(1, 1), (2, 3), (7, 13), (4, 8), (31, 37)]
CHANNELS = [(1, 1), (3, 64), (64, 3), (64, 32), (17, 33), (192, 64)]


def random_layer(rng, n, c, d=3):
    weight = rng.standard_normal((n, c, d, d), dtype=np.float32) / np.float32(d * c**0.5)
    return Dense(weight, rng.standard_normal(n, dtype=np.float32))


def error_bound(method, x, layer):
    bound = rounding_error(x, layer.weight, layer.bias)
    return bound + winograd_error(x, layer.weight) if method == "winograd" else bound


def assert_rounds_to(actual, method, x, layer):
    bound = error_bound(method, x, layer)
    assert (np.abs(actual - exact_convolution(x, layer.weight, layer.bias)) <= bound).all()


def test_the_reference_is_the_definition():
    rng = np.random.default_rng(0)
    x, layer = rng.random((3, 5, 2)), random_layer(rng, 4, 2)
    np.testing.assert_allclose(
        exact_convolution(x, layer.weight, layer.bias), seven_loops(x, layer.weight, layer.bias), atol=1e-13
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_equals_float64(method, size, channels):
    rng = np.random.default_rng(1)
    c, n = channels
    x, layer = rng.standard_normal((*size, c), dtype=np.float32), random_layer(rng, n, c)
    assert_rounds_to(convolve(x, layer, method), method, x, layer)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_equals_float64_for_any_size(method, height, width, c, n, seed):
    rng = np.random.default_rng(seed)
    x, layer = rng.standard_normal((height, width, c), dtype=np.float32), random_layer(rng, n, c)
    assert_rounds_to(convolve(x, layer, method), method, x, layer)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("view", ["transposed", "every second", "reversed", "float64", "Fortran"])
def test_takes_arrays_in_any_order(method, view):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((12, 10, 16)).astype(np.float32)
    layer = random_layer(rng, 5, 8 if view == "every second" else 16)
    x = {
        "transposed": x.transpose(1, 0, 2),
        "every second": x[::2, :, ::2],
        "reversed": x[::-1, ::-1, ::-1],
        "float64": x.astype(np.float64),
        "Fortran": np.asfortranarray(x),
    }[view]
    assert_rounds_to(convolve(x, layer, method), method, x, layer)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [3, 24, 32])
def test_channel_slices_and_all_of_the_epilogue(method, n):
    """In and out of the middle of one buffer, whose other channels stay as they were; both additions at once."""
    rng = np.random.default_rng(3)
    height, width, c = 9, 11, 24
    layer = random_layer(rng, n, c)
    buffer = allocate(height, width, 7 + c + n + 5)
    buffer.array[:] = rng.standard_normal(buffer.array.shape)
    before = buffer.buffer.copy()
    skip, outer = (from_array(rng.standard_normal((height, width, n + 2))).slice(1, n) for _ in range(2))
    ends = Epilogue(layer.bias, slope=0.2, scale=0.25, skip=skip, skip_scale=0.5, outer=outer)
    convolution(layer, method)(buffer.slice(7, c), buffer.slice(7 + c, n), ends)

    x = before[1 : height + 1, 1 : width + 1, 7 : 7 + c]
    exact = exact_convolution(x, layer.weight, layer.bias)
    exact = 0.25 * np.where(exact > 0, exact, 0.2 * exact) + 0.5 * skip.array.astype(float) + outer.array
    out = buffer.slice(7 + c, n).array
    # the epilogue rounds four times, each at most eps / 2 of numbers below 8
    np.testing.assert_allclose(
        out, exact, rtol=0, atol=float(rounding_error(x, layer.weight, layer.bias).max()) + 16 * EPS
    )
    out[:] = before[1 : height + 1, 1 : width + 1, 7 + c : 7 + c + n]
    np.testing.assert_array_equal(buffer.buffer, before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [(0, 3), (4, 9), (8, 12)], ids=str)
def test_rows_of_a_larger_map(method, rows):
    """A map that starts further down reads the rows around it; as in the tail, it starts at a whole tile."""
    rng = np.random.default_rng(5)
    x, layer = rng.standard_normal((12, 10, 8), dtype=np.float32), random_layer(rng, 16, 8)
    out = allocate(rows[1] - rows[0], 10, 16)
    convolution(layer, method)(from_array(x).rows(*rows), out, Epilogue(layer.bias))
    within = slice(*rows)
    error = np.abs(out.array - exact_convolution(x, layer.weight, layer.bias)[within])
    assert (error <= error_bound(method, x, layer)[within]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_visible(method, value):
    rng = np.random.default_rng(4)
    x, layer = rng.standard_normal((12, 12, 8), dtype=np.float32), random_layer(rng, 8, 8)
    x[3, 4, 5] = value
    out = convolve(x, layer, method)
    assert not np.isfinite(out[2:5, 3:6]).any()
    # whole tiles of 4 x 4 pixels, of which each sees 6 x 6
    reached = (slice(0, 8), slice(0, 8)) if method == "winograd" else (slice(2, 5), slice(3, 6))
    out[reached] = 0
    assert np.isfinite(out).all()


def test_maps_that_do_not_fit_are_refused():
    layer = random_layer(np.random.default_rng(6), 4, 4)
    run = convolution(layer, "direct")
    with pytest.raises(ValueError, match="do not fit"):
        run(allocate(4, 4, 4), allocate(4, 5, 4), Epilogue(layer.bias))
    with pytest.raises(ValueError, match="must be"):
        run(allocate(4, 4, 4), allocate(4, 4, 4), Epilogue(layer.bias, skip=allocate(4, 4, 3)))


def test_what_compiled_loops_would_not_notice():
    """Sizes and layouts that addresses cannot show."""
    rng = np.random.default_rng(9)
    with pytest.raises(ValueError, match="input of 5 channels: the layer reads 4"):
        convolve(rng.random((4, 4, 5)), random_layer(rng, 4, 4), "direct")
    for d in (1, 2, 5):
        with pytest.raises(InputError, match=f"kernel of {d} x {d}: expected 3 x 3"):
            convolve(rng.random((4, 4, 2)), random_layer(rng, 2, 2, d), "direct")
    weight, bias = rng.standard_normal((4, 4, 3, 3)), rng.standard_normal(8)[::2]  # float64, strided
    x, layer = rng.standard_normal((5, 6, 4), dtype=np.float32), Dense(weight, bias)
    assert_rounds_to(convolve(x, layer, "direct"), "direct", x, layer)


def test_unknown_method():
    with pytest.raises(InputError, match="'fft': expected one of direct"):
        convolution(random_layer(np.random.default_rng(7), 1, 1), "fft")


@pytest.mark.parametrize("method", METHODS)
def test_new_sizes_do_not_compile_anew(method):
    """One signature serves every size and channel count; 1 x 1 maps, which NumPy sees in any memory order, too."""
    rng = np.random.default_rng(8)
    module = METHODS[method]
    compiled = [value for value in vars(module).values() if hasattr(value, "signatures")]
    assert compiled
    for height, width, c, n in [(1, 1, 1, 1), (5, 1, 3, 2), (1, 9, 32, 64), (8, 8, 16, 3)]:
        convolve(rng.standard_normal((height, width, c)), random_layer(rng, n, c), method)
    assert all(len(function.signatures) <= 1 for function in compiled)
