"""Which rank: from an energy, a condition number, a speed-up of one layer, or a budget for the whole network.

Dense d² N C multiply-adds a pixel, SVD pair d K (C + N), CP R (C + 2d + N): a layer gains below the rank
where its factors cost what the kernel does, and S times as much at 1/S of that rank.
"""

import numpy as np

from lowrank_sr.errors import InputError


def svd_break_even(shape):
    """Return d N C / (N + C), the rank below which an SVD pair of an (N, C, d, d) kernel saves FLOPs.

    References
    ----------
    Tai et al., "Convolutional neural networks with low-rank regularization", 2015.
    """
    N, C, d, _ = shape
    return d * N * C / (N + C)


def cp_break_even(shape):
    """Return d² N C / (C + 2d + N), the rank below which CP of an (N, C, d, d) kernel saves FLOPs.

    References
    ----------
    Lebedev et al., "Speeding-up convolutional neural networks using fine-tuned CP-decomposition", 2014.
    """
    N, C, d, _ = shape
    return d * d * N * C / (C + 2 * d + N)


def speedup_rank(break_even, speedup):
    """Return the largest rank whose theoretical speed-up, break_even / rank, is at least `speedup`.

    Parameters
    ----------
    break_even : float
        From `svd_break_even` or `cp_break_even`.
    speedup : float
        FLOPs(dense) / FLOPs(factorised).

    Returns
    -------
    rank : int

    Raises
    ------
    InputError
        If the speed-up is not positive, or even rank 1 is slower.
    """
    if not 0 < speedup <= break_even:
        raise InputError(f"the theoretical speed-up of this layer is between 0 and {break_even:.4g}, not {speedup:g}")
    return int(break_even / speedup * (1 + 1e-12))  # 48 / 1.6 is 30, not 29.999...


def energy_rank(sigma, energy):
    """Return the smallest rank that keeps a fraction of the energy of the singular values.

    min K with Σ_{k <= K} σ_k² >= energy · Σ_k σ_k²

    Parameters
    ----------
    sigma : (m,) array
        Singular values, largest first.
    energy : float
        Above 0, at most 1.

    Returns
    -------
    rank : int

    Raises
    ------
    InputError
        If the energy is not in (0, 1].
    """
    if not 0 < energy <= 1:
        raise InputError(f"an energy is a fraction above 0 and at most 1, not {energy:g}")
    kept = np.cumsum(np.square(sigma, dtype=np.float64))
    return int(np.searchsorted(kept, energy * kept[-1])) + 1


def condition_rank(sigma, kappa):
    """Return the largest rank at which the condition number σ_1 / σ_K of what is kept is at most `kappa`.

    Parameters
    ----------
    sigma : (m,) array
        Singular values, largest first.
    kappa : float
        At least 1.

    Returns
    -------
    rank : int

    Raises
    ------
    InputError
        If kappa is below 1.
    """
    if not kappa >= 1:
        raise InputError(f"a condition number is at least 1, not {kappa:g}")
    return int(np.count_nonzero(sigma * kappa >= sigma[0]))


def allocate(costs, losses, budget):
    """Choose a candidate for each layer: the total cost within a budget, the total loss small.

    minimise Σ_l loss[l][choice_l]  subject to  Σ_l cost[l][choice_l] <= budget

    From the cheapest choices, always the step that saves the most loss for its cost, among those that fit.
    The steepest step leads to the next corner of a layer's lower convex hull, so this walks along the optima
    of the Lagrangian, then fills what the last corner leaves. Exchange costs and losses for the cheapest
    choice within a total loss.

    Parameters
    ----------
    costs, losses : list of sequences of float
        For each layer its candidates; the losses of different layers are taken to add up.
    budget : float

    Returns
    -------
    choices : list of int
        For each layer the index of its candidate. The loss is at most one step's saving above the optimum.

    Raises
    ------
    InputError
        If the cheapest candidates together exceed the budget.

    References
    ----------
    Shoham and Gersho, "Efficient bit allocation for an arbitrary set of quantizers", IEEE Trans. ASSP 36,
    1988.
    """
    cost, loss = _padded(costs), _padded(losses)
    layers = np.arange(len(cost))
    choice = np.lexsort((loss, cost))[:, 0]  # the cheapest; of equals, the one that loses least
    left = budget - cost[layers, choice].sum()
    if left < 0:
        raise InputError(f"the cheapest choice costs {budget - left:.4g}, more than the budget of {budget:.4g}")

    while True:
        extra = cost - cost[layers, choice, None]
        saved = loss[layers, choice, None] - loss
        fits = (saved > 0) & (extra <= left)
        if not fits.any():
            return choice.tolist()
        slope = np.divide(saved, extra, out=np.full_like(cost, -np.inf), where=fits)
        layer, candidate = np.unravel_index(slope.argmax(), slope.shape)
        left -= extra[layer, candidate]
        choice[layer] = candidate


def _padded(rows):
    """Stack rows of different lengths into a matrix, with infinity after the end of the short ones."""
    width = max(map(len, rows))
    return np.array([[*row, *[np.inf] * (width - len(row))] for row in rows], dtype=np.float64)
