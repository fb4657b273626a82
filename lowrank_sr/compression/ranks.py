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
UNCORRECTED = 1 / 4  # of the losses of all dense blocks, what the layers fitted behind them leave


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

    `whole`: those that may be factorised are so together, or not at all.
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
    net: RRDBNet, sensitivities: Mapping[str, Sensitivity | None], form: str, target: Target, uncorrected: float = 1
) -> dict[str, Candidates]:
    """Those of every layer by name, for each pixel of the image; layers without an entry can only stay dense.

    Losses in dense blocks count for a part `uncorrected`: what layers behind them do not make good. Where the
    sensitivity is None, because there were no pictures to measure it with, the loss at a share s of the dense cost c is
    c (1 - s)². The least Σ c (1 - s)² for a given Σ c s leaves every layer the same share.
    """
    break_evens = {name: flops.break_even(form, *layer.shape) for name, layer in net.layers.items()}
    every = {
        name: [rank for rank in target.ranks(most) if rank >= LEAST_SHARE * most] if name in sensitivities else []
        for name, most in break_evens.items()
    }
    blocks = net.architecture.dense_blocks().values()
    part = {name: uncorrected for names in blocks for name in names}
    last = {names[-1]: names for names in blocks}
    by_name = {}
    for name, pixel_costs in target.costs(net, form, every).items():
        ranks, break_even = every[name], break_evens[name]
        costs = net.architecture.area(name) * np.array(pixel_costs)
        sensitivity = sensitivities.get(name)
        if sensitivity is None:
            losses = costs[0] * (1 - costs / costs[0]) ** 2
        else:
            of_ranks = _losses(sensitivity, np.array(ranks) / break_even, net.layers[name].shape)
            losses = part.get(name, 1) * np.append(0.0, of_ranks)
        block = _block(last[name], sensitivities, uncorrected, target.whole) if name in last else None
        by_name[name] = Candidates([None, *ranks], costs.tolist(), losses.tolist(), block)
    return by_name


def _block(
    names: Sequence[str], sensitivities: Mapping[str, Sensitivity | None], uncorrected: float, whole: bool
) -> Block:
    """Without it the picture loses all that its last layer gives; known where every layer may be factorised."""
    *inner, last = (sensitivities.get(name) for name in names)
    known = last is not None and all(each is not None for each in inner)
    return Block(names, uncorrected * last.weight if last is not None and known else None, whole)


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
    forms = [_forms(block, [every[name] for name in block.names]) for block in blocks]
    together = [_together(each, limited, saved) for each in forms]
    limits = _rows(others, limited) + [each.limited for each in together]
    savings = _rows(others, saved) + [each.saved for each in together]
    choices = allocate(limits, savings, budget)[len(others) :]
    return {
        name: layer
        for block, each, candidate, choice in zip(blocks, forms, together, choices, strict=True)
        for name, layer in zip(block.names, each[candidate.form[choice]], strict=True)
    }


def _forms(block: Block, layers: Sequence[Candidates]) -> list[list[Candidates]]:
    """In each form of a block what its layers can become: anything, or in a whole one dense and factors; and nothing.

    Factors that cost more than the dense layer are none of them; where no others are left the layer stays dense.
    """
    forms = [list(layers)]
    if block.whole:
        forms = [[_only(layer, [0]) for layer in layers], [_only(layer, _cheaper(layer) or [0]) for layer in layers]]
    if block.loss is not None:
        nothing = Candidates([0], [0.0], [0.0])
        forms.append([nothing] * (len(layers) - 1) + [nothing._replace(losses=[block.loss])])
    return forms


def _cheaper(layer: Candidates) -> list[int]:
    return [i for i, cost in enumerate(layer.costs) if cost < layer.costs[0]]


def _only(layer: Candidates, kept: Sequence[int]) -> Candidates:
    ranks, costs, losses = layer.ranks, layer.costs, layer.losses
    return Candidates([ranks[i] for i in kept], [costs[i] for i in kept], [losses[i] for i in kept])


class _Together(NamedTuple):
    """Candidates of a block: the totals of its layers, and the form that each is of."""

    limited: list[float]
    saved: list[float]
    form: list[int]


def _together(forms: Sequence[Sequence[Candidates]], limited: str, saved: str) -> _Together:
    """Of each form the best at one price after the other."""
    every = _Together([], [], [])
    for form, layers in enumerate(forms):
        limits, savings = _rows(layers, limited), _rows(layers, saved)
        for choice in steps(limits, savings, np.inf):
            every.limited.append(_total(limits, choice))
            every.saved.append(_total(savings, choice))
            every.form.append(form)
    return every


def _total(rows: Sequence[Sequence[float]], choice: Sequence[int]) -> float:
    return sum(row[candidate] for row, candidate in zip(rows, choice, strict=True))


def _blocks(every: Mapping[str, Candidates]) -> list[Block]:
    return [layer.block for layer in every.values() if layer.block is not None]


def _rows(layers: Iterable[Candidates], field: str) -> list[list[float]]:
    return [getattr(layer, field) for layer in layers]
