"""One layer of each shape by every technique: its FLOPs against its seconds, with sgemm's rate to compare with."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.conv.algorithms import multiplications
from lowrank_sr.conv.timing import Contestant, runs, seconds_in_block, with_layers
from lowrank_sr.layers import Layer, random_layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.machine.load import Load
from lowrank_sr.machine.threads import blas_threads, thread_count
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import networks
from lowrank_sr.study.measure.speed import Timing, in_turn, timing
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import CP_KERNEL, SVD_KERNEL_WINOGRAD, Technique

Shape = tuple[int, int, int]
"""(N, C, d) of a layer."""

SGEMM_SIDE = 1536  # of square matrices: large enough for the highest rate of sgemm


@dataclass(frozen=True)
class Sgemm:
    """The time and the rate of a product of two `side` x `side` matrices in float32, measured as layers are."""

    side: int
    measured: Timing


@dataclass(frozen=True)
class LayerRow:
    """A layer by one technique; for CP, whether its rank is the poster's, and the kernel's relative error.

    `multiplications` are those done, in 10^9. The rate in `measured` is by the formula of the layer's form.
    """

    technique: Technique
    rank: int | None
    gflop: float
    theoretical_speedup: float
    multiplications: float
    measured: Timing
    poster_bound: bool | None = None
    error: float | None = None


@dataclass(frozen=True)
class LayerTimes:
    """A layer of `shape` (N, C, d) by every technique, on a map of `side` x `side` pixels."""

    shape: tuple[int, ...]
    side: int
    rows: tuple[LayerRow, ...]


class Way(NamedTuple):
    """A technique for a layer of any shape: factors save `speedup` of its FLOPs, or have the poster's rank."""

    technique: Technique
    speedup: float | None = None
    poster_bound: bool = False

    def rank(self, shape: Shape) -> int | None:
        """The rank for a layer of `shape`, (N, C, d): 1 at least; None for a dense one."""
        if self.poster_bound:
            return cp_bound(*shape[:2])
        if self.technique.form is None or self.speedup is None:
            return None
        return max(1, speedup_rank(flops.break_even(self.technique.form, *shape), self.speedup))

    def layer(self, shape: Shape) -> Layer:
        """A layer of noise: its values do not change its time."""
        rank = self.rank(shape)
        return random_layer(shape) if rank is None else random_layer(shape, self.technique.form, rank)


def sgemm(study: Study) -> Sgemm:
    """GFLOP/s of one large single-precision matrix product on the threads in use."""
    a = np.random.default_rng(0).random((SGEMM_SIDE, SGEMM_SIDE), dtype=np.float32)
    with blas_threads(thread_count()):
        seconds, load = in_turn({"sgemm": lambda: a @ a}, study.extent.rounds)
    return Sgemm(SGEMM_SIDE, timing(seconds["sgemm"], seconds["sgemm"], 2 * SGEMM_SIDE**3, load))


def distinct(net: RRDBNet) -> dict[str, float]:
    """The first layer of each shape and resolution, with the pixels it writes for each pixel of the picture."""
    first: dict[tuple[tuple[int, int, int], float], str] = {}
    for name, layer in net.layers.items():
        first.setdefault((layer.shape, net.architecture.area(name)), name)
    return {name: area for (_, area), name in first.items()}


def layer_times(study: Study, name: str, area: float) -> LayerTimes:
    """Layer `name` by every technique, on the map that it has in a picture of `layer_side`; R = NC/(N+C) among them.

    A layer of a dense block is timed in its block, whose other layers go the same way.
    """
    dense = networks.dense_layer(study, name)
    side = round(study.extent.layer_side * area**0.5)
    together = next((names for names in study.net.architecture.dense_blocks().values() if name in names), [name])
    shapes = tuple(study.net.layers[each].shape for each in together)
    ways = _ways(study)
    keep_transformed = name in study.net.architecture.tail()
    times, load = _times(shapes, ways, side, keep_transformed, study.extent.rounds, thread_count())
    seconds_by_way = {way: seconds[together.index(name)] for way, seconds in zip(ways, times, strict=True)}
    direct = seconds_by_way[ways[0]]
    rows = []
    for way, seconds in seconds_by_way.items():
        form = way.technique.form
        if way.speedup is not None and form is not None and flops.break_even(form, *dense.shape) < way.speedup:
            continue  # not even rank 1 saves as much
        layer = way.layer(dense.shape)
        work = flops.per_pixel(layer) * side**2
        is_cp = way.technique == CP_KERNEL
        rows.append(
            LayerRow(
                technique=way.technique,
                rank=layer.rank,
                gflop=work / 1e9,
                theoretical_speedup=flops.per_pixel(dense) / flops.per_pixel(layer),
                multiplications=multiplications(layer, way.technique.method) * side**2 / 1e9,
                measured=timing(seconds, direct, work, load),
                poster_bound=way.poster_bound if is_cp else None,
                error=from_kernel(dense, "cp", way.rank(dense.shape) or 1, study.settings.seed)[1] if is_cp else None,
            )
        )
    return LayerTimes(dense.shape, side, tuple(rows))


@cache
def _times(
    shapes: tuple[Shape, ...], ways: tuple[Way, ...], side: int, keep_transformed: bool, rounds: int, threads: int
) -> tuple[list[list[list[float]]], Load]:
    """By way and layer of a dense block, or of one layer alone, the seconds of each round; `threads` are in use.

    All ways are timed in turn. The layers of a block ask for the same times one after the other.
    """
    contestants: dict[str, Contestant] = {}
    for i, way in enumerate(ways):
        methods = [way.technique.method] * len(shapes)
        contestant = Contestant([way.layer(shape) for shape in shapes], methods, keep_transformed)
        contestants |= with_layers(str(i), contestant)
    seconds, load = in_turn(runs(contestants, side), rounds)
    each_round = [dict(zip(seconds, values, strict=True)) for values in zip(*seconds.values(), strict=True)]
    by_way = []
    for i in range(len(ways)):
        by_round = [seconds_in_block(str(i), len(shapes), times) for times in each_round]
        by_way.append([list(layer) for layer in zip(*by_round, strict=True)])
    return by_way, load


def cp_bound(n: int, c: int) -> int:
    """R = NC/(N+C), the rank at which the poster expects CP to be d² times as fast, rounded to a whole number."""
    return max(1, round(n * c / (n + c)))


def _ways(study: Study) -> tuple[Way, ...]:
    """Each dense method, direct first, each low-rank form at each speed-up, and CP at the poster's rank."""
    ways = [Way(Technique(method=method)) for method in study.dense_methods]
    for speedup in study.extent.layer_speedups:
        for form in study.forms:
            ways.append(Way(Technique(form), speedup))
            if form == SVD_KERNEL_WINOGRAD.form and SVD_KERNEL_WINOGRAD.method in study.dense_methods:
                ways.append(Way(SVD_KERNEL_WINOGRAD, speedup))
    if CP_KERNEL.form in study.forms:
        ways.append(Way(CP_KERNEL, poster_bound=True))
    return tuple(ways)
