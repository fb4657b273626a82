"""
PSNR, SSIM and what they miss
=============================

Every result of this tour ends in decibels.
What do they measure, and what do two pictures of equal PSNR have in common?
Which details of the measurement change the number?
"""

# %%
# Two measures
# ------------
#
# Let :math:`a` and :math:`b` be two pictures of 8 bits, values 0 to 255, and MSE the mean of :math:`(a - b)^2` over all
# values. The *peak signal-to-noise ratio*, in decibels, is
#
# .. math::
#
#    \mathrm{PSNR} = 10 \log_{10} \frac{255^2}{\mathrm{MSE}} .
#
# Ten decibels are a tenth of the mean squared error, 3 dB about half. It knows nothing of where the errors are.
#
# The *structural similarity* :cite:p:`wang2004` looks through a window at each place. There, :math:`\mu_a` and
# :math:`\mu_b` are the means of the two pictures, :math:`\sigma_a^2` and :math:`\sigma_b^2` their variances and
# :math:`\sigma_{ab}` their covariance:
#
# .. math::
#
#    \mathrm{SSIM} = \underbrace{\frac{2 \mu_a \mu_b + C_1}{\mu_a^2 + \mu_b^2 + C_1}}_{\text{brightness}}
#    \cdot \underbrace{\frac{2 \sigma_{ab} + C_2}{\sigma_a^2 + \sigma_b^2 + C_2}}_{\text{contrast and structure}} ,
#
# and the result is the mean over all places. It is 1 for equal pictures. :math:`C_1 = (0.01 \cdot 255)^2` and
# :math:`C_2 = (0.03 \cdot 255)^2` keep the quotients finite. The window is Gaussian, 11 x 11 pixels with a standard
# deviation of 1.5.
#
# In the literature on super-resolution both are taken of the *luma*, a weighted sum of red, green and blue,
# :math:`Y = 16 + 65.481 R + 128.553 G + 24.966 B` for values from 0 to 1, rounded.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter

import lowrank_sr as lsr
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES


def eight_bit(picture):
    """The values that a file would hold, 0 to 255."""
    return np.rint(255 * np.clip(picture, 0, 1).astype(float))


def luma(picture):
    """The luma of a picture (H, W, 3): (H, W), whole numbers from 16 to 235."""
    return np.rint(16 + eight_bit(picture) / 255 @ [65.481, 128.553, 24.966])


def psnr(a, b):
    """Of two arrays of 8-bit values, in dB."""
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


def ssim(a, b):
    """The mean structural similarity of two arrays (H, W) of 8-bit values."""
    offsets = np.arange(-5, 6)
    row = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(row, row) / row.sum() ** 2  # (11, 11), its sum is 1

    def mean(x):
        return (sliding_window_view(x, (11, 11)) * window).sum((2, 3))  # (H - 10, W - 10)

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (brightness * structure).mean()


photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258].astype(float)  # (128, 128, 3)
rng = np.random.default_rng(0)
noisy = photograph + 0.05 * rng.standard_normal(photograph.shape)

# %%
# The same through the package
# ----------------------------

by_numpy = psnr(luma(photograph), luma(noisy)), ssim(luma(photograph), luma(noisy))
by_package = lsr.psnr(photograph, noisy), lsr.ssim(photograph, noisy)
# Both work in float64 on the same whole numbers. SSIM subtracts squares of means, up to 255², from means of squares:
# a variance is off by some 255² times 1e-16, against C2 = 58 in the denominator.
assert abs(by_numpy[0] - by_package[0]) <= 1e-12
assert abs(by_numpy[1] - by_package[1]) <= 1e-11
print(f"PSNR {by_package[0]:.2f} dB, SSIM {by_package[1]:.4f}")

# %%
# One PSNR, five pictures
# -----------------------
#
# A picture that is brighter by 14 of 255 steps everywhere has a PSNR of :math:`20 \log_{10}(255 / 14)`. Here are four
# others with the same PSNR, the strength of each found by bisection: more contrast, noise, a Gaussian blur, and squares
# of 6 x 6 pixels, which are blended with their mean.

grain = rng.standard_normal(photograph.shape)


