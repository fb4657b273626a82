"""The points of the sweeps: low-rank networks with their quality, and their speed over direct convolution."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import numpy as np

from lowrank_sr import flops
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank.ranks import condition_rank, energy_rank
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.encoding import FLAT
from lowrank_sr.study.measure import networks, quality, spectra, speed
from lowrank_sr.study.measure.networks import TABLE1_SPEEDUP
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import ALL, BLOCKS, FITTED, KERNEL, SVD_KERNEL, WINOGRAD, Technique

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
    """One network of a sweep, or the reason why there is none."""

    network: Annotated[LowRankNetwork | None, FLAT] = None
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class SpeedupPoint(Point):
    """At a theoretical speed-up of the whole network."""

    technique: Technique
    speedup: float


@dataclass(frozen=True, kw_only=True)
class GuardedPoint(Point):
    """SVD of the kernel where a threshold gives the ranks: layers that would cost more than dense stay dense.

    `unguarded` is the network in which they do not, None where there are no such layers.
    """

    unguarded: LowRankNetwork | None = None


@dataclass(frozen=True, kw_only=True)
class ThresholdPoint(GuardedPoint):
    """The threshold selects layers: those whose condition number is above it, `marked`, keep a fraction of energy."""

    threshold: float
    marked: int
    energy: float


@dataclass(frozen=True, kw_only=True)
class TruncationPoint(GuardedPoint):
    """The threshold is a condition number: every layer keeps the singular values above its largest over `condition`."""

    condition: float


@dataclass(frozen=True, kw_only=True)
class LimitPoint(GuardedPoint):
    """The threshold is a limit for the singular values: a fraction `dropped` of all are below it, and left out."""

    limit: float
    dropped: float


P = TypeVar("P", bound=Point)


def measured(points: Iterable[P]) -> list[tuple[P, LowRankNetwork]]:
    """The points of a sweep that have a network, each with it."""
    return [(point, point.network) for point in points if point.network is not None]


def speedups(study: Study) -> list[tuple[Technique, float]]:
    """The networks of the sweep of theoretical speed-ups."""
    extent, every = study.extent, []
    for form in (form for form in study.forms if form in extent.swept):
        every += [(Technique(form), value) for value in extent.speedups]
        every += [(Technique(form, layers=BLOCKS), value) for value in extent.block_speedups]
        every += [(Technique(form, FITTED), value) for value in extent.fitted_speedups]
    return [(technique, value) for technique, value in every if technique.name not in extent.left_out]


@lru_cache(maxsize=32)
def compressed(study: Study, technique: Technique, speedup: float) -> RRDBNet:
    """The network of `technique` at a theoretical speed-up of the whole; raises InputError where there is none."""
    assert technique.form is not None
    if speedup == TABLE1_SPEEDUP and technique.layers == ALL:
        return networks.network(study, technique)
    return networks.at_speedup(study, technique.form, technique.factors, speedup, technique.layers)


def at_speedup(study: Study, technique: Technique, speedup: float) -> SpeedupPoint:
    """A theoretical speed-up of the whole network."""
    try:
        net = compressed(study, technique, speedup)
    except InputError as error:
        return SpeedupPoint(technique=technique, speedup=speedup, refused=str(error))
    return SpeedupPoint(technique=technique, speedup=speedup, network=_assessed(study, technique, net))


def above_threshold(study: Study, fraction: float) -> ThresholdPoint:
    """The layers whose condition number is above a threshold, which `fraction` of them are."""
    sigmas = networks.inner_singular_values(study.net)
    kappas = {name: spectra.condition(sigma) for name, sigma in sigmas.items()}
    largest = sorted(kappas.values(), reverse=True)
    marked = max(1, round(fraction * len(largest)))
    below = largest[marked] if marked < len(largest) else 1.0
    threshold = float(np.sqrt(largest[marked - 1] * below))
    ranks = {name: energy_rank(sigma, MARKED_ENERGY) for name, sigma in sigmas.items() if kappas[name] > threshold}
    return ThresholdPoint(threshold=threshold, marked=len(ranks), energy=MARKED_ENERGY, **_guarded(study, ranks))


def at_condition(study: Study, kappa: float) -> TruncationPoint:
    """Every layer truncated where its singular values fall below its largest over `kappa`."""
    sigmas = networks.inner_singular_values(study.net)
    ranks = {name: condition_rank(sigma, kappa) for name, sigma in sigmas.items()}
    return TruncationPoint(condition=kappa, **_guarded(study, ranks))


def above_limit(study: Study, dropped: float) -> LimitPoint:
    """Every layer truncated at one singular value, below which a fraction `dropped` of those of all layers are."""
    sigmas = networks.inner_singular_values(study.net)
    limit = float(np.quantile(np.concatenate(list(sigmas.values())), dropped))
    ranks = {name: max(1, int(np.count_nonzero(sigma >= limit))) for name, sigma in sigmas.items()}
    return LimitPoint(limit=limit, dropped=dropped, **_guarded(study, ranks))


def _guarded(study: Study, ranks: Mapping[str, int]) -> dict[str, Any]:
    """The fields of `GuardedPoint`: the network of these ranks, with and without those that cost more than dense."""
    most = {name: flops.break_even("svd", *study.net.layers[name].shape) for name in ranks}
    cheaper = {name: rank for name, rank in ranks.items() if rank < most[name]}

    def pairs(ranks: Mapping[str, int]) -> LowRankNetwork:
        return _assessed(study, SVD_KERNEL, networks.factorised(study, "svd", ranks, KERNEL))

    fields: dict[str, Any] = {"refused": "no layer would cost less than it does dense"}
    if cheaper:
        fields = {"network": pairs(cheaper)}
    return fields | ({"unguarded": pairs(ranks)} if len(cheaper) < len(ranks) else {})


def _assessed(study: Study, technique: Technique, net: RRDBNet) -> LowRankNetwork:
    """Quality and times of a network in the form of `technique`."""
    by_winograd = Technique(technique.form, technique.factors, WINOGRAD)
    speeds = speed.compare(study, {each: net.with_method(each.method) for each in (technique, by_winograd)})
    return LowRankNetwork(
        factorised=sum(layer.rank is not None for layer in net.layers.values()),
        parameters=net.parameters,
        quality=quality.of_network(study, net.with_method(WINOGRAD)),
        gflop=speeds[technique].gflop,
        theoretical_speedup=speeds[technique].theoretical_speedup,
        measured=PointTimings(speeds[technique].measured, speeds[by_winograd].measured),
    )
