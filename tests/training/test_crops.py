import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.errors import InputError
from lowrank_sr.training import crops
from lowrank_sr.training.crops import Photograph, draw, photographs


def picture(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def test_both_resolutions_are_those_that_evaluate_measures_on():
    (pair,) = photographs([picture(50, 43)], 4, 8, with_teacher=False)
    high = np.rint(255 * picture(50, 43)[1:49, 1:41])  # the middle, whole multiples of 4
    np.testing.assert_array_equal(pair.high, high)
    low = lsr.imresize((high / 255).astype(np.float32), 1 / 4)
    np.testing.assert_array_equal(pair.low, np.rint(255 * low.clip(0, 1)))


def test_of_a_large_picture_the_middle(monkeypatch):
    monkeypatch.setattr(crops, "LARGEST_SIDE", 32)
    (pair,) = photographs([picture(40, 100)], 4, 8, with_teacher=False)
    assert pair.high.shape == (32, 32, 3)
    np.testing.assert_array_equal(pair.high, np.rint(255 * picture(40, 100)[4:36, 34:66]))


def test_pictures_that_are_too_small():
    small, large = picture(31, 40), picture(32, 32)
    assert len(photographs([small, large], 4, 8, with_teacher=False)) == 1
    with pytest.raises(InputError, match="none of 1 is large enough: expected at least 32 x 32 pixels"):
        photographs([small], 4, 8, with_teacher=False)
    (pair,) = photographs([small], 4, 8, with_teacher=True)  # as it is
    np.testing.assert_array_equal(pair.low, np.rint(255 * small))
    assert pair.high is None
    with pytest.raises(InputError, match="expected at least 8 x 8 pixels"):
        photographs([picture(7, 9)], 4, 8, with_teacher=True)
    with pytest.raises(InputError, match="none of 0"):
        photographs([], 4, 8, with_teacher=True)


@pytest.mark.parametrize("wrong", [np.zeros((40, 40), np.float32), np.zeros((40, 40, 3), np.uint8)])
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(InputError, match="expected \\(H, W, 3\\) floats"):
        photographs([wrong], 4, 8, with_teacher=False)


def test_crops_of_both_resolutions_show_the_same_in_all_eight_positions():
    low = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    pictures = [Photograph(low, low.repeat(2, 0).repeat(2, 1))]
    batch = draw(pictures, 300, 4, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(batch.high, batch.low.repeat(2, 1).repeat(2, 2))
    seen = {crop.tobytes() for crop in np.rint(255 * batch.low).astype(np.uint8)}
    expected = set()
    for top in (0, 1):
        for turns in range(4):
            turned = np.rot90(low[top : top + 4], turns)
            expected |= {turned.tobytes(), turned[:, ::-1].tobytes()}
    assert seen == expected
    assert len(seen) == 16


def test_the_seed_decides():
    pictures = photographs([picture(64, 64)], 4, 8, with_teacher=False)
    a, b, c = (draw(pictures, 3, 8, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.low, b.low)
    assert (a.low != c.low).any()
