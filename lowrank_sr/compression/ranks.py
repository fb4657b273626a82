"""Which rank every layer gets.

Ranks follow from a rule that each layer obeys by itself, or from a budget that all layers share, at one of the prices
of `prices.py`. A layer that would cost more in factors than it does dense stays dense.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.prices import Costs, Shape, Target
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.lowrank.ranks import allocate, condition_rank, energy_rank, steps
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.network.rrdbnet import RRDBNet

LEAST_SHARE = 1 / 40  # of the break-even rank: below that a layer hardly costs anything any more
LEFT = 1 / 4  # of the losses of all dense blocks, once the layers behind are fitted: in Real-ESRGAN 0.26 at half of the
# FLOPs, 0.11 at a quarter. The few layers after the blocks have nothing behind them that could correct so much.


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


class Block(NamedTuple):
    """The layers of a dense block, and what the picture loses without it, None where that is not known.

    `whole`: they are factorised together or not at all.
    """

    names: Sequence[str]
    loss: float | None
    whole: bool


class Candidates(NamedTuple):
    """What one layer can become: `ranks`, of which the first is None, dense, with the cost and the loss of each.

    Of the last layer of a dense block also the block, which can vanish: all its layers have rank 0.
    """

    ranks: list[int | None]
    costs: list[float]
    losses: list[float]
    block: Block | None = None


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
    blocks = net.architecture.dense_blocks().values()
    in_blocks = {name for names in blocks for name in names}
    last = {names[-1]: names for names in blocks}
    by_name = {}
    for name, pixel_costs in target.costs(net, form, every).items():
        ranks, break_even = every[name], break_evens[name]
        costs = net.architecture.area(name) * np.array(pixel_costs)
        sensitivity = sensitivities.get(name)
        if sensitivity is None:
            losses = costs[0] * (1 - costs / costs[0]) ** 2
        else:
            losses = np.append(0.0, _losses(sensitivity, np.array(ranks) / break_even, net.layers[name].shape))
            losses *= LEFT if name in in_blocks else 1
        block = None
        if name in last:
            known = sensitivity is not None and all(sensitivities.get(layer) is not None for layer in last[name])
            block = Block(last[name], LEFT * sensitivity.weight if sensitivity and known else None, target.whole)
        by_name[name] = Candidates([None, *ranks], costs.tolist(), losses.tolist(), block)
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
    vanishing = {name for block in _blocks(every) if block.loss is not None for name in block.names}
    most = dense / sum(min(layer.costs) for name, layer in every.items() if name not in vanishing)
    if speedup > most:
        raise InputError(f"speed-up {speedup:g}: expected at most {most:.3g}, what these layers allow")
    return _within(every, "costs", "losses", dense / speedup)


def within_loss(every: Mapping[str, Candidates], loss: float) -> dict[str, int]:
    """The ranks, by name, of least cost whose loss together is at most `loss`."""
    return _within(every, "losses", "costs", loss)


def _within(every: Mapping[str, Candidates], limited: str, saved: str, budget: float) -> dict[str, int]:
    """The ranks, by name, of layers that do not stay dense: of `costs` and `losses` one is limited, one saved."""
    left = {**every, **_decided(every, limited, saved, budget)}
    choices = allocate(_rows(left.values(), limited), _rows(left.values(), saved), budget)
    ranks = {name: layer.ranks[choice] for (name, layer), choice in zip(left.items(), choices, strict=True)}
    return {name: rank for name, rank in ranks.items() if rank is not None}


def _decided(every: Mapping[str, Candidates], limited: str, saved: str, budget: float) -> dict[str, Candidates]:
    """What the layers of dense blocks can still become, once it is decided what becomes of each block.

    For this choice a block is one layer, whose candidates are what its layers become together at one price after the
    other, in each of its forms.
    """
    blocks = _blocks(every)
    in_blocks = {name for block in blocks for name in block.names}
    others = [layer for name, layer in every.items() if name not in in_blocks]
    limits, savings = _rows(others, limited), _rows(others, saved)
    forms = [_forms(block, [every[name] for name in block.names]) for block in blocks]
    which: list[list[int]] = []  # of each block the form of each candidate
    for each in forms:
        limit, saving, form = [], [], []
        for i, layers in enumerate(each):
            rows = _rows(layers, limited), _rows(layers, saved)
            together = list(steps(*rows, np.inf))
            limit += _sums(rows[0], together)
            saving += _sums(rows[1], together)
            form += [i] * len(together)
        limits.append(limit)
        savings.append(saving)
        which.append(form)
    choices = allocate(limits, savings, budget)[len(others) :]
    return {
        name: layer
        for block, each, form, choice in zip(blocks, forms, which, choices, strict=True)
        for name, layer in zip(block.names, each[form[choice]], strict=True)
    }


def _forms(block: Block, layers: Sequence[Candidates]) -> list[list[Candidates]]:
    """What the layers of a block can become together: anything, or dense or factors, and nothing."""
    forms = [list(layers)]
    if block.whole:
        dense = [Candidates(layer.ranks[:1], layer.costs[:1], layer.losses[:1]) for layer in layers]
        factors = [Candidates(layer.ranks[1:], layer.costs[1:], layer.losses[1:]) for layer in layers]
        forms = [dense, [own if own.ranks else stays for own, stays in zip(factors, dense, strict=True)]]
    if block.loss is not None:
        nothing = Candidates([0], [0.0], [0.0])
        forms.append([nothing] * (len(layers) - 1) + [nothing._replace(losses=[block.loss])])
    return forms


def _blocks(every: Mapping[str, Candidates]) -> list[Block]:
    return [layer.block for layer in every.values() if layer.block is not None]


def _rows(layers: Iterable[Candidates], field: str) -> list[list[float]]:
    return [getattr(layer, field) for layer in layers]


def _sums(rows: Sequence[Sequence[float]], choices: Iterable[Sequence[int]]) -> list[float]:
    """The total of each choice of a candidate from every row."""
    return [sum(row[candidate] for row, candidate in zip(rows, choice, strict=True)) for choice in choices]
