"""Compression of a network: which layers, which ranks, and the walk that fits each to what it sees.

    ranks    a rule that each layer follows by itself, or a budget for the whole network (`choose.py`)
    factors  layer after layer, first to last: p are the patches that the layer finds in the network compressed so far,
             t what it gives in the dense network; minimise E‖t - W' p - b'‖² (Zhang et al. 2015; `factorise.py`)

Errors of earlier layers are thus corrected by later ones instead of piling up. Without calibration pictures the factors
are those of the kernel alone, as in the paper, and a speed-up of the network is one of every layer.
"""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression import calibration, choose, factorise, sensitivity
from lowrank_sr.compression.calibration import Crops
from lowrank_sr.compression.cost import COSTS
from lowrank_sr.compression.patch_statistics import measure, positions
from lowrank_sr.compression.sensitivity import grows
from lowrank_sr.compression.walk import forward, on_stacks
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, Layer
from lowrank_sr.lowrank import conditioning, svd
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import progress

PATCHES = 32768  # a layer
ENDS = ("conv_first", "conv_last")  # three channels on one side: next to nothing to gain, and a picture to lose
ATTEMPTS = 4


def compress(
    net: RRDBNet,
    method: str = "svd",
    *,
    rank: int | None = None,
    energy: float | None = None,
    condition: float | None = None,
    speedup: float | None = None,
    max_drop: float | None = None,
    select_condition: float | None = None,
    layers: str = "*",
    images: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    target: str = "flops",
) -> RRDBNet:
    """Factorise the layers of a dense network; exactly one of the five rules says how far.

    Parameters
    ----------
    net : RRDBNet
        With dense layers only; it stays as it is.
    method : "svd" or "cp"
    rank : int, optional
        K or R, the same for every layer.
    energy : float, optional
        Of each kernel's singular values, the fraction to keep.
    condition : float, optional
        σ_1 / σ_K of each kernel's singular values, at most.
    speedup : float, optional
        Theoretical, of the whole network, dense layers included; with target "measured", on this machine's clock.
    max_drop : float, optional
        PSNR in dB, on the calibration pictures' RGB, that may be lost.
    select_condition : float, optional
        Only layers whose kernel has a condition number above this: the paper's criterion.
    layers : str
        A glob of the names of layers; "*" means all but conv_first and conv_last.
    images : list of (H, W, 3) arrays of floats, 0..1, optional
        High-resolution photographs to calibrate with; by default the bundled ones, () for none.
    seed : int
        Of CP's start and of the crops and patches drawn.
    target : "flops" or "measured"
        Whether a layer's cost is counted or timed.

    Returns
    -------
    RRDBNet, whose `meta["compression"]` says how it was made, with totals and a row for each layer

    Raises
    ------
    InputError
        For a network that is compressed already, a rule that is missing, impossible or selects nothing, and
        calibration pictures that are too few or too small.

    References
    ----------
    Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and Detection", 2015.
    Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks", 2025.
    """
    rule, value = _only_rule(
        {"rank": rank, "energy": energy, "condition": condition, "speedup": speedup, "max_drop": max_drop}
    )
    if method not in factorise.METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(factorise.METHODS)}")
    if target not in COSTS:
        raise InputError(f"target {target!r}: expected one of {', '.join(COSTS)}")
    for name, layer in net.layers.items():
        if not isinstance(layer, Dense):
            raise InputError(f"layer {name} is compressed already: expected a dense network")
    conditions = {}
    for name, layer in net.layers.items():
        with factorise.solving(layer.shape):
            conditions[name] = conditioning.condition_number(svd.singular_values(layer.weight))
    selected = _select(conditions, layers, select_condition)
    crops = _crops(net, images, seed)
    if rule == "max_drop" and crops is None:
        raise InputError("max_drop is measured on calibration pictures: expected some")

    passes = {"speedup": 3, "max_drop": 2 + ATTEMPTS}.get(rule, 1) if crops is not None else 1
    with progress(passes * len(selected), f"compress ({method})", "layer") as bar:
        if rule == "speedup":
            every = _candidates(net, selected, method, target, crops, seed, bar.update)
            ranks = _ranks(net, every, choose.within_cost(every, value))
            made = _factorise(net, method, ranks, crops, seed, bar.update)
        elif rule == "max_drop":
            every = _candidates(net, selected, method, target, crops, seed, bar.update)
            made = _within_drop(net, method, every, value, crops, seed, bar.update)
        else:
            dense = {name: net.layers[name] for name in selected}
            ranks = choose.by_rule(dense, method, COSTS[target], rule, value)
            made = _factorise(net, method, ranks, crops, seed, bar.update)

    small, errors = made
    record = {
        "method": method,
        "rule": {rule: value},
        "select_condition": select_condition,
        "pattern": layers,
        "target": target,
        "seed": seed,
        "calibration": _about(crops, images),
    }
    rows = [_row(net, small, name, conditions[name], errors.get(name)) for name in net.layers]
    small.meta["compression"] = record | {"totals": _totals(net, small), "layers": rows}
    return small


