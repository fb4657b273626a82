"""The points of the sweeps: low-rank networks with their quality, and their speed over direct convolution."""

from collections.abc import Callable

import numpy as np

from lowrank_sr.compression.network import ENDS
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank.conditioning import condition_number
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import networks, quality, speed
from lowrank_sr.study.settings import DIRECT, WINOGRAD, Study

ENERGY = 0.9  # of the singular values that marked layers keep in the sweep of thresholds


def at_speedup(study: Study, method: str, fitted: bool, speedup: float) -> dict:
    """A theoretical speed-up of the whole network."""
    asked = {"technique": networks.technique(method, fitted), "speedup": speedup}
    return asked | _point(study, lambda: networks.at_speedup(study, method, fitted, speedup))


def above_threshold(study: Study, fraction: float) -> dict:
    """The poster's recipe: the layers whose condition number is above a threshold, which `fraction` of them are."""
    inner = [layer for name, layer in study.net.layers.items() if name not in ENDS]  # what `compress` chooses from
    kappas = sorted((condition_number(singular_values(layer.kernel())) for layer in inner), reverse=True)
    marked = max(1, round(fraction * len(kappas)))
    below = kappas[marked] if marked < len(kappas) else 1.0
    threshold = float(np.sqrt(kappas[marked - 1] * below))
    asked = {"threshold": threshold, "marked": marked, "energy": ENERGY}
    rule = {"energy": ENERGY, "select_condition": threshold}
    return asked | _point(study, lambda: networks.compressed(study, "svd", False, **rule))


def at_condition(study: Study, kappa: float) -> dict:
    """Every layer truncated where its singular values fall below the largest over `kappa`."""
    asked = {"condition": kappa}
    return asked | _point(study, lambda: networks.compressed(study, "svd", False, condition=kappa))


def _point(study: Study, compress: Callable[[], RRDBNet]) -> dict:
    """What a point is drawn from, or why there is none: not every network gives way to every rule.

    It is timed by direct convolution, as what it is compared with, and by Winograd's algorithm.
    """
    try:
        small = compress()
    except InputError as error:
        return {"refused": str(error)}
    compared = {DIRECT: study.net.with_method(DIRECT), "low rank": small, WINOGRAD: small.with_method(WINOGRAD)}
    rows = speed.compare_networks(compared, study.extent.side, study.extent.rounds)
    rows["low rank"]["measured"][WINOGRAD] = rows[WINOGRAD]["measured"]
    return {
        "factorised": sum(layer.rank is not None for layer in small.layers.values()),
        "parameters": small.parameters,
        **quality.network(study, small),
        **rows["low rank"],
    }
