import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.sharpness import FINE, _share_of_fine, sharpness
from lowrank_sr.resources import IMAGES


def wave(cycles, height=64, width=96):
    """A wave of so many cycles a pixel along the width, of values that 8 bits hold exactly."""
    return 0.5 + np.rint(100 * np.sin(2 * np.pi * cycles * np.arange(width) + 0.4)) / 255 * np.ones((height, 1))


@pytest.mark.parametrize(("cycles", "share"), [(1 / 8, 0.0), (3 / 16, 0.0), (5 / 16, 1.0), (7 / 16, 1.0)])
def test_a_wave_is_fine_or_is_not(cycles, share):
    assert _share_of_fine(wave(cycles)) == pytest.approx(share, abs=2e-3)  # values are rounded to 8 bit


def test_white_noise_has_the_share_of_the_area():
    noise = np.random.default_rng(0).random((256, 256))
    assert _share_of_fine(noise) == pytest.approx(1 - math.pi * FINE**2, abs=0.01)


def test_blur_lowers_it_as_its_transfer_function_says():
    x = 0.3 + 0.4 * np.random.default_rng(0).random((256, 256))  # its power is the same at all frequencies but 0
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2))
    transfer = np.exp(-2 * (np.pi * f * 0.5) ** 2)  # of a Gaussian of sigma 0.5 pixels
    blurred = np.fft.ifft2(np.fft.fft2(x) * transfer).real
    expected = (transfer[f > FINE] ** 2).sum() / (transfer**2).sum() / (f > FINE).mean()
    assert sharpness(blurred, x) == pytest.approx(expected, rel=0.02)  # of 65,536 random numbers


@pytest.mark.parametrize("name", ["bee", "chelsea"])
def test_photographs(name):
    x = read_image(IMAGES / f"{name}.png").pixels
    assert sharpness(x, x) == 1
    shares = [sharpness(gaussian_filter(x, (sigma, sigma, 0)), x) for sigma in (0.3, 0.5, 1)]
    assert 1 > shares[0] > shares[1] > shares[2] > 0


def test_brightness_and_contrast_do_not_count():
    x = 0.25 + 0.25 * np.random.default_rng(0).random((64, 80, 3))
    assert sharpness(x + 0.2, x) == pytest.approx(1, abs=0.02)  # of 8 bits
    assert sharpness(2 * x - 0.2, x) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(64, 96), (50, 70), (96, 96)])
@pytest.mark.parametrize("level", [0, 17, 83, 102, 255])
def test_a_reference_of_one_colour(shape, level):
    noise = np.random.default_rng(0).random(shape)
    assert sharpness(noise, np.full(shape, level / 255)) is None


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="same height and width"):
        sharpness(np.zeros((8, 8)), np.zeros((8, 9)))
