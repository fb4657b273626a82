"""One layer of each shape by every technique: its FLOPs against its seconds, and the machine's roof over them."""

from collections.abc import Callable
from functools import partial

import numba
import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import METHODS, convolution
from lowrank_sr.layers import CP, Dense, Layer, Separable
from lowrank_sr.lowrank import cp_als, ranks, svd
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.settings import DIRECT, WINOGRAD, Study

CP_BOUND = "cp bound"  # the variant at R = NC/(N+C)
METHOD = {"svd": DIRECT, "svd winograd": WINOGRAD, "cp": DIRECT}  # by which a low-rank technique is computed
LAYER_SPEEDUPS = (2, 4)  # theoretical, of a layer
SECONDS = 0.3  # of measuring a layer, at least: some of them take a tenth of a millisecond
GEMM_SIDE = 1536  # of square matrices: the largest rate that sgemm reaches on this machine


def sgemm(study: Study) -> dict:
    """GFLOP/s of one large single-precision matrix product on the threads in use: the roof of the figure."""
    a = np.random.default_rng(0).random((GEMM_SIDE, GEMM_SIDE), dtype=np.float32)
    with blas_threads(numba.get_num_threads()):
        seconds = min(interleaved({"sgemm": lambda: a @ a}, study.extent.rounds)["sgemm"])
    return {"side": GEMM_SIDE, "measured": {"gflops": 2 * GEMM_SIDE**3 / seconds / 1e9}}


def distinct(net: RRDBNet) -> dict[str, float]:
    """The first layer of each shape and resolution, with the pixels it writes for each pixel of the picture."""
    first: dict[tuple, str] = {}
    for name, layer in net.layers.items():
        first.setdefault((layer.shape, net.area(name)), name)
    return {name: area for (_, area), name in first.items()}


def layer(study: Study, name: str, area: float) -> dict:
    """Layer `name` by every technique, on the map that it has in a picture of `layer_side`; R = NC/(N+C) among them."""
    dense = study.net.layers[name]
    side = round(study.extent.layer_side * area**0.5)
    variants = _variants(study, dense)
    # The least: a layer takes less time than a turn of the scheduler, which BLAS's idle threads make others wait for.
    times = interleaved(_runs(dense, variants, side), study.extent.rounds, SECONDS)
    least, rows = {key: min(taken) for key, taken in times.items()}, []
    for key, (each, method) in variants.items():
        work, seconds = flops.per_pixel(each) * side**2, least[key]
        measured = {"seconds": seconds, "speedup": least[DIRECT] / seconds, "gflops": work / seconds / 1e9}
        row = {"technique": method, "rank": each.rank, "gflop": work / 1e9}
        rows.append(row | {"theoretical_speedup": flops.per_pixel(dense) / flops.per_pixel(each), "measured": measured})
        if method == "cp":
            rows[-1] |= {"poster_bound": key == CP_BOUND, "error": relative_error(dense, each)}
    return {"shape": list(dense.shape), "side": side, "rows": rows}


def _runs(dense: Dense, variants: dict[str, tuple[Layer, str]], side: int) -> dict[str, Callable[[], None]]:
    """What to time: each variant on the same map of noise."""
    n, c, _ = dense.shape
    noise = np.random.default_rng(0).standard_normal((side, side, c), dtype=np.float32)
    x, out, epilogue = from_array(noise), allocate(side, side, n), Epilogue(dense.bias, slope=0.2)
    return {
        key: partial(convolution(each, METHOD.get(technique, technique)), x, out, epilogue)
        for key, (each, technique) in variants.items()
    }


def cp_bound(n: int, c: int) -> int:
    """R = NC/(N+C), the rank at which the poster expects CP to be d^2 times as fast, to the next whole number."""
    return max(1, round(n * c / (n + c)))


def relative_error(dense: Layer, factorised: Layer) -> float:
    """|W - W'| / |W|."""
    return float(np.linalg.norm(dense.kernel() - factorised.kernel()) / np.linalg.norm(dense.kernel()))


def _variants(study: Study, dense: Dense) -> dict[str, tuple[Layer, str]]:
    """The layer and its low-rank forms by a name of their own, each with its technique; direct comes first."""
    n, c, _ = dense.shape
    found: dict[str, tuple[Layer, str]] = {name: (dense, name) for name in study.methods if name in METHODS}
    for speedup in LAYER_SPEEDUPS:
        even = {form: flops.break_even(form, *dense.shape) for form in ("svd", "cp")}
        if "svd" in study.methods and even["svd"] >= speedup:
            pair = _svd(dense, ranks.speedup_rank(even["svd"], speedup))
            found[f"svd {speedup}"] = pair, "svd"
            if WINOGRAD in study.methods:
                found[f"svd winograd {speedup}"] = pair, "svd winograd"
        if "cp" in study.methods and even["cp"] >= speedup:
            found[f"cp {speedup}"] = _cp(study, dense, ranks.speedup_rank(even["cp"], speedup)), "cp"
    if "cp" in study.methods:
        found[CP_BOUND] = _cp(study, dense, cp_bound(n, c)), "cp"
    return found


def _svd(dense: Dense, rank: int) -> Separable:
    vertical, horizontal = svd.truncate(dense.weight, rank)
    return Separable(vertical.astype(np.float32), horizontal.astype(np.float32), dense.bias)


def _cp(study: Study, dense: Dense, rank: int) -> CP:
    factors, _ = cp_als.decompose(dense.weight, rank, seed=study.seed)
    return CP(*(factor.astype(np.float32) for factor in factors), dense.bias)
