"""Compression of a network: which layers, which ranks, and factors for them.

    layers   those that a pattern and a condition number select
    ranks    a rule that each layer obeys by itself, or a budget for the whole network (`ranks.py`, `sensitivity.py`)
    factors  layer after layer, first to last, and dense layers behind the first of them, fitted to what each sees in
             the network compressed so far (`fit.py`)

Without calibration pictures the factors are those of the kernel alone, as in the paper, and by FLOPs every layer gives
up the same share of its cost.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from lowrank_sr.compression import calibration, fit, record
from lowrank_sr.compression.calibration import Calibration, Crops, calibrated
from lowrank_sr.compression.factorise import FORMS, dense_layers
from lowrank_sr.compression.held_out import block_errors
from lowrank_sr.compression.prices import TARGETS, Target
from lowrank_sr.compression.ranks import UNCORRECTED, Candidates, by_rule, candidates, within_cost, within_loss
from lowrank_sr.compression.sensitivity import sensitivities
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense
from lowrank_sr.lowrank import conditioning, svd
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import progress

ENDS = ("conv_first", "conv_last")  # three channels on one side: next to nothing to gain, and a picture to lose
ATTEMPTS = 4  # at the cheapest network within max_drop: each takes a whole fit, and each corrects the one before
MARGIN = 0.95  # of the loss allowed, aimed at by these attempts: a little less than all, to stay within


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
    fitted: str = "factors",
) -> RRDBNet:
    """Factorise the layers of a dense network; exactly one of the five rules says how far.

    Parameters
    ----------
    net : RRDBNet
        With dense layers only; it stays as it is.
    method : "svd" or "cp"
        The form of the factorised layers.
    rank : int, optional
        K or R, the same for every layer.
    energy : float, optional
        Of each kernel's singular values, the fraction to keep.
    condition : float, optional
        σ_1 / σ_K of each kernel's singular values, at most.
    speedup : float, optional
        Of the whole network, dense layers included, by `target`: theoretical, or over the best exact method.
    max_drop : float, optional
        PSNR in dB, on the calibration pictures' RGB, that may be lost.
    select_condition : float, optional
        Only layers whose kernel has a condition number above this: the paper's criterion.
    layers : str
        A glob of the names of layers; "*" means all but conv_first and conv_last. Dense layers behind the first that is
        factorised are fitted, too, where factors are.
    images : list of (H, W, 3) arrays of floats, 0..1, optional
        High-resolution photographs to calibrate with; by default the bundled ones, () for none.
    seed : int
        Of CP's start, of the crops, and of the signs that measure what the picture sees.
    target : "flops", "multiplications" or "measured"
        What a layer costs: FLOPs by the paper's formulas, the multiplications that are really done, after Winograd, or
        seconds on this machine. The last two cost a dense layer by its best exact method.
    fitted : "factors" or "bias"
        What is fitted to the calibration pictures: factors, biases and the kernels of dense layers behind them, or the
        biases of factorised layers alone, to factors of the kernel.

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
    form = method
    if form not in FORMS:
        raise InputError(f"method {form!r}: expected one of {', '.join(FORMS)}")
    if target not in TARGETS:
        raise InputError(f"target {target!r}: expected one of {', '.join(TARGETS)}")
    if fitted not in (fit.FACTORS, fit.BIAS):
        raise InputError(f"fitted {fitted!r}: expected {fit.FACTORS} or {fit.BIAS}")
    dense = dense_layers(net)
    conditions = _condition_numbers(dense)
    selected = _select(conditions, layers, select_condition)
    crops = _crops(net, images, seed)
    if fitted == fit.BIAS and crops is None:
        raise InputError("a bias is fitted to calibration pictures: expected some")
    seen = None if crops is None else calibrated(net, crops.low, seed)

    fits = (ATTEMPTS if rule == "max_drop" else 1) * len(selected if crops is None else net.layers)
    curves = len(selected) if crops is not None and rule in ("speedup", "max_drop") else 0
    with progress(curves + fits, f"compress ({form})", "layer") as bar:
        if rule == "max_drop":
            if crops is None:
                raise InputError("max_drop is measured on calibration pictures: expected some")
            every = _candidates(net, selected, form, TARGETS[target], seen, bar.update, fitted)
            small, errors = _within_drop(net, form, every, value, crops, seen, seed, bar.update, fitted)
        else:
            if rule == "speedup":
                every = _candidates(net, selected, form, TARGETS[target], seen, bar.update, fitted)
                ranks = within_cost(every, value)
            else:
                choices = {name: dense[name] for name in selected}
                ranks = by_rule(net, choices, form, TARGETS[target].costs, rule, value)
            small, errors = fit.factorised(net, form, ranks, seen, seed, bar.update, fitted)

    small.meta["compression"] = {
        "method": form,
        "rule": {rule: value},
        "select_condition": select_condition,
        "pattern": layers,
        "target": target,
        "fitted": fitted if crops is not None else None,
        "seed": seed,
        "calibration": _about(crops, images),
        "held_out": None if crops is None or not len(crops.held_out) else block_errors(net, small, crops.held_out),
        **record.describe(net, small, conditions, errors),
    }
    return small


