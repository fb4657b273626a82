"""`auto`: for every layer shape the method that is fastest on this machine, measured once and remembered.

The layers of a dense block are faster together than alone where all go by Winograd's algorithm. Where another method is
faster for some of them alone, the block is measured both ways.

The figures lie in the user's cache folder, in a file for each processor model, thread count, version of Numba and state
of the kernels' sources.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap, allocate, from_array
from lowrank_sr.conv.methods import METHODS, convolution, dense_block_convolution
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, Layer, random_layer
from lowrank_sr.machine.compiled import kernels_digest
from lowrank_sr.machine.cpu import LANES, cpu_model
from lowrank_sr.machine.remembered import remembered
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.machine.timing import interleaved

AUTO = "auto"
TIMING_SIDE = 96  # pixels: so large that a run takes longer than the turns in which a busy machine deals out its cores
TIMING_SECONDS = 0.4  # of measuring for a shape, and no fewer than
TIMING_ROUNDS = 5


def check_method(method: str, source: str = "method") -> None:
    """Raise InputError, blaming `source`, for a method that does not exist."""
    if method not in (AUTO, *METHODS):
        raise InputError(f"{source} {method!r}: expected one of {', '.join((AUTO, *METHODS))}")


def concrete(layer: Layer, method: str) -> str:
    """The method by which `layer` is computed where `method`, "auto" included, is asked for.

    For a dense layer "auto" is the fastest of all on this machine. For an SVD pair, which goes either directly or by
    F(6, 3), it is always the latter: faster at every shape of ESRGAN. CP goes one way whatever the method.
    """
    if method != AUTO:
        return method
    return fastest(layer.shape) if isinstance(layer, Dense) else "winograd"


def fastest(shape: tuple[int, int, int]) -> str:
    """The name of the method that takes the least time for a layer of `shape`, (N, C, d)."""
    times = seconds_by_method(shape)
    return min(times, key=lambda method: times[method])


def seconds_by_method(shape: tuple[int, int, int]) -> dict[str, float]:
    """Seconds by method for a layer of `shape`, (N, C, d), on 96 x 96 pixels with the threads in use now."""
    return _remembered(" ".join(map(str, shape)), METHODS.keys(), partial(_measure, shape))


def of_dense_block(layers: Sequence[Layer], method: str) -> list[str]:
    """The methods by which the layers of a dense block are computed where `method`, "auto" included, is asked for.

    Those of `concrete`; but for "auto" Winograd's algorithm for all, as one operator, where that takes less time.
    """
    alone = [concrete(layer, method) for layer in layers]
    together = ["winograd"] * len(layers)
    if method != AUTO or alone == together or not all(isinstance(layer, Dense) for layer in layers):
        return alone
    choices = {"alone": alone, "together": together}
    shapes = [layer.shape for layer in layers]
    key = "dense block of " + ", ".join(" ".join(map(str, shape)) for shape in shapes)
    times = _remembered(key, choices.keys(), partial(_measure_dense_block, shapes, choices))
    return choices[min(times, key=lambda name: times[name])]


def _remembered(key: str, names: Collection[str], measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The seconds by each of `names` that this machine's table has for `key`, or else those that `measure` returns."""

    def valid(times: Any) -> bool:
        numbers = isinstance(times, dict) and all(type(t) in (int, float) and math.isfinite(t) for t in times.values())
        return numbers and set(times) == set(names)

    times: dict[str, float] = remembered(_file(), key, valid, measure, "timing the methods on this machine, once ...")
    return times


def _file() -> str:
    """The name of the file with the figures of this machine, thread count and build."""
    machine = f"{cpu_model()}, {LANES} lanes, {thread_count()} threads, {kernels_digest()}, Numba {numba.__version__}"
    return f"methods-{hashlib.sha256(machine.encode()).hexdigest()[:16]}.json"


def _measure(shape: tuple[int, int, int]) -> dict[str, float]:
    """The least time of each method, taken in turn so that what else the machine does meets all of them."""
    n, c, _ = shape
    layer = random_layer(shape)
    epilogue = Epilogue(layer.bias)
    x = _noise(c)
    out = allocate(TIMING_SIDE, TIMING_SIDE, n)
    runs = {method: partial(convolution(layer, method, keep_transformed=False), x, out, epilogue) for method in METHODS}
    return _least(runs)


def _measure_dense_block(shapes: Sequence[tuple[int, int, int]], choices: Mapping[str, list[str]]) -> dict[str, float]:
    """The least time of a dense block of layers of `shapes` by each of `choices`, the methods of its layers."""
    layers = [random_layer(shape) for shape in shapes]
    epilogues = [Epilogue(layer.bias) for layer in layers]
    x = _noise(shapes[0][1])
    outs = [allocate(TIMING_SIDE, TIMING_SIDE, n) for n, _, _ in shapes]
    return _least(
        {name: partial(dense_block_convolution(layers, each), x, outs, epilogues) for name, each in choices.items()}
    )


def _noise(channels: int) -> FeatureMap:
    noise = np.random.default_rng(0).standard_normal((TIMING_SIDE, TIMING_SIDE, channels), dtype=np.float32)
    return from_array(noise)


def _least(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    times = interleaved(runs, TIMING_ROUNDS, TIMING_SECONDS)
    return {name: min(seconds) for name, seconds in times.items()}
