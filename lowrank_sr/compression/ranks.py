"""Which rank every layer gets, and what it costs.

Ranks follow from a rule that each layer obeys by itself, or from a budget that all layers share. A layer has one of
three prices:

    flops             by the paper's formulas
    multiplications   those that are really done, after Winograd; the same on every machine, as FLOPs are
    measured          seconds on this machine

By the last two a dense layer has the price of its best exact method: a speed-up is one over that. A layer that would
cost more in factors than it does dense stays dense.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.conv import timing
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, random_layer
from lowrank_sr.lowrank.ranks import allocate, condition_rank, energy_rank, steps
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.auto import AUTO, of_dense_block
from lowrank_sr.network.multiplications import fewest_multiplications
from lowrank_sr.network.rrdbnet import RRDBNet

RANK_STEP = 8  # between candidate ranks: two vectors of the narrowest processors, half of one of the widest
LEAST_SHARE = 1 / 40  # of the break-even rank: below that a layer hardly costs anything any more

Shape = tuple[int, int, int]
Ranks = Mapping[str, Sequence[int]]
Costs = Callable[[RRDBNet, str, Ranks], dict[str, list[float]]]
"""costs(net, form, ranks): of each layer in `ranks` as dense, then of its factors in `form`, at each of its ranks.

For each pixel that the layer writes.
"""


class Target(NamedTuple):
    """What a speed-up is one of: `costs`, and `ranks(break-even rank)`, the candidates from 1 to below break-even."""

    costs: Costs
    ranks: Callable[[float], list[int]]


def in_flops(net: RRDBNet, form: str, ranks: Ranks) -> dict[str, list[float]]:
    """FLOPs for each pixel of the layer's output."""
    shapes = {name: net.layers[name].shape for name in ranks}
    return {
        name: [flops.dense(*shape), *(flops.factorised(form, *shape, rank) for rank in ranks[name])]
        for name, shape in shapes.items()
    }


def in_multiplications(net: RRDBNet, form: str, ranks: Ranks) -> dict[str, list[float]]:
    """Multiplications for each pixel of the layer's output, those that are done by the method that takes fewest."""
    costs = {}
    for name, own in ranks.items():
        shape, enlarges = net.layers[name].shape, net.architecture.enlarges(name)
        of_a_rank = _multiplications(shape, form, enlarges)
        costs[name] = [_multiplications(shape, None, enlarges), *(rank * of_a_rank for rank in own)]
    return costs


@cache
def _multiplications(shape: Shape, form: str | None, enlarges: bool) -> float:
    """Of a dense layer, or in `form` for each rank."""
    return fewest_multiplications(random_layer(shape, form, rank=1), enlarges)


def in_seconds(net: RRDBNet, form: str, ranks: Ranks) -> dict[str, list[float]]:
    """Seconds for each pixel of the layer's output, with the threads in use now; dense by the fastest method.

    Of the layers of a dense block in that block, of which each has about the same share of its ranks.
    """
    design = net.architecture
    costs: dict[str, list[float]] = {}
    for names in [*design.dense_blocks().values(), *([name] for name in design.outside_blocks())]:
        shapes = tuple(net.layers[name].shape for name in names)
        own = tuple(tuple(ranks.get(name, ())) for name in names)
        times = _seconds(shapes, form, own, names[0] in design.tail(), thread_count())
        costs.update({name: [t / timing.SIDE**2 for t in row] for name, row in zip(names, times, strict=True)})
    return {name: costs[name] for name in ranks}


