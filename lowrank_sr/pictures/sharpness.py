"""How sharp a picture is beside another of the same scene: what it has of fine detail, seen in its spectrum.

    share = Σ |F(f)|² over |f| > 1/4  /  Σ |F(f)|² over f ≠ 0        F the spectrum of luma, f in cycles a pixel
    sharpness = share of the picture / share of the reference

Half a cycle a pixel is the finest that a picture can hold. Luma is weighted by a Hann window, or its borders, which
meet in the transform, would count as edges. PSNR does not show blur: of two pictures equally far from the truth one may
be blurred, the other noisy.

References
----------
F. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66 (1978),
section IV.
"""

import numpy as np
import scipy.fft
from scipy.signal.windows import hann

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.metrics import LUMA_ROUNDING, eight_bit

FINE = 0.25  # cycles a pixel


def sharpness(picture: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the share of fine detail in a picture over that in a reference: the module has the equation.

    Parameters
    ----------
    picture, reference : (H, W, 3) RGB or (H, W) greyscale floating-point arrays, 0..1 (rounded to 8 bit first, clipped)

    Returns
    -------
    1 where both have the same share, less where the picture is blurred; None for a reference of one colour

    Raises
    ------
    InputError
        If the pictures differ in height or width, or are no such arrays.
    """
    if picture.shape[:2] != reference.shape[:2]:
        raise InputError(
            f"pictures of shapes {picture.shape} and {reference.shape}: expected the same height and width"
        )
    share = _share_of_fine(reference)
    return _share_of_fine(picture) / share if share > 0 else None


def _share_of_fine(picture: np.ndarray) -> float:
    y = eight_bit(picture, "y")
    height, width = y.shape
    window = np.outer(hann(height, sym=False), hann(width, sym=False))
    mean = np.vdot(window, y) / window.sum()  # its spectrum leaks into the lowest frequencies
    difference = np.where(np.abs(y - mean) < LUMA_ROUNDING, 0.0, y - mean)
    power = np.square(np.abs(scipy.fft.fft2(window * difference)))
    frequency = np.hypot(*np.ix_(scipy.fft.fftfreq(height), scipy.fft.fftfreq(width)))
    total = float(power.sum())
    return float(power[frequency > FINE].sum()) / total if total > 0 else 0.0
