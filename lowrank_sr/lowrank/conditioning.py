"""The spectrum of a layer's matricised kernel, and the paper's way to pick layers by it (Figure 2).

A condition number compares two singular values, the largest with the smallest, and is silent about those between,
which decide how much a truncation loses. The effective rank weighs all of them. Neither knows what the layer's inputs
are or what its errors do to the picture; `compression/sensitivity.py` measures that.

The tour's chapter :doc:`/auto_tour/10_condition_numbers` computes it in plain NumPy.
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.errors import InputError


def condition_number(sigma: np.ndarray) -> float:
    """Return κ = σ_1 / σ_m, infinite for a singular kernel and for one of zeros.

    It says how little the layer's weakest direction is worth: with a large κ a rank or two can go for nothing. It
    does not say how low the rank can be, for one small singular value among many large ones is enough to raise it.

    Parameters
    ----------
    sigma : (m,) array
        Singular values, largest first.

    Returns
    -------
    kappa : float
    """
    return float(sigma[0] / sigma[-1]) if sigma[-1] > 0 else np.inf


def effective_rank(sigma: np.ndarray) -> float:
    """Return the number of equal singular values that would be spread as widely as these.

    exp(-Σ_k p_k log p_k),   p_k = σ_k / Σ_l σ_l

    As a fraction of full rank it says how flat the spectrum is, and so how much of the kernel a truncation to a given
    fraction of full rank loses.

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


def select(condition_numbers: Mapping[str, float], threshold: float) -> list[str]:
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
