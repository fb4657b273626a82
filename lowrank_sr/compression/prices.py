"""What a layer costs, dense and at each of the ranks that it may get: three prices.

    flops             by the paper's formulas
    multiplications   those that are really done, after Winograd; the same on every machine, as FLOPs are
    measured          seconds on this machine

By the last two a dense layer has the price of its best exact method: a speed-up is one over that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv import timing
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.auto import AUTO, of_dense_block
from lowrank_sr.network.multiplications import fewest_multiplications
from lowrank_sr.network.rrdbnet import RRDBNet

RANK_STEP = 8  # between candidate ranks: two vectors of the narrowest processors, half of one of the widest

Shape = tuple[int, int, int]
Ranks = Mapping[str, Sequence[int]]
Costs = Callable[[RRDBNet, str, Ranks], dict[str, list[float]]]
"""costs(net, form, ranks): of each layer in `ranks` as dense, then of its factors in `form`, at each of its ranks.

For each pixel that the layer writes.
"""


class Target(NamedTuple):
    """What a speed-up is one of: `costs`, and `ranks(break-even rank)`, the candidates from 1 to below break-even.

    `whole`: within a budget a dense block is factorised in all layers that may be, or in none. By Winograd's algorithm
    dense layers of a block share the transforms of their inputs, and so do pairs; where both are in one block either is
    dearer than counted.
    """

    costs: Costs
    ranks: Callable[[float], list[int]]
    whole: bool = True


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
    "flops": Target(in_flops, fixed_ranks, whole=False),
    "multiplications": Target(in_multiplications, fixed_ranks),
    "measured": Target(in_seconds, vector_ranks),
}
