"""Two ways to average over pictures.

PSNR is -10 log10 MSE plus a constant, and the negative logarithm is convex. By Jensen's inequality its mean is at least
its value at the mean: the mean of the PSNRs is never the smaller one. They are equal where all pictures have one MSE.
"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.resources import IMAGES

values = []
for path in images_in(IMAGES):
    picture = read_image(path).pixels
    height, width = (side // 4 * 4 for side in picture.shape[:2])
    picture = picture[:height, :width].astype(float)
    small = np.rint(255 * lsr.imresize(picture, 1 / 4).clip(0, 1)) / 255
    values.append(lsr.psnr(lsr.imresize(small, 4), picture, crop=4))
    print(f"{path.name:15} {values[-1]:.2f} dB")

mean_of_psnr = np.mean(values)
mean_error = np.mean([255**2 / 10 ** (value / 10) for value in values])
psnr_of_mean = 10 * np.log10(255**2 / mean_error)
print(f"mean of the PSNRs {mean_of_psnr:.2f} dB, PSNR of the mean error {psnr_of_mean:.2f} dB")
assert mean_of_psnr >= psnr_of_mean
