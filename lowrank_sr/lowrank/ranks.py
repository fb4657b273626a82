"""Which rank: from an energy, a condition number, a speed-up of one layer, or a budget for the whole network."""

from collections.abc import Iterator, Sequence

import numpy as np

from lowrank_sr.errors import InputError


def speedup_rank(break_even: float, speedup: float) -> int:
    """Return the largest rank whose theoretical speed-up, break_even / rank, is at least `speedup`.

    The cost of factors is proportional to their rank, so at 1/S of the rank where they cost what the dense kernel
    does they cost 1/S of it.

    Parameters
    ----------
    break_even : float
        The rank at which the factors cost as many FLOPs as the dense kernel, from `flops.break_even`.
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


def energy_rank(sigma: np.ndarray, energy: float) -> int:
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


def condition_rank(sigma: np.ndarray, kappa: float) -> int:
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


def allocate(costs: Sequence[Sequence[float]], losses: Sequence[Sequence[float]], budget: float) -> list[int]:
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
    *_, last = steps(costs, losses, budget)
    return last


def steps(costs: Sequence[Sequence[float]], losses: Sequence[Sequence[float]], budget: float) -> Iterator[list[int]]:
    """Yield the choices of `allocate` after each of its steps, the cheapest first.

    Without a limit, a budget of infinity, they are what the layers should be together at whatever cost: the corners of
    the lower convex hull of their sums.
    """
    cost, loss = _padded(costs), _padded(losses)  # (layers, candidates)
    layers = np.arange(len(cost))
    choice = np.lexsort((loss, cost))[:, 0]  # the cheapest; of equals, the one that loses least
    spent = cost[layers, choice].sum()
    if spent > budget:
        raise InputError(f"the cheapest choice costs {spent:.4g}, more than the budget of {budget:.4g}")
    remaining = budget - spent

    while True:
        yield [int(candidate) for candidate in choice]
        extra = cost - cost[layers, choice, None]
        saved = loss[layers, choice, None] - loss
        fits = (saved > 0) & (extra <= remaining)
        if not fits.any():
            return
        slope = np.divide(saved, extra, out=np.full_like(cost, -np.inf), where=fits)
        layer, candidate = np.unravel_index(slope.argmax(), slope.shape)
        remaining -= extra[layer, candidate]
        choice[layer] = candidate


def _padded(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Stack rows of different lengths into a matrix, with infinity after the end of the short ones."""
    width = max(map(len, rows))
    return np.array([[*row, *[np.inf] * (width - len(row))] for row in rows], dtype=np.float64)
