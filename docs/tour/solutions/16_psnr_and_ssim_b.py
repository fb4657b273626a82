"""A displacement by one pixel.

The error at each place is the difference of two neighbours, so MSE is the mean square of the horizontal differences:
the PSNR depends on how much detail the photograph has, and not on whether anything is wrong with it.
"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.resources import IMAGES

seen = {}
for path in images_in(IMAGES):
    grey = read_image(path).pixels[:256, :256].mean(2).astype(float)  # (256, 256)
    still, displaced = grey[:, 1:], grey[:, :-1]
    differences = np.diff(np.rint(255 * grey), axis=1)
    expected = 10 * np.log10(255**2 / np.mean(differences**2))
    psnr, ssim = lsr.psnr(still, displaced), lsr.ssim(still, displaced)
    assert abs(psnr - expected) < 1e-9  # both in float64, on the same whole numbers
    print(f"{path.name:15} displaced by one pixel: {psnr:.1f} dB, SSIM {ssim:.3f}; equal but for that")
    seen[path.name] = psnr

# The same displacement, perfect but for one pixel, is anything from a poor to a good result.
assert max(seen.values()) - min(seen.values()) > 5
