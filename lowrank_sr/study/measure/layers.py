"""One layer of each shape by every technique: its FLOPs against its seconds, with sgemm's rate to compare with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense, Layer
from lowrank_sr.lowrank.ranks import speedup_rank
from lowrank_sr.machine.threads import blas_threads, thread_count
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import CP_KERNEL, SVD_KERNEL_WINOGRAD, Technique

LAYER_SPEEDUPS = (2, 4)  # theoretical, of a layer
LAYER_SECONDS = 0.3  # of measuring a layer, at least: some of them take a tenth of a millisecond
SGEMM_SIDE = 1536  # of square matrices: large enough for the highest rate of sgemm


@dataclass(frozen=True)
class Rate:
    """GFLOP/s."""

    gflops: float


@dataclass(frozen=True)
class Sgemm:
    """The rate of a product of two `side` x `side` matrices in float32."""

    side: int
    measured: Rate


@dataclass(frozen=True)
class LayerTime:
    """The least seconds of a layer, its speed-up over direct convolution, and GFLOP/s by the formula of its form."""

    seconds: float
    speedup: float
    gflops: float


@dataclass(frozen=True)
class LayerRow:
    """A layer by one technique; for CP, whether its rank is the poster's, and the kernel's relative error."""

    technique: Technique
    rank: int | None
    gflop: float
    theoretical_speedup: float
    measured: LayerTime
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
        seconds = min(interleaved({"sgemm": lambda: a @ a}, study.extent.rounds)["sgemm"])
    return Sgemm(SGEMM_SIDE, Rate(2 * SGEMM_SIDE**3 / seconds / 1e9))


def distinct(net: RRDBNet) -> dict[str, float]:
    """The first layer of each shape and resolution, with the pixels it writes for each pixel of the picture."""
    first: dict[tuple[tuple[int, int, int], float], str] = {}
    for name, layer in net.layers.items():
        first.setdefault((layer.shape, net.area(name)), name)
    return {name: area for (_, area), name in first.items()}


def layer_times(study: Study, name: str, area: float) -> LayerTimes:
    """Layer `name` by every technique, on the map that it has in a picture of `layer_side`; R = NC/(N+C) among them."""
    dense = study.net.layers[name]
    assert isinstance(dense, Dense)  # `open_study` refuses a network that is compressed already
    side = round(study.extent.layer_side * area**0.5)
    variants = _variants(study, dense)
    runs = {str(i): run for i, run in enumerate(_runs(dense, variants, side))}
    # The least time, not the median: a layer can take less time than the scheduler gives to another process.
    least = [min(seconds) for seconds in interleaved(runs, study.extent.rounds, LAYER_SECONDS).values()]
    direct = least[0]
    rows = []
    for variant, seconds in zip(variants, least, strict=True):
        work = flops.per_pixel(variant.layer) * side**2
        is_cp = variant.technique == CP_KERNEL
        rows.append(
            LayerRow(
                technique=variant.technique,
                rank=variant.layer.rank,
                gflop=work / 1e9,
                theoretical_speedup=flops.per_pixel(dense) / flops.per_pixel(variant.layer),
                measured=LayerTime(seconds, direct / seconds, work / seconds / 1e9),
                poster_bound=variant.poster_bound if is_cp else None,
                error=variant.error if is_cp else None,
            )
        )
    return LayerTimes(dense.shape, side, tuple(rows))


def _runs(dense: Dense, variants: list[Variant], side: int) -> list[Callable[[], None]]:
    """What to time: each variant on the same map of noise."""
    n, c, _ = dense.shape
    noise = np.random.default_rng(0).standard_normal((side, side, c), dtype=np.float32)
    x, out, epilogue = from_array(noise), allocate(side, side, n), Epilogue(dense.bias, slope=0.2)
    return [partial(convolution(variant.layer, variant.technique.method), x, out, epilogue) for variant in variants]


def cp_bound(n: int, c: int) -> int:
    """R = NC/(N+C), the rank at which the poster expects CP to be d² times as fast, rounded to a whole number."""
    return max(1, round(n * c / (n + c)))


def _variants(study: Study, dense: Dense) -> list[Variant]:
    """The layer by each dense method, direct first, and in each low-rank form at LAYER_SPEEDUPS where it has a rank."""
    n, c, _ = dense.shape
    variants = [Variant(Technique(method=method), dense) for method in study.dense_methods]
    for speedup in LAYER_SPEEDUPS:
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