def _only_rule(rules: Mapping[str, float | None]) -> tuple[str, float]:
    given = [(name, value) for name, value in rules.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(name for name, _ in given) or "none"
        raise InputError(f"rules for the ranks: {names}: expected exactly one of {', '.join(rules)}")
    return given[0]


def _select(conditions: Mapping[str, float], pattern: str, threshold: float | None) -> list[str]:
    """The layers that may be compressed."""
    names = [name for name in conditions if fnmatchcase(name, pattern) and not (pattern == "*" and name in ENDS)]
    if not names:
        raise InputError(f"no layer is called {pattern}: expected a name or a pattern such as RRDB_trunk.0.*")
    if threshold is None:
        return names
    return conditioning.select({name: conditions[name] for name in names}, threshold)


def _crops(net: RRDBNet, images: Sequence[np.ndarray] | None, seed: int) -> Crops | None:
    pictures = calibration.read() if images is None else images
    return calibration.crops(pictures, net.scale, seed) if len(pictures) else None


def _candidates(net, selected, method, target, crops, seed, report):
    """What each layer can become, with sensitivities where there are pictures to measure them with."""
    sensitivities = dict.fromkeys(selected)
    if crops is not None:
        sensitivities = sensitivity.measure_all(net, crops.low, selected, seed, report)
    return choose.candidates(net, sensitivities, method, COSTS[target])


def _ranks(net, every, choices) -> dict[str, int]:
    """The ranks chosen, by name."""
    chosen = {name: each.ranks[i] for name, each, i in zip(net.layers, every, choices, strict=True)}
    return {name: rank for name, rank in chosen.items() if rank is not None}


def _within_drop(net, method, every, drop, crops, seed, report):
    """The cheapest network found whose PSNR on the crops is at most `drop` dB below that of the dense one.

    MSE · 10^(drop / 10) = MSE + loss allowed; what the factors really lose says how much more, or less, may be
    estimated for them at the next attempt.
    """
    if not drop > 0:
        raise InputError(f"max_drop {drop:g} dB: expected more than 0")
    before = _square_error(net, crops)
    allowed = before * (10 ** (drop / 10) - 1)
    estimate, best = allowed, None
    for _ in range(ATTEMPTS):
        ranks = _ranks(net, every, choose.within_loss(every, estimate))
        if not ranks:
            break
        small, errors = _factorise(net, method, ranks, crops, seed, report)
        lost = _square_error(small, crops) - before
        if lost <= allowed and (best is None or small.flops_per_pixel < best[0].flops_per_pixel):
            best = small, errors
        estimate *= np.clip(0.95 * allowed / max(lost, allowed / 10), 0.1, 10)
    if best is None:
        raise InputError(f"max_drop {drop:g} dB: no ranks were found that lose as little")
    return best


def _square_error(net: RRDBNet, crops: Crops) -> float:
    return float(np.mean([np.square(net(low) - high).mean() for low, high in zip(*crops, strict=True)]))


def _factorise(net, method, ranks, crops, seed, report) -> tuple[RRDBNet, dict[str, float]]:
    """The network with layers of these `ranks`, and their errors; `report` is called after each."""
    if crops is None:
        made = {}
        for name, rank in ranks.items():
            with factorise.solving(net.layers[name].shape):
                made[name] = factorise.from_kernel(net.layers[name], method, rank, seed)
            report()
    else:
        made = _fit(net, method, ranks, crops.low, seed, report)
    layers = {name: made[name][0] if name in made else layer for name, layer in net.layers.items()}
    return RRDBNet(layers, net.method, net.meta), {name: error for name, (_, error) in made.items()}


def _fit(net, method, ranks, low, seed, report) -> dict[str, tuple[Layer, float]]:
    """Fit the layers in turn, the dense network and the compressed one walking side by side: maps (2, B, H, W, C)."""
    fitted = {}
    known = None

    def convolve(name, maps):
        nonlocal known
        layer = net.layers[name]
        run = on_stacks(layer, net.method)
        out = np.empty((*maps.shape[:-1], layer.shape[0]), maps.dtype)
        out[0] = run(maps[0])
        if name in ranks:
            where = positions(out[0], PATCHES, seed)
            with factorise.solving(layer.shape):
                known = measure(maps[1], out[0], where, known if grows(name) else None)
                fitted[name] = factorise.to_outputs(layer, method, ranks[name], known, seed)
            run = on_stacks(fitted[name][0], net.method)
            report()
        elif not grows(name):
            known = None
        out[1] = run(maps[1])
        return out

    forward(net.architecture, np.stack([low, low]), convolve)
    return fitted


def _row(net: RRDBNet, small: RRDBNet, name: str, kappa: float, error: float | None) -> dict:
    """One line of the table; FLOPs are for each pixel of the image."""
    before, after = net.layers[name], small.layers[name]
    return {
        "name": name,
        "shape": list(before.shape),
        "condition": kappa if math.isfinite(kappa) else None,
        "rank": after.rank,
        "error": error,
        "flops_before": flops.per_pixel(before) * net.area(name),
        "flops_after": flops.per_pixel(after) * net.area(name),
        "chosen": after.rank is not None,
    }


def _totals(net: RRDBNet, small: RRDBNet) -> dict:
    before, after = net.flops_per_pixel, small.flops_per_pixel
    return {"flops_before": before, "flops_after": after, "theoretical_speedup": before / after}


def _about(crops: Crops | None, images: Sequence | None) -> dict | None:
    if crops is None:
        return None
    count, side = crops.low.shape[:2]
    return {"pictures": "bundled" if images is None else len(images), "crops": count, "side": side}
