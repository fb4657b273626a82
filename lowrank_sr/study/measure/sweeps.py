"""The points of the sweeps: low-rank networks with their quality, and their speed over direct convolution."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np

from lowrank_sr.compression.network import ENDS
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank.conditioning import condition_number
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.encoding import FLAT
from lowrank_sr.study.measure import networks
from lowrank_sr.study.measure.networks import TABLE1_SPEEDUP, Quality, Timing
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import REFERENCE, SVD_KERNEL, WINOGRAD, Technique

MARKED_ENERGY = 0.9  # the fraction that marked layers keep in the sweep of thresholds


@dataclass(frozen=True)
class PointTimings:
    """Times by direct convolution, and by Winograd's algorithm."""

    direct: Annotated[Timing, FLAT]
    winograd: Timing


@dataclass(frozen=True)
class LowRankNetwork:
    """A compressed network: how many layers are factorised, its quality, and its speed over direct convolution."""

    factorised: int
    parameters: int
    quality: Annotated[Quality, FLAT]
    gflop: float
    theoretical_speedup: float
    measured: PointTimings


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network of a sweep, or the reason why `compress` refused to make it."""

    network: Annotated[LowRankNetwork | None, FLAT] = None
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class SpeedupPoint(Point):
    """At a theoretical speed-up of the whole network."""

    technique: Technique
    speedup: float


@dataclass(frozen=True, kw_only=True)
class ThresholdPoint(Point):
    """The `marked` layers, whose condition number is above `threshold`, at a fraction of their energy."""

    threshold: float
    marked: int
    energy: float


@dataclass(frozen=True, kw_only=True)
class TruncationPoint(Point):
    """Every layer at a condition number."""

    condition: float


P = TypeVar("P", bound=Point)


def measured(points: Iterable[P]) -> list[tuple[P, LowRankNetwork]]:
    """The points of a sweep that `compress` did not refuse, each with its network."""
    return [(point, point.network) for point in points if point.network is not None]


def at_speedup(study: Study, technique: Technique, speedup: float) -> SpeedupPoint:
    """A theoretical speed-up of the whole network."""

    def compress() -> RRDBNet:
        if speedup == TABLE1_SPEEDUP:
            return networks.network(study, technique)
        return networks.compressed(study, technique, speedup=speedup)

    return SpeedupPoint(technique=technique, speedup=speedup, **_point(study, technique, compress))


def above_threshold(study: Study, fraction: float) -> ThresholdPoint:
    """The poster's recipe: the layers whose condition number is above a threshold, which `fraction` of them are."""
    inner = [layer for name, layer in study.net.layers.items() if name not in ENDS]  # what `compress` chooses from
    kappas = sorted((condition_number(singular_values(layer.kernel())) for layer in inner), reverse=True)
    marked = max(1, round(fraction * len(kappas)))
    below = kappas[marked] if marked < len(kappas) else 1.0
    threshold = float(np.sqrt(kappas[marked - 1] * below))

    def compress() -> RRDBNet:
        return networks.compressed(study, SVD_KERNEL, energy=MARKED_ENERGY, select_condition=threshold)

    point = _point(study, SVD_KERNEL, compress)
    return ThresholdPoint(threshold=threshold, marked=marked, energy=MARKED_ENERGY, **point)


def at_condition(study: Study, kappa: float) -> TruncationPoint:
    """Every layer truncated where its singular values fall below the largest over `kappa`."""

    def compress() -> RRDBNet:
        return networks.compressed(study, SVD_KERNEL, condition=kappa)

    return TruncationPoint(condition=kappa, **_point(study, SVD_KERNEL, compress))


def _point(study: Study, technique: Technique, compress: Callable[[], RRDBNet]) -> dict[str, Any]:
    """The fields of `Point`: the network that `compress` makes in the form of `technique`, or why it makes none."""
    try:
        small = compress()
    except InputError as error:
        return {"refused": str(error)}
    by_winograd = Technique(technique.form, technique.fitted, WINOGRAD)
    compared = {
        REFERENCE: study.net.with_method(REFERENCE.method),
        technique: small,
        by_winograd: small.with_method(WINOGRAD),
    }
    speeds = networks.compare_networks(compared, study.extent.side, study.extent.rounds)
    low_rank = LowRankNetwork(
        factorised=sum(layer.rank is not None for layer in small.layers.values()),
        parameters=small.parameters,
        quality=networks.network_quality(study, small),
        gflop=speeds[technique].gflop,
        theoretical_speedup=speeds[technique].theoretical_speedup,
        measured=PointTimings(speeds[technique].measured, speeds[by_winograd].measured),
    )
    return {"network": low_rank}
