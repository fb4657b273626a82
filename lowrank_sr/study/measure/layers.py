"""One layer of each shape by every technique: its FLOPs against its seconds, with sgemm's rate to compare with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.conv.algorithms import multiplications
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense, Layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.machine.threads import blas_threads, thread_count
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import networks
from lowrank_sr.study.measure.speed import Timing, in_turn, timing
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import CP_KERNEL, SVD_KERNEL_WINOGRAD, Technique

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


@dataclass(frozen=True, eq=False)
class Variant:
    """The layer to time for a technique, its kernel's relative error, and whether it is CP at R = NC/(N+C)."""

    technique: Technique
    layer: Layer
    error: float = 0.0
    poster_bound: bool = False


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
    """Layer `name` by every technique, on the map that it has in a picture of `layer_side`; R = NC/(N+C) among them."""
    dense = networks.dense_layer(study, name)
    side = round(study.extent.layer_side * area**0.5)
    variants = _variants(study, dense)
    runs = {str(i): run for i, run in enumerate(_runs(dense, variants, side))}
    times, load = in_turn(runs, study.extent.rounds)
    direct = times["0"]
    rows = []
    for variant, seconds in zip(variants, times.values(), strict=True):
        layer, method = variant.layer, variant.technique.method
        work = flops.per_pixel(layer) * side**2
        is_cp = variant.technique == CP_KERNEL
        rows.append(
            LayerRow(
                technique=variant.technique,
                rank=layer.rank,
                gflop=work / 1e9,
                theoretical_speedup=flops.per_pixel(dense) / flops.per_pixel(layer),
                multiplications=multiplications(layer, method) * side**2 / 1e9,
                measured=timing(seconds, direct, work, load),
                poster_bound=variant.poster_bound if is_cp else None,
                error=variant.error if is_cp else None,
            )
        )
    return LayerTimes(dense.shape, side, tuple(rows))


def _runs(dense: Dense, variants: list[Variant], side: int) -> list[Callable[[], object]]:
    """What to time: each variant on the same map of noise."""
    n, c, _ = dense.shape
    noise = np.random.default_rng(0).standard_normal((side, side, c), dtype=np.float32)
    x, out, epilogue = from_array(noise), allocate(side, side, n), Epilogue(dense.bias, slope=0.2)
    return [partial(convolution(variant.layer, variant.technique.method), x, out, epilogue) for variant in variants]


def cp_bound(n: int, c: int) -> int:
    """R = NC/(N+C), the rank at which the poster expects CP to be d² times as fast, rounded to a whole number."""
    return max(1, round(n * c / (n + c)))


def _variants(study: Study, dense: Dense) -> list[Variant]:
    """The layer by each dense method, direct first, and in each low-rank form, at speed-ups for which it has a rank."""
    n, c, _ = dense.shape
    variants = [Variant(Technique(method=method), dense) for method in study.dense_methods]
    for speedup in study.extent.layer_speedups:
        for form in study.forms:
            break_even = flops.break_even(form, *dense.shape)
            if break_even < speedup:
                continue
            layer, error = from_kernel(dense, form, speedup_rank(break_even, speedup), study.settings.seed)
            variants.append(Variant(Technique(form), layer, error))
            if form == SVD_KERNEL_WINOGRAD.form and SVD_KERNEL_WINOGRAD.method in study.dense_methods:
                variants.append(Variant(SVD_KERNEL_WINOGRAD, layer, error))
    if CP_KERNEL.form in study.forms:
        layer, error = from_kernel(dense, CP_KERNEL.form, cp_bound(n, c), study.settings.seed)
        variants.append(Variant(CP_KERNEL, layer, error, poster_bound=True))
    return variants
