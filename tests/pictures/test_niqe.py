import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import gamma

from lowrank_sr.errors import InputError
from lowrank_sr.pictures import niqe as module
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.niqe import niqe
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import IMAGES

# What BasicSR 1.4.2 gives for the same luma. Its astronaut, 3.091, is another number than ours, 3.066: parts of that
# picture are black, and what rounding leaves of them is counted there, with its sign.
BASICSR = {"bee": 3.8810, "bridge": 3.0389, "chelsea": 2.6255, "coffee": 4.9162, "raccoon": 2.3544}


def picture(name):
    return read_image(IMAGES / f"{name}.png").pixels


@pytest.mark.parametrize("name", BASICSR)
def test_the_value_is_that_of_another_implementation(name):
    assert niqe(picture(name)) == pytest.approx(BASICSR[name], abs=5e-4)


def test_blocks_of_one_colour_are_left_out_of_the_covariance():
    x = picture("bee")[:192, :480].copy()  # two rows of five blocks
    x[:100, :100] = 0.3  # the window is 3 pixels wide on each side
    y = module.eight_bit(x, "y")
    features = np.hstack([module._features(y, 96), module._features(imresize(y, 0.5), 48)])
    assert list(np.isnan(features).any(axis=1)) == [True] + 9 * [False]
    mean, covariance = module._pristine()
    difference = np.nanmean(features, axis=0) - mean
    expected = difference @ np.linalg.pinv((covariance + np.cov(features[1:].T)) / 2) @ difference
    assert niqe(x) == pytest.approx(expected**0.5)


def test_what_rounding_leaves_of_one_colour_is_nothing():
    flat = module._normalised(np.full((40, 50), 83.0))
    assert (flat == 0).all()


@pytest.mark.parametrize(("alpha", "left", "right"), [(0.7, 0.3, 0.5), (1.0, 0.6, 0.4), (2.5, 1.0, 1.2)])
def test_the_fit_finds_the_distribution_that_samples_were_drawn_from(alpha, left, right):
    rng = np.random.default_rng(0)
    magnitudes = gamma(1 / alpha).rvs(200_000, random_state=rng) ** (1 / alpha)  # |x| / β of the distribution
    negative = rng.random(magnitudes.size) < left / (left + right)
    found = module._fitted(np.where(negative, -left, right) * magnitudes)
    np.testing.assert_allclose(found, (alpha, left, right), rtol=0.03)  # of 200,000 samples


@pytest.mark.parametrize("sigma", [1, 2])
def test_blur_and_noise_are_less_natural(sigma):
    x = picture("chelsea")
    noise = np.random.default_rng(0).standard_normal(x.shape) * 0.05 * sigma
    assert niqe(gaussian_filter(x, (sigma, sigma, 0))) > niqe(x) + 0.5
    assert niqe(np.clip(x + noise, 0, 1)) > niqe(x) + 0.5


def test_a_crop_is_of_each_border_and_the_rest_of_a_block_is_left_out():
    x = picture("bee")
    assert niqe(x, crop=4) == niqe(x[4:-4, 4:-4]) == niqe(x[4 : 4 + 288, 4 : 4 + 480])


def test_grey_is_compared_as_it_is():
    y = module.eight_bit(picture("bee"), "y") / 255
    assert niqe(y) == niqe(picture("bee"))


@pytest.mark.parametrize("shape", [(191, 95), (100, 100, 3), (96, 191)])
def test_a_picture_of_less_than_two_blocks_is_refused(shape):
    with pytest.raises(InputError, match="two blocks of 96 x 96"):
        niqe(np.random.default_rng(0).random(shape))


def test_a_picture_of_one_colour_is_refused():
    with pytest.raises(InputError, match="of one colour"):
        niqe(np.full((200, 200), 0.4))


def test_a_crop_that_is_negative_is_refused():
    with pytest.raises(InputError, match="-1 pixels"):
        niqe(picture("bee"), crop=-1)
