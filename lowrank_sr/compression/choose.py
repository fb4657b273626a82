"""Every layer's rank: from a rule that each layer follows by itself, or from a budget that all of them share.

A layer that would cost more in factors than it does dense stays dense.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lowrank_sr.compression.cost import Costs
from lowrank_sr.compression.factorise import BREAK_EVEN
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.lowrank import ranks, svd
from lowrank_sr.network.rrdbnet import RRDBNet

SMALLEST = 1 / 40  # of break-even: below that a layer hardly costs anything any more


def by_rule(layers: Mapping[str, Dense], method: str, costs: Costs, rule: str, value: float) -> dict[str, int]:
    """Ranks of `layers` by name, from "rank", "energy" or "condition".

    Energy and condition number speak of singular values and give the rank K of an SVD pair; CP gets the rank R that
    costs as many FLOPs.

    Raises InputError for a value out of range, and where every layer would cost more than it does dense.
    """
    if rule == "rank" and value < 1:
        raise InputError(f"rank {value}: expected at least 1")
    chosen = {}
    for name, layer in layers.items():
        if rule == "rank":
            rank = int(value)
        else:
            of = ranks.energy_rank if rule == "energy" else ranks.condition_rank
            share = of(svd.singular_values(layer.weight), value) / ranks.svd_break_even(layer.weight.shape)
            rank = max(1, round(share * BREAK_EVEN[method](layer.weight.shape)))
        dense, factorised = costs(layer.shape, method, [rank])
        if factorised < dense:
            chosen[name] = rank
    if not chosen:
        raise InputError(f"{rule} {value:g}: no layer would cost less than it does dense")
    return chosen


class Candidates(NamedTuple):
    """What one layer can become: `ranks`, of which the first is None, dense, with the cost and the loss of each."""

    ranks: list[int | None]
    costs: list[float]
    losses: list[float]


def candidates(
    net: RRDBNet, sensitivities: Mapping[str, Sensitivity | None], method: str, costs: Costs
) -> list[Candidates]:
    """Those of every layer, for each pixel of the image; layers that `sensitivities` does not name can only stay dense.

    Where the sensitivity is None, because there were no pictures to measure it with, the loss is cost · (1 - share)²
    with the dense cost and the share of it that is left: the best choices then leave every layer the same share.
    """
    found = []
    for name, layer in net.layers.items():
        shape, possible = layer.shape, []
        if name in sensitivities:
            possible = _ranks(BREAK_EVEN[method](layer.weight.shape))
        cost = net.area(name) * np.array(costs(shape, method, possible))
        sensitivity = sensitivities.get(name)
        if sensitivity is None:
            losses = (cost[0] * (1 - cost / cost[0]) ** 2).tolist()
        else:
            losses = [0.0, *_losses(sensitivity, np.array(possible) / BREAK_EVEN[method](layer.weight.shape), shape)]
        found.append(Candidates([None, *possible], cost.tolist(), losses))
    return found


def _ranks(break_even: float) -> list[int]:
    """Ranks below break-even, the same on every machine: multiples of 8 where there are many, else of 4, else all.

    Kernels compute whole vectors of 4, 8 or 16 values, so that ranks between these would save FLOPs but little time.
    """
    step = 8 if break_even >= 64 else 4 if break_even >= 32 else 1
    return [rank for rank in range(step, int(np.ceil(break_even)), step) if rank >= SMALLEST * break_even]


def _losses(sensitivity: Sensitivity, share: np.ndarray, shape: tuple[int, int, int]) -> list[float]:
    """weight · curve², the curve read at the SVD pair of the same FLOPs, between ranks on a logarithmic scale."""
    n, c, d = shape
    logarithm = np.log(np.maximum(sensitivity.curve, 1e-9))
    at = np.interp(share * ranks.svd_break_even((n, c, d, d)), np.arange(len(logarithm)), logarithm)
    return (sensitivity.weight * np.exp(2 * at)).tolist()


def within_cost(every: list[Candidates], speedup: float) -> list[int]:
    """The choices of least loss whose cost together is at most 1 / `speedup` of the dense one.

    Raises InputError, with what can be reached, where that is too little.
    """
    if not speedup > 1:
        raise InputError(f"speed-up {speedup:g}: expected more than 1")
    dense = sum(each.costs[0] for each in every)
    most = dense / sum(min(each.costs) for each in every)
    if speedup > most:
        raise InputError(f"speed-up {speedup:g}: expected at most {most:.3g}, what these layers allow")
    return ranks.allocate([each.costs for each in every], [each.losses for each in every], dense / speedup)


def within_loss(every: list[Candidates], loss: float) -> list[int]:
    """The choices of least cost whose loss together is at most `loss`."""
    return ranks.allocate([each.losses for each in every], [each.costs for each in every], loss)