@cache
def _seconds(
    shapes: tuple[Shape, ...], form: str, ranks: tuple[tuple[int, ...], ...], keep_transformed: bool, threads: int
) -> list[list[float]]:
    """Of each layer of a dense block, or of one alone, the seconds dense, then at each of its ranks.

    The block is timed in steps. In step i of S each layer has the rank that lies i / S of the way through its ranks. A
    layer with few ranks has each of them in several steps; its cost is their mean. `threads` are in use.
    """
    steps = max(map(len, ranks))
    # of each layer the index of its rank at each step; without ranks it stays dense
    indices = [[step * len(own) // steps for step in range(steps)] if own else [] for own in ranks]
    blocks = [_timed(shapes, form, [None] * len(shapes), keep_transformed)]
    for step in range(steps):
        at = [own[index[step]] if own else None for own, index in zip(ranks, indices, strict=True)]
        blocks.append(_timed(shapes, form, at, keep_transformed))
    contestants: dict[str, timing.Contestant] = {}
    for i, block in enumerate(blocks):
        contestants |= timing.with_layers(str(i), block)
    times = timing.least_seconds(contestants)
    in_block = [timing.seconds_in_block(str(i), len(shapes), times) for i in range(len(blocks))]
    return [
        [in_block[0][k]]
        + [float(np.mean([in_block[1 + s][k] for s in range(steps) if indices[k][s] == i])) for i in range(len(own))]
        for k, own in enumerate(ranks)
    ]


def _timed(
    shapes: Sequence[Shape], form: str, ranks: Sequence[int | None], keep_transformed: bool
) -> timing.Contestant:
    """Layers of noise at these ranks, dense where that is None, each by the method that "auto" takes for it."""
    layers = [
        random_layer(shape) if rank is None else random_layer(shape, form, rank)
        for shape, rank in zip(shapes, ranks, strict=True)
    ]
    return timing.Contestant(layers, of_dense_block(layers, AUTO), keep_transformed)


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


TARGETS = {
    "flops": Target(in_flops, fixed_ranks),
    "multiplications": Target(in_multiplications, fixed_ranks),
    "measured": Target(in_seconds, vector_ranks),
}


def by_rule(
    net: RRDBNet, layers: Mapping[str, Dense], form: str, costs: Costs, rule: str, value: float
) -> dict[str, int]:
    """Ranks of `layers` by name, from "rank", "energy" or "condition".

    Energy and condition number speak of singular values and give the rank K of an SVD pair; CP gets the rank R that
    costs as many FLOPs.

    Raises InputError for a value out of range, and where every layer would cost more than it does dense.
    """
    if rule == "rank" and value < 1:
        raise InputError(f"rank {value}: expected at least 1")
    ranks = {}
    for name, layer in layers.items():
        if rule == "rank":
            ranks[name] = int(value)
        else:
            svd_rank = energy_rank if rule == "energy" else condition_rank
            share = svd_rank(singular_values(layer.weight), value) / flops.break_even("svd", *layer.shape)
            ranks[name] = max(1, round(share * flops.break_even(form, *layer.shape)))
    compared = costs(net, form, {name: [rank] for name, rank in ranks.items()})
    chosen = {name: ranks[name] for name, (dense, factorised) in compared.items() if factorised < dense}
    if not chosen:
        raise InputError(f"{rule} {value:g}: no layer would cost less than it does dense")
    return chosen


class Vanishing(NamedTuple):
    """The layers of a dense block, and what the picture loses without it."""

    names: Sequence[str]
    loss: float


class Candidates(NamedTuple):
    """What one layer can become: `ranks`, of which the first is None, dense, with the cost and the loss of each.

    Of the last layer of a dense block also what becomes of the picture where all its layers have rank 0.
    """

    ranks: list[int | None]
    costs: list[float]
    losses: list[float]
    vanishing: Vanishing | None = None


def candidates(
    net: RRDBNet, sensitivities: Mapping[str, Sensitivity | None], form: str, target: Target
) -> dict[str, Candidates]:
    """Those of every layer by name, for each pixel of the image; layers without an entry can only stay dense.

    Where the sensitivity is None, because there were no pictures to measure it with, the loss at a share s of the dense
    cost c is c (1 - s)². The least Σ c (1 - s)² for a given Σ c s leaves every layer the same share.
    """
    break_evens = {name: flops.break_even(form, *layer.shape) for name, layer in net.layers.items()}
    every = {
        name: [rank for rank in target.ranks(most) if rank >= LEAST_SHARE * most] if name in sensitivities else []
        for name, most in break_evens.items()
    }
    blocks = {names[-1]: names for names in net.architecture.dense_blocks().values()}
    by_name = {}
    for name, pixel_costs in target.costs(net, form, every).items():
        ranks, break_even = every[name], break_evens[name]
        costs = net.architecture.area(name) * np.array(pixel_costs)
        sensitivity = sensitivities.get(name)
        if sensitivity is None:
            losses = costs[0] * (1 - costs / costs[0]) ** 2
        else:
            losses = np.append(0.0, _losses(sensitivity, np.array(ranks) / break_even, net.layers[name].shape))
        vanishing = None
        if sensitivity is not None and sensitivity.vanished is not None:
            vanishing = Vanishing(blocks[name], sensitivity.vanished)
        by_name[name] = Candidates([None, *ranks], costs.tolist(), losses.tolist(), vanishing)
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
    dense = sum(layer.costs[0] for layer in every.values())
    vanishing = {name for layer in every.values() if layer.vanishing for name in layer.vanishing.names}
    most = dense / sum(min(layer.costs) for name, layer in every.items() if name not in vanishing)
    if speedup > most:
        raise InputError(f"speed-up {speedup:g}: expected at most {most:.3g}, what these layers allow")
    return _within(every, "costs", "losses", dense / speedup)


def within_loss(every: Mapping[str, Candidates], loss: float) -> dict[str, int]:
    """The ranks, by name, of least cost whose loss together is at most `loss`."""
    return _within(every, "losses", "costs", loss)


def _within(every: Mapping[str, Candidates], limited: str, saved: str, budget: float) -> dict[str, int]:
    """The ranks, by name, of layers that do not stay dense: of `costs` and `losses` one is limited, one saved."""
    left = {**every, **_vanished(every, limited, saved, budget)}
    choices = allocate(_rows(left.values(), limited), _rows(left.values(), saved), budget)
    ranks = {name: layer.ranks[choice] for (name, layer), choice in zip(left.items(), choices, strict=True)}
    return {name: rank for name, rank in ranks.items() if rank is not None}


def _vanished(every: Mapping[str, Candidates], limited: str, saved: str, budget: float) -> dict[str, Candidates]:
    """The layers of the dense blocks that vanish within the budget: rank 0 is what each can still become.

    For this choice a block is one layer, whose candidates are what its five become together at one price after the
    other, and nothing.
    """
    blocks = [layer.vanishing for layer in every.values() if layer.vanishing is not None]
    in_blocks = {name for block in blocks for name in block.names}
    others = [layer for name, layer in every.items() if name not in in_blocks]
    limits, savings = _rows(others, limited), _rows(others, saved)
    for block in blocks:
        layers = [every[name] for name in block.names]
        nothing = Candidates([0], [0.0], [block.loss])
        limit, saving = (_rows(layers, field) for field in (limited, saved))
        together = list(steps(limit, saving, np.inf))
        limits.append([*_sums(limit, together), *getattr(nothing, limited)])
        savings.append([*_sums(saving, together), *getattr(nothing, saved)])
    choices = allocate(limits, savings, budget)[len(others) :]
    gone = [
        block
        for block, choice, row in zip(blocks, choices, limits[len(others) :], strict=True)
        if choice == len(row) - 1
    ]
    return {
        name: Candidates([0], [0.0], [block.loss if name == block.names[-1] else 0.0])
        for block in gone
        for name in block.names
    }


def _rows(layers: Iterable[Candidates], field: str) -> list[list[float]]:
    return [getattr(layer, field) for layer in layers]


def _sums(rows: Sequence[Sequence[float]], choices: Iterable[Sequence[int]]) -> list[float]:
    """The total of each choice of a candidate from every row."""
    return [sum(row[candidate] for row, candidate in zip(rows, choice, strict=True)) for choice in choices]