def _only_rule(rules: Mapping[str, float | None]) -> tuple[str, float]:
    given = [(name, value) for name, value in rules.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(name for name, _ in given) or "none"
        raise InputError(f"rules for the ranks: {names}: expected exactly one of {', '.join(rules)}")
    return given[0]


def _condition_numbers(layers: Mapping[str, Dense]) -> dict[str, float]:
    """Of every layer's kernel, by name."""
    conditions = {}
    for name, layer in layers.items():
        with blas_threads(1):
            conditions[name] = conditioning.condition_number(svd.singular_values(layer.weight))
    return conditions


def _select(conditions: Mapping[str, float], pattern: str, threshold: float | None) -> list[str]:
    """The layers that may be compressed."""
    names = [name for name in conditions if fnmatchcase(name, pattern) and not (pattern == "*" and name in ENDS)]
    if not names:
        raise InputError(f"no layer is called {pattern}: expected a name or a pattern such as RRDB_trunk.0.*")
    if threshold is None:
        return names
    return conditioning.select({name: conditions[name] for name in names}, threshold)


def _crops(net: RRDBNet, images: Sequence[np.ndarray] | None, seed: int) -> Crops | None:
    pictures = calibration.read_pictures() if images is None else images
    if not len(pictures):
        return None
    if (channels := net.architecture.image_channels) != 3:
        raise InputError(f"the network takes {channels} channels, calibration pictures are RGB: expected none of them")
    return calibration.crops(pictures, net.scale, seed)


def _candidates(
    net: RRDBNet,
    selected: Collection[str],
    form: str,
    target: Target,
    seen: Calibration | None,
    report: Callable[[], object],
    fitted: str,
) -> dict[str, Candidates]:
    """What each layer can become, with sensitivities where there are pictures to measure them with."""
    if seen is None:
        return candidates(net, dict.fromkeys(selected), form, target)
    uncorrected = UNCORRECTED if fitted == fit.FACTORS else 1
    return candidates(net, sensitivities(net, seen, selected, report), form, target, uncorrected)


def _within_drop(
    net: RRDBNet,
    form: str,
    every: Mapping[str, Candidates],
    drop: float,
    crops: Crops,
    seen: Calibration | None,
    seed: int,
    report: Callable[[], object],
    fitted: str,
) -> tuple[RRDBNet, dict[str, float]]:
    """The cheapest network found whose PSNR on the crops is at most `drop` dB below that of the dense one.

    PSNR = -10 log10 MSE, so MSE may grow by allowed = MSE (10^(drop / 10) - 1). What the factors really lose says how
    much more, or less, may be estimated for them at the next attempt.
    """
    if not drop > 0:
        raise InputError(f"max_drop {drop:g} dB: expected more than 0")
    before = _square_error(net, crops)
    allowed = before * (10 ** (drop / 10) - 1)
    estimate, best = allowed, None
    for _ in range(ATTEMPTS):
        ranks = within_loss(every, estimate)
        if not ranks:
            break
        small, errors = fit.factorised(net, form, ranks, seen, seed, report, fitted)
        lost = _square_error(small, crops) - before
        if lost <= allowed and (best is None or small.flops_per_pixel < best[0].flops_per_pixel):
            best = small, errors
        # by a factor of ten at most: one attempt says little about losses of another order
        estimate *= np.clip(MARGIN * allowed / max(lost, allowed / 10), 0.1, 10)
    if best is None:
        raise InputError(f"max_drop {drop:g} dB: no ranks were found that lose as little")
    return best


def _square_error(net: RRDBNet, crops: Crops) -> float:
    pairs = zip(crops.reduced, crops.high, strict=True)
    return float(np.mean([np.square(net(low) - high).mean() for low, high in pairs]))


def _about(crops: Crops | None, images: Sequence[np.ndarray] | None) -> dict[str, object] | None:
    """What the record says of the calibration pictures."""
    if crops is None:
        return None
    count, side = crops.low.shape[:2]
    return {"pictures": "bundled" if images is None else len(images), "crops": count, "side": side}
