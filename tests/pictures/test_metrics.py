import math

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.metrics import fidelity, luma, psnr, ssim
from lowrank_sr.pictures.resize import imresize

SHAPES = st.sampled_from([(14, 12), (12, 15, 3)])
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(*[arrays(np.uint8, shape)] * 2))
CHANNELS = st.sampled_from(["y", "rgb"])


def naive_ssim(a, b):
    """SSIM of two (H, W) arrays of 8-bit values as its paper defines it, a window at a time."""
    y, x = np.mgrid[-5:6, -5:6]
    window = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            covariance = (window * (p - mean_p) * (q - mean_q)).sum()
            c1, c2 = 6.5025, 58.5225
            numerator = (2 * mean_p * mean_q + c1) * (2 * covariance + c2)
            values.append(numerator / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2)))
    return np.mean(values)


def random_pair(*shape):
    stored = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(float)
    return stored[0], np.rint(0.7 * stored[0] + 0.3 * stored[1])


@pytest.mark.parametrize(
    ("rgb", "expected"),
    # The 8-bit luma of BT.601's colour bars at full amplitude.
    [((0, 0, 0), 16), ((1, 1, 1), 235), ((1, 0, 0), 81), ((0, 1, 0), 145), ((0, 0, 1), 41), ((1, 1, 0), 210)],
)
def test_luma_of_the_colour_bars(rgb, expected):
    assert luma(np.full((1, 1, 3), rgb, np.float32)) == expected


def test_psnr_by_hand():
    a = np.zeros((4, 5))
    b = a.copy()
    b[1, 2] = 10 / 255
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / (100 / 20)), abs=1e-12)
    # Greyscale is compared as it is, RGB by its luma: 16 + 219 * 10 / 255 rounds to 25, 9 above black.
    rgb_a, rgb_b = np.stack([a] * 3, axis=2), np.stack([b] * 3, axis=2)
    assert psnr(rgb_a, rgb_b) == pytest.approx(10 * math.log10(255**2 / (81 / 20)), abs=1e-12)
    assert psnr(rgb_a, rgb_b, channels="rgb") == pytest.approx(psnr(a, b), abs=1e-12)


def test_psnr_rgb_is_of_the_error_over_all_channels():
    a, b = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    b[:, :, 0], b[:, :, 1] = 3 / 255, 6 / 255
    assert psnr(a, b, channels="rgb") == pytest.approx(10 * math.log10(255**2 / ((9 + 36) / 3)), abs=1e-12)


def test_ssim_matches_the_definition():
    a, b = random_pair(17, 14)
    assert ssim(a / 255, b / 255) == pytest.approx(naive_ssim(a, b), abs=1e-12)


def test_ssim_rgb_is_the_mean_of_the_channels():
    a, b = random_pair(13, 16, 3)
    expected = np.mean([naive_ssim(a[:, :, k], b[:, :, k]) for k in range(3)])
    assert ssim(a / 255, b / 255, channels="rgb") == pytest.approx(expected, abs=1e-12)
    assert ssim(a / 255, b / 255) == pytest.approx(naive_ssim(luma(a / 255), luma(b / 255)), abs=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_crop_cuts_every_border(metric):
    a, b = (x / 255 for x in random_pair(20, 22, 3))
    assert metric(a, b, crop=3) == metric(a[3:-3, 3:-3], b[3:-3, 3:-3]) != metric(a, b)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_compares_8_bit_values(metric):
    a, b = (x / 255 for x in random_pair(14, 15))
    assert metric(a.astype(np.float32) + np.float32(0.4 / 255), b) == metric(a, b)
    assert metric(a * 3 - 1, b) == metric(np.clip(a * 3 - 1, 0, 1), b)


@given(PAIRS, CHANNELS)
@settings(deadline=None, max_examples=60)
def test_symmetric_and_perfect_only_when_equal(pair, channels):
    a, b = (x / 255 for x in pair)
    assert psnr(a, b, channels=channels) == psnr(b, a, channels=channels)
    assert ssim(a, b, channels=channels) == pytest.approx(ssim(b, a, channels=channels), abs=1e-12)
    assert psnr(a, a, channels=channels) == math.inf
    assert ssim(a, a, channels=channels) == pytest.approx(1, abs=1e-12)
    assert -1 - 1e-12 <= ssim(a, b, channels=channels) <= 1 + 1e-12
    if a.ndim == 2 or channels == "rgb":
        assert math.isfinite(psnr(a, b, channels=channels)) == (not np.array_equal(a, b))


@pytest.mark.parametrize(("name", "psnr_y", "ssim_y"), [("Set5", 28.42, 0.8104), ("Set14", 26.00, 0.7027)])
def test_published_values_of_bicubic_x4(shared, name, psnr_y, ssim_y):
    scores = []
    for path in sorted((shared / "data" / name).glob("*_HR.png")):
        high, low = (
            np.asarray(PIL.Image.open(path)) / 255,
            np.asarray(PIL.Image.open(str(path).replace("_HR", "_LR"))) / 255,
        )
        scores.append([metric(imresize(low, 4), high, crop=4) for metric in (psnr, ssim)])
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(psnr_y, abs=0.02)
    assert mean_ssim == pytest.approx(ssim_y, abs=0.0005)


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (np.zeros((20, 20)), np.zeros((20, 21)), {}, r"\(20, 20\) and \(20, 21\)"),
        (np.zeros((20, 20)), np.zeros((20, 20, 3)), {}, "expected two of the same shape"),
        (np.zeros((20, 20)), np.zeros((20, 20)), {"crop": 10}, "crop of 10"),
        (np.zeros((20, 20)), np.zeros((20, 20)), {"crop": -1}, "crop of -1"),
        (np.zeros((20, 20)), np.zeros((20, 20)), {"channels": "Y"}, "'y' or 'rgb'"),
        (np.zeros((20, 20, 4)), np.zeros((20, 20, 4)), {}, r"\(20, 20, 4\)"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8), {}, "uint8"),
        (np.zeros((20, 20)), np.full((20, 20), np.nan), {}, "not a number"),
    ],
)
def test_refuses(metric, a, b, options, message):
    with pytest.raises(InputError, match=message):
        metric(a, b, **options)


def test_ssim_needs_a_whole_window():
    assert ssim(np.zeros((11, 11)), np.zeros((11, 11))) == 1
    with pytest.raises(InputError, match="at least 11 x 11"):
        ssim(np.zeros((18, 40)), np.zeros((18, 40)), crop=4)


def test_fidelity_is_of_clipped_values_to_the_edges():
    """0.1 off everywhere are 20 dB; what is stored as 0 or 1 is no error, the border is, and so is less than a step."""
    picture = np.full((12, 10, 3), 0.5, np.float32)
    assert fidelity(picture, picture + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert fidelity(0 * picture, 0 * picture - 5) == np.inf
    assert fidelity(2 * picture, 4 * picture) == np.inf
    edge = picture.copy()
    edge[0, 0, 0] += 0.5
    assert fidelity(edge, picture) == pytest.approx(10 * np.log10(12 * 10 * 3 / 0.25), abs=1e-4)
    assert 60 < fidelity(picture, picture + np.float32(1e-4)) < 81
    with pytest.raises(InputError, match=r"\(12, 10, 3\) and \(12, 9, 3\): expected two of the same shape"):
        fidelity(picture, picture[:, :9])
    with pytest.raises(InputError, match="not a number"):
        fidelity(picture, picture * np.nan)
