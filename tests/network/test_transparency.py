"""Alpha: opaque stays opaque, transparent transparent, and what stands under it is not seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_channels import NETS

import lowrank_sr as lsr
from lowrank_sr.network.transparency import BICUBIC, NETWORK, carried_outwards, enlarged_alpha
from lowrank_sr.pictures.resize import imresize

RNG = np.random.default_rng(0)
SMALL = lsr.load("psnr-small", method="winograd")


def nearest(alpha, row, column):
    """The squared distance to the nearest pixel that is visible."""
    rows, columns = np.nonzero(alpha > 0)
    return ((rows - row) ** 2 + (columns - column) ** 2).min()


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 1, 255])))
@settings(deadline=None, max_examples=50)
def test_colours_are_carried_to_the_nearest_transparent_pixels(alpha):
    """Each pixel's colour is its number, which tells where a colour has come from."""
    height, width = alpha.shape
    colours = np.arange(alpha.size, dtype=np.float32).reshape(height, width, 1)
    carried = carried_outwards(colours, alpha)
    if not alpha.any():
        np.testing.assert_array_equal(carried, colours)
        return
    for row, column in np.ndindex(height, width):
        source = divmod(int(carried[row, column, 0]), width)
        assert alpha[source] > 0
        assert (source[0] - row) ** 2 + (source[1] - column) ** 2 == nearest(alpha, row, column)
        if alpha[row, column]:
            assert source == (row, column)


def test_alpha_that_does_not_change_is_kept_and_asks_no_network():
    for value in (0, 0.5, 1):
        alpha = np.full((4, 5), value, np.float32)
        larger = enlarged_alpha(alpha, 3, NETWORK, lambda: pytest.fail("computed"))
        np.testing.assert_array_equal(larger, np.full((12, 15), value, np.float32))


def test_alpha_changes_only_where_bicubic_would_see_a_change():
    alpha = np.ones((20, 20), np.float32)
    alpha[:, 12:] = 0
    larger = enlarged_alpha(alpha, 2, NETWORK, lambda: np.full((40, 40), 0.5, np.float32))
    expected = np.ones((40, 40), np.float32)
    expected[:, 28:] = 0
    expected[:, 20:28] = 0.5  # the pixels 10 to 13, from which another value is 2 away at most
    np.testing.assert_array_equal(larger, expected)


def test_bicubic_alpha_is_that_of_imresize():
    alpha = RNG.random((9, 11), dtype=np.float32)
    larger = enlarged_alpha(alpha, 2, BICUBIC, lambda: pytest.fail("computed"))
    np.testing.assert_array_equal(larger, imresize(alpha, 2))
    image = np.concatenate([RNG.random((9, 11, 3), dtype=np.float32), alpha[:, :, None]], axis=2)
    np.testing.assert_array_equal(lsr.enlarge(NETS[3], image, alpha="bicubic")[:, :, 3], imresize(alpha, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("taken", [1, 3, 4])
def test_opaque_stays_opaque_to_the_bit(taken, channels, dtype):
    most = np.iinfo(dtype).max
    image = RNG.integers(0, most, (11, 13, channels), dtype)
    for value in (most, 0):
        image[:, :, -1] = value
        assert (lsr.enlarge(NETS[taken], image)[:, :, -1] == value).all()


def test_what_is_transparent_leaves_no_fringe():
    """A white disc, black where it is transparent: on any background white is seen of it, and nothing else."""
    rows, columns = np.mgrid[:32, :32] - 15.5
    alpha = np.rint(255 * np.clip(10.5 - np.hypot(rows, columns), 0, 1))
    disc = np.where(alpha[:, :, None] > 0, [255, 255, 255, 0], 0).astype(np.uint8)
    disc[:, :, 3] = alpha
    larger = lsr.enlarge(SMALL, disc)
    seen = larger[:, :, :3][larger[:, :, 3] > 0]
    assert seen.min() >= 254  # without colours carried outwards it is 185
    assert 0.9 < (larger[:, :, 3] / 255).sum() / (alpha / 255).sum() / 16 < 1.1


def test_what_stands_under_transparency_does_not_matter():
    alpha = np.zeros((24, 24), np.uint8)
    alpha[8:16, 8:16] = 255
    image = RNG.integers(0, 256, (24, 24, 4), np.uint8)
    image[:, :, 3] = alpha
    other = np.where(alpha[:, :, None] > 0, image, RNG.integers(0, 256, image.shape, np.uint8))
    other[:, :, 3] = alpha
    np.testing.assert_array_equal(lsr.enlarge(NETS[3], image), lsr.enlarge(NETS[3], other))


def test_tiles_give_the_same_alpha():
    image = RNG.integers(0, 256, (60, 50, 4), np.uint8)
    image[:30, :, 3] = 255
    image[40:, 20:, 3] = 0
    whole = lsr.enlarge(NETS[3], image)
    plan = lsr.network.enlarge.TilePlan(60, 50, 18, 18, 12)
    tiled = lsr.network.enlarge.enlarge_in_tiles(NETS[3], image, plan)
    np.testing.assert_array_equal(whole[:, :, 3], tiled[:, :, 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("taken", [1, 3, 4])
def test_grey_in_grey_out(taken, channels, dtype):
    grey = RNG.random((9, 8, channels - 2), dtype=np.float32)
    grey = grey if dtype == np.float32 else np.rint(grey * np.iinfo(dtype).max).astype(dtype)
    stored = np.concatenate([grey[:, :, :1], grey[:, :, :1], grey], axis=2)
    larger = lsr.enlarge(NETS[taken], stored)
    assert (larger[:, :, 0] == larger[:, :, 1]).all()
    assert (larger[:, :, 0] == larger[:, :, 2]).all()
    np.testing.assert_array_equal(larger[:, :, 2:], lsr.enlarge(NETS[taken], grey))


def test_floats_of_other_precisions():
    image = RNG.random((9, 8, 4)).astype(np.float16)
    expected = lsr.enlarge(NETS[3], image.astype(np.float32))
    np.testing.assert_array_equal(lsr.enlarge(NETS[3], image), expected)
    np.testing.assert_array_equal(lsr.enlarge(NETS[3], image.astype(np.float64)), expected)
