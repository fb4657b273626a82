"""Which rank every layer gets, and what it costs.

Ranks follow from a rule that each layer obeys by itself, or from a budget that all layers share. Costs are FLOPs by the
paper's formulas, the same on every machine, or seconds on this one. A layer that would cost more in factors than it
does dense stays dense.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, random_layer
from lowrank_sr.lowrank.ranks import allocate as allocate_budget
from lowrank_sr.lowrank.ranks import condition_rank, energy_rank
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.auto import AUTO, concrete
from lowrank_sr.network.rrdbnet import RRDBNet

RANK_STEP = 8  # between candidate ranks: two vectors of the narrowest processors, half of one of the widest
LEAST_SHARE = 1 / 40  # of the break-even rank: below that a layer hardly costs anything any more
TIMED_SIDE = 96  # pixels, of the maps that layers are timed on
TIMED_ROUNDS = 5
TIMED_SECONDS = 0.4

Shape = tuple[int, int, int]
Costs = Callable[[Shape, str, Sequence[int]], list[float]]
"""costs(shape, form, ranks): of a dense layer (N, C, d), then of its factors in `form`, at each of the ranks."""


class Target(NamedTuple):
    """What a speed-up is one of: `costs`, and `ranks(break-even rank)`, the candidates from 1 to below break-even."""

    costs: Costs
    ranks: Callable[[float], list[int]]


def in_flops(shape: Shape, form: str, ranks: Sequence[int]) -> list[float]:
    """FLOPs for each pixel of the layer's output."""
    return [flops.dense(*shape), *(flops.factorised(form, *shape, rank) for rank in ranks)]


def in_seconds(shape: Shape, form: str, ranks: Sequence[int]) -> list[float]:
    """Seconds for each pixel of the layer's output, with the threads in use now; dense by the fastest method."""
    times = _seconds(shape, form, tuple(ranks), thread_count())
    return [seconds / TIMED_SIDE**2 for seconds in times]


@cache
def _seconds(shape: Shape, form: str, ranks: tuple[int, ...], threads: int) -> list[float]:
    """The least time of each, taken in turn on 96 x 96 pixels with `threads` threads, which are in use."""
    noise = np.random.default_rng(0).standard_normal((TIMED_SIDE, TIMED_SIDE, shape[1]), dtype=np.float32)
    x, out = from_array(noise), allocate(TIMED_SIDE, TIMED_SIDE, shape[0])
    layers = [random_layer(shape), *(random_layer(shape, form, rank) for rank in ranks)]
    runs = {
        str(i): partial(convolution(layer, concrete(layer, AUTO)), x, out, Epilogue(layer.bias))
        for i, layer in enumerate(layers)
    }
    return [min(times) for times in interleaved(runs, TIMED_ROUNDS, TIMED_SECONDS).values()]


def fixed_ranks(break_even: float) -> list[int]:
    """The same on every machine: 4, then multiples of 8; every rank where there are few of those."""
    if break_even < 4 * RANK_STEP:
        return _multiples(1, break_even)
    return [RANK_STEP // 2, *_multiples(RANK_STEP, break_even)]


def vector_ranks(break_even: float) -> list[int]:
    """Whole vectors of this machine, which waste nothing; every rank where there are few of those."""
    return _multiples(LANES if break_even >= 4 * LANES else 1, break_even)


def _multiples(step: int, limit: float) -> list[int]:
    """step, 2 step, ... below `limit`."""
    return list(range(step, math.ceil(limit), step))


TARGETS = {"flops": Target(in_flops, fixed_ranks), "measured": Target(in_seconds, vector_ranks)}


def by_rule(layers: Mapping[str, Dense], form: str, costs: Costs, rule: str, value: float) -> dict[str, int]:
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
            svd_rank = energy_rank if rule == "energy" else condition_rank
            share = svd_rank(singular_values(layer.weight), value) / flops.break_even("svd", *layer.shape)
            rank = max(1, round(share * flops.break_even(form, *layer.shape)))
        dense, factorised = costs(layer.shape, form, [rank])
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
    net: RRDBNet, sensitivities: Mapping[str, Sensitivity | None], form: str, target: Target
) -> dict[str, Candidates]:
    """Those of every layer by name, for each pixel of the image; layers without an entry can only stay dense.

    Where the sensitivity is None, because there were no pictures to measure it with, the loss at a share s of the dense
    cost c is c (1 - s)². The least Σ c (1 - s)² for a given Σ c s leaves every layer the same share.
    """
    by_name = {}
    for name, layer in net.layers.items():
        break_even = flops.break_even(form, *layer.shape)
        ranks = target.ranks(break_even) if name in sensitivities else []
        ranks = [rank for rank in ranks if rank >= LEAST_SHARE * break_even]
        costs = net.architecture.area(name) * np.array(target.costs(layer.shape, form, ranks))
        sensitivity = sensitivities.get(name)
        if sensitivity is None:
            losses = costs[0] * (1 - costs / costs[0]) ** 2
        else:
            losses = np.append(0.0, _losses(sensitivity, np.array(ranks) / break_even, layer.shape))
        by_name[name] = Candidates([None, *ranks], costs.tolist(), losses.tolist())
    return by_name


def _losses(sensitivity: Sensitivity, share: np.ndarray, shape: Shape) -> np.ndarray:
    """weight · curve², the curve read at the SVD pair of the same FLOPs, between ranks on a logarithmic scale."""
    logarithm = np.log(np.maximum(sensitivity.curve, 1e-9))
    svd_rank = share * flops.break_even("svd", *shape)
    curve = np.exp(np.interp(svd_rank, np.arange(len(logarithm)), logarithm))
    return np.asarray(sensitivity.weight * curve**2)


def within_cost(every: Mapping[str, Candidates], speedup: float) -> dict[str, int]:
    """The ranks, by name, of least loss whose cost together is at most 1 / `speedup` of the dense one.

    Raises InputError, with what can be reached, where that is too little.
    """
    if not speedup > 1:
        raise InputError(f"speed-up {speedup:g}: expected more than 1")
    costs = [layer.costs for layer in every.values()]
    losses = [layer.losses for layer in every.values()]
    dense = sum(row[0] for row in costs)
    most = dense / sum(min(row) for row in costs)
    if speedup > most:
        raise InputError(f"speed-up {speedup:g}: expected at most {most:.3g}, what these layers allow")
    return _chosen(every, allocate_budget(costs, losses, dense / speedup))


def within_loss(every: Mapping[str, Candidates], loss: float) -> dict[str, int]:
    """The ranks, by name, of least cost whose loss together is at most `loss`."""
    costs = [layer.costs for layer in every.values()]
    losses = [layer.losses for layer in every.values()]
    return _chosen(every, allocate_budget(losses, costs, loss))


def _chosen(every: Mapping[str, Candidates], choices: Sequence[int]) -> dict[str, int]:
    """The ranks chosen; layers that stay dense have none."""
    ranks = {name: layer.ranks[choice] for (name, layer), choice in zip(every.items(), choices, strict=True)}
    return {name: rank for name, rank in ranks.items() if rank is not None}
