import math
import tracemalloc

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import BAND_BYTES
from lowrank_sr.pictures.resize import _resize_rows, imresize, resized_rows, resized_side, resizing_bytes


def keys_kernel(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def naive_line(line, scale):
    """One output sample after the other, of every input sample within reach, mirrored at the ends."""
    stretch, n = min(scale, 1), len(line)
    out = []
    for i in range(1, math.ceil(scale * n) + 1):
        centre = i / scale + (1 - 1 / scale) / 2
        reach = math.ceil(2 / stretch) + 1
        total = weights = 0.0
        for j in range(math.floor(centre) - reach, math.floor(centre) + reach + 1):
            weight = keys_kernel(stretch * (centre - j))
            mirrored = (j - 1) % (2 * n)
            total += weight * line[mirrored if mirrored < n else 2 * n - 1 - mirrored]
            weights += weight
        out.append(total / weights)
    return out


def naive_imresize(image, scale):
    rows = np.array([naive_line(line, scale) for line in image])
    return np.array([naive_line(line, scale) for line in rows.T]).T


@pytest.mark.parametrize("scale", [4, 3, 2, 1.5, 1, 0.75, 0.5, 0.4, 1 / 3, 0.25, 0.1])
@pytest.mark.parametrize("shape", [(13, 10), (2, 7), (1, 1)])
def test_matches_the_definition(scale, shape):
    image = np.random.default_rng(0).random(shape)
    np.testing.assert_allclose(imresize(image, scale), naive_imresize(image, scale), atol=1e-13)


def test_bicubic_weights_of_doubling():
    # Doubling samples Keys' kernel at 1/4, 3/4, 5/4 and 7/4 of a pixel, on both sides.
    impulse = np.zeros((9, 1))
    impulse[4] = 1
    expected = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 128
    np.testing.assert_allclose(imresize(impulse, 2)[5:13, 0], expected, atol=1e-15)


def reduce_rows_as_matlab(image):
    return np.floor(np.clip(_resize_rows(image, 1 / 4), 0, 255) + 0.5)


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_reproduces_the_reductions_of_the_benchmark(shared, name):
    # MATLAB made them of 8-bit images, so it rounded after the rows and again after the columns. It was an
    # older MATLAB, which repeated the edge pixel where today's mirrors: two pixels at each edge differ.
    for path in sorted((shared / "data" / name).glob("*_HR.png")):
        rows_reduced = reduce_rows_as_matlab(np.asarray(PIL.Image.open(path)).astype(float))
        reduced = reduce_rows_as_matlab(rows_reduced.swapaxes(0, 1)).swapaxes(0, 1)
        published = np.asarray(PIL.Image.open(str(path).replace("_HR", "_LR")))
        np.testing.assert_array_equal(reduced[2:-2, 2:-2], published[2:-2, 2:-2])


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.1, 5), st.floats(0, 1), st.sampled_from(["f4", "f8"]))
@settings(deadline=None, max_examples=60)
def test_constant_image_stays_constant(height, width, scale, value, dtype):
    resized = imresize(np.full((height, width, 3), value, dtype), scale)
    assert resized.shape == (math.ceil(scale * height), math.ceil(scale * width), 3)
    assert resized.dtype == dtype
    np.testing.assert_allclose(resized, np.dtype(dtype).type(value), rtol=1e-6, atol=1e-12)


@given(st.sampled_from([4, 0.25, 1.7]), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_commutes_with_flips_and_transposition(scale, seed):
    # Where scale * size is a whole number neither end of an axis is privileged.
    image = np.random.default_rng(seed).random((20, 40))
    resized = imresize(image, scale)
    np.testing.assert_allclose(imresize(image[::-1, ::-1], scale), resized[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(imresize(image.T, scale), resized.T, atol=1e-12)


def test_channels_are_independent_and_not_clipped():
    image = np.random.default_rng(0).integers(0, 2, (9, 8, 3)).astype(np.float32)
    resized = imresize(image, 4)
    for channel in range(3):
        np.testing.assert_array_equal(resized[:, :, channel], imresize(image[:, :, channel], 4))
    assert resized.min() < 0
    assert resized.max() > 1
    assert resized.flags.c_contiguous


@pytest.mark.parametrize(
    ("image", "scale", "message"),
    [
        (np.zeros((4, 4), np.uint8), 2, "dtype uint8"),
        (np.zeros(4), 2, r"shape \(4,\)"),
        (np.zeros((0, 4)), 2, r"shape \(0, 4\)"),
        (np.zeros((4, 4)), 0, "scale is 0"),
        (np.zeros((4, 4)), -1, "scale is -1"),
        (np.zeros((4, 4)), math.nan, "scale is nan"),
        (np.zeros((4, 4)), math.inf, "scale is inf"),
    ],
)
def test_refuses(image, scale, message):
    with pytest.raises(InputError, match=message):
        imresize(image, scale)


@pytest.mark.parametrize("scale", [1e9, 1e300, 1e-9, 2e4])
def test_sizes_beyond_any_memory(scale):
    with pytest.raises(InputError, match="expected one that makes at most 2147483648 values"):
        imresize(np.zeros((5, 6, 3)), scale)


@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.floats(0.05, 3),
    st.integers(1, 20),
    st.booleans(),
)
@settings(deadline=None)
def test_rows_that_come_some_at_a_time(height, width, channels, scale, rows, deep):
    dtype = np.uint16 if deep else np.uint8
    image = np.random.default_rng(height).integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)
    bands = (image[row : row + rows] for row in range(0, height, rows))
    resized = np.concatenate(list(resized_rows(bands, height, scale)))
    assert resized.dtype == dtype
    assert resized.shape == (resized_side(height, scale), resized_side(width, scale), channels)
    whole = imresize(image.astype(np.float64), scale)[: resized.shape[0], : resized.shape[1]]
    np.testing.assert_array_equal(resized, np.rint(whole.clip(0, np.iinfo(dtype).max)))


@pytest.mark.parametrize(
    ("shape", "scale", "dtype"),
    [((8, 1600, 3), 25, np.uint8), ((300, 2000, 4), 0.25, np.uint8), ((4000, 400, 3), 0.0025, np.uint8),
     ((2000, 200, 1), 7.3, np.uint16)],
)  # fmt: skip
def test_memory_is_what_the_model_says(shape, scale, dtype):
    image = np.zeros(shape, dtype)
    needed = resizing_bytes(*shape, image.itemsize, scale)
    tracemalloc.start()
    try:
        for _ in resized_rows([image], shape[0], scale):
            pass
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= needed < 32e6  # not the 190 MB of 64 rows of 40,000 pixels, enlarged at a time
    assert needed < held + 5 * BAND_BYTES
