"""The spectrum of a layer's matricised kernel, and the paper's way to pick layers by it (Figure 2).

Measured on the bundled network (51 layers, theoretical speed-up 2). trunk_conv, upconv2, HRconv and upconv1
have condition numbers of 700 to 3900, the dense blocks 18 to 54; yet those four have the flattest spectra
(90% of the energy in rank 91 to 93 of 192, against a quarter to two fifths of full rank in the blocks) and
the largest errors after truncation (0.55 to 0.57 of the kernel's norm, against 0.22 to 0.32). Ten layers
picked by the largest condition number cost the picture about 37 times what the ten of smallest cost. Among
the dense blocks alone the paper's criterion works: there a larger condition number goes with a smaller error
(Spearman -0.8). None of these numbers knows what a layer's inputs are or what its errors do to the picture;
once factors are fitted to data, all predict little.
"""

from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.lowrank.ranks import energy_rank


class Spectrum(NamedTuple):
    """What the singular values of a layer say; see the functions of these names, and `ranks.energy_rank`."""

    condition: float
    effective_rank: float
    rank_90: int
    rank_99: int


def spectrum(sigma):
    """Return the condition number, the effective rank and the ranks for 90 and 99% of the energy.

    Parameters
    ----------
    sigma : (m,) array
        Singular values, largest first, from `svd.singular_values`.

    Returns
    -------
    spectrum : Spectrum
    """
    return Spectrum(condition_number(sigma), effective_rank(sigma), energy_rank(sigma, 0.90), energy_rank(sigma, 0.99))


def condition_number(sigma):
    """Return κ = σ_1 / σ_min, infinite for a singular kernel.

    It predicts how much the layer's weakest direction is worth: with a large κ a rank or two can go for
    nothing. It does not predict how low the rank can be, for one small singular value among many large ones
    is enough to raise it.

    Parameters
    ----------
    sigma : (m,) array
        Singular values, largest first.

    Returns
    -------
    kappa : float
    """
    return float(sigma[0] / sigma[-1]) if sigma[-1] > 0 else np.inf


def effective_rank(sigma):
    """Return the number of equal singular values that would be spread as widely as these.

    exp(-Σ_k p_k log p_k),   p_k = σ_k / Σ_l σ_l

    As a fraction of full rank it predicts the error of a truncation at a given speed-up, across all layers of
    the bundled network (Spearman 0.9), which the condition number does not (-0.4). It does not predict the
    error of the layer's output, which depends on its inputs: 0.4.

    Parameters
    ----------
    sigma : (m,) array
        Singular values.

    Returns
    -------
    rank : float
        From 1 to m.

    References
    ----------
    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    p = sigma[sigma > 0] / np.sum(sigma)
    return float(np.exp(-np.sum(p * np.log(p))))


def select(condition_numbers, threshold):
    """Return the layers whose condition number exceeds a threshold: those that the paper decomposes.

    Parameters
    ----------
    condition_numbers : mapping of str to float
        By layer.
    threshold : float

    Returns
    -------
    names : list of str
        In the order of the mapping.

    Raises
    ------
    InputError
        If no layer does.
    """
    names = [name for name, kappa in condition_numbers.items() if kappa > threshold]
    if not names:
        largest = max(condition_numbers.values(), default=np.nan)
        raise InputError(f"no layer has a condition number above {threshold:g}: the largest is {largest:.4g}")
    return names