def squares(picture, side=6):
    """Every square of pixels replaced by its mean."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side, 3)
    return blocks.mean((1, 3)).repeat(side, 0).repeat(side, 1)[:height, :width]


changes = {
    "contrast": lambda s: photograph + s * (photograph - photograph.mean()),
    "noise": lambda s: photograph + s * grain,
    "blur": lambda s: gaussian_filter(photograph, (20 * s, 20 * s, 0)),
    "squares": lambda s: photograph + min(2.5 * s, 1.5) * (squares(photograph) - photograph),
}


def quality(picture, channels="rgb"):
    """PSNR in dB and SSIM against the photograph, on all three channels or on luma."""
    return tuple(measure(photograph, picture, channels=channels) for measure in (lsr.psnr, lsr.ssim))


brighter = photograph + 14 / 255
target, _ = quality(brighter)
pictures = {"original": photograph, "brighter": brighter}
for name, change in changes.items():
    weak, strong = 0.0, 0.6
    for _ in range(16):
        middle = (weak + strong) / 2
        if quality(change(middle))[0] > target:
            weak = middle
        else:
            strong = middle
    pictures[name] = change(weak)
for name, picture in list(pictures.items())[1:]:
    print(f"{name:10} PSNR {quality(picture)[0]:.2f} dB, SSIM {quality(picture)[1]:.3f}")
    assert abs(quality(picture)[0] - target) < 0.05  # rounding to 8 bit makes the PSNR go in steps

figure, panels = plt.subplots(2, 3, figsize=(8, 6.2), layout="constrained")
for panel, (name, picture) in zip(panels.flat, pictures.items(), strict=True):
    value = "PSNR, SSIM" if name == "original" else f"{quality(picture)[0]:.1f} dB, {quality(picture)[1]:.2f}"
    panel.imshow(np.clip(picture, 0, 1))
    panel.set_title(f"{name}\n{value}", fontsize=11)
    panel.set_axis_off()
plt.show()

# %%
# PSNR does not tell them apart. SSIM does, and it has preferences of its own: a brighter picture and one with more
# contrast have nearly the same structure, so it hardly objects, while noise that one may hardly see in a texture costs
# much. That matters here. What bare low-rank factors do to the picture is mostly such a shift of brightness
# (:doc:`/auto_tour/15_poster_claims`), which counts in full for PSNR and hardly for SSIM.
#
# Neither knows what a viewer looks at, and neither says that a picture is a plausible photograph. A network trained for
# PSNR averages over what could have been there, which is blurred; ESRGAN's own training gives some of that PSNR away
# for sharp detail :cite:p:`wang2018`.
#
# Luma or RGB
# -----------
#
# Luma weighs green about twice as much as red and five times as much as blue. A change of colour that leaves the
# weighted sum as it was is not there for it:

tint = np.array([1.0, -65.481 / 128.553, 0.0])  # orthogonal to the weights of luma
tinted = photograph + 0.08 * tint
print(f"tinted: PSNR {quality(tinted, 'y')[0]:.2f} dB on luma, {quality(tinted)[0]:.2f} dB on RGB")

# %%
# On most photographs luma gives a higher number than RGB for another reason as well: it spans 219 of the 255 steps that
# the formula takes as its peak. So a PSNR says nothing without the channels that it was taken of.
#
# Borders
# -------
#
# At its border a network sees zeros instead of the rest of the scene. The literature cuts as many pixels from each side
# as the picture was enlarged by. To see what the border alone does, the same detail is enlarged twice: cut out first,
# and cut out of a larger picture that was enlarged as a whole.

net = lsr.load("psnr-small", method="winograd")
wider = (
    read_image(IMAGES / "chelsea.png").pixels[28:220, 98:290].astype(float)
)  # (192, 192, 3), the detail in its middle
wider_small = eight_bit(lsr.imresize(wider, 1 / 4)) / 255  # (48, 48, 3)
cut_first = net(wider_small[8:40, 8:40]).astype(float)  # (128, 128, 3)
cut_after = net(wider_small).astype(float)[32:160, 32:160]
assert np.array_equal(wider[32:160, 32:160], photograph)
print("pixels cut from each side:   " + "".join(f"{crop:10}" for crop in (0, 4, 8, 16)))
for name, picture in {"cut out before the network": cut_first, "cut out after it": cut_after}.items():
    values = [lsr.psnr(photograph, picture, crop=crop) for crop in (0, 4, 8, 16)]
    print(f"{name:29}" + "".join(f"{value:7.2f} dB" for value in values))

# %%
# Between the rows there is only what the border does, and it fades towards the middle. Along a row the numbers change
# also because another part of the scene is left. Compare only what was cropped alike.
#
# What the clock says
# -------------------
#
# PSNR passes over the values once. SSIM takes five windowed means, each a weighted sum over 11 pixels along the rows
# and 11 along the columns; as a window in two dimensions it would be 121.

grey = [luma(picture) / 255 for picture in (photograph, noisy)]
times = interleaved(
    {
        "psnr": lambda: lsr.psnr(*grey),
        "ssim": lambda: lsr.ssim(*grey),
        "ssim by windows": lambda: ssim(255 * grey[0], 255 * grey[1]),
    },
    rounds=5,
    sample=0.01,  # short calls are repeated for 10 ms
)
for name in ("ssim", "ssim by windows"):
    ratio = median(own / one for own, one in zip(times[name], times["psnr"], strict=True))
    print(f"{name:15} takes {ratio:.0f} times as long as psnr")

# %%
# Exercises
# ---------
#
# **1.** A table shows the mean PSNR of several pictures. One may average the PSNRs, or take the PSNR of the mean MSE.
# Which is larger, always? How far apart are they for the six bundled photographs enlarged by bicubic interpolation?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/16_psnr_and_ssim_a.py
#
# **2.** Displace a photograph by a single pixel, which nobody would see. What are PSNR and SSIM? Which property of the
# photograph decides the PSNR?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/16_psnr_and_ssim_b.py
#
# References
# ----------
#
# SSIM is from :cite:p:`wang2004`. The measures of the package, on 8-bit luma with cropped borders, follow
# :cite:p:`yang2014`. ESRGAN's view on PSNR is in :cite:p:`wang2018`.
