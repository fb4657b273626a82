"""`auto`: for every layer shape the method that is fastest on this machine, measured once and remembered.

The layers of a dense block may be faster together than alone (`conv/dense_block.py`). Where another method is faster
for some of them alone, the block is measured both ways.

The figures lie in the user's cache folder, in a file for each processor model, thread count, version of Numba and state
of the kernels' sources.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numba

from lowrank_sr.conv.algorithms import DENSE_BLOCK_ALGORITHMS, METHODS, algorithm_of, algorithms_of
from lowrank_sr.conv.timing import Contestant, least_seconds
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, Layer, random_layer
from lowrank_sr.machine.compiled import kernels_digest
from lowrank_sr.machine.cpu import LANES, cpu_model
from lowrank_sr.machine.remembered import remembered
from lowrank_sr.machine.threads import thread_count

AUTO = "auto"


def check_method(method: str, source: str = "method") -> None:
    """Raise InputError, blaming `source`, for a method that does not exist."""
    if method not in (AUTO, *METHODS):
        raise InputError(f"{source} {method!r}: expected one of {', '.join((AUTO, *METHODS))}")


def concrete(layer: Layer, method: str) -> str:
    """The method by which `layer` is computed where `method`, "auto" included, is asked for.

    For a dense layer "auto" is the fastest of all on this machine. A pair goes by F(6, 3), which is the faster at every
    shape of ESRGAN: to time all ranks of a network would take minutes.
    """
    if method == AUTO:
        method = fastest(layer.shape) if isinstance(layer, Dense) else "winograd"
    return algorithm_of(layer, method).name


def fastest(shape: tuple[int, int, int]) -> str:
    """The name of the method that takes the least time for a layer of `shape`, (N, C, d)."""
    times = seconds_by_method(shape)
    return min(times, key=lambda method: times[method])


def seconds_by_method(shape: tuple[int, int, int]) -> dict[str, float]:
    """Seconds by method for a layer of `shape`, (N, C, d), on 96 x 96 pixels with the threads in use now."""
    methods = [each.name for each in algorithms_of(Dense)]
    return _remembered(" ".join(map(str, shape)), methods, partial(_measure, shape, methods))


def of_dense_block(layers: Sequence[Layer], method: str) -> list[str]:
    """The methods by which the layers of a dense block are computed where `method`, "auto" included, is asked for.

    For "auto" that is a single method that computes the block as one operator, where that is faster than each by its
    own.
    """
    alone = [concrete(layer, method) for layer in layers]
    choices = {"alone": alone}
    for algorithm in (each.of for each in DENSE_BLOCK_ALGORITHMS):
        if all(isinstance(layer, algorithm.form) for layer in layers):
            choices[f"together by {algorithm.name}"] = [algorithm.name] * len(layers)
    if method != AUTO or len(choices) == 1 or list(choices.values()).count(alone) > 1:
        return alone
    key = "dense block of " + ", ".join(_kind(layer) for layer in layers)
    times = _remembered(key, choices.keys(), partial(_measure_dense_block, layers, choices))
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


def _kind(layer: Layer) -> str:
    """What the time of a layer depends on."""
    shape = " ".join(map(str, layer.shape))
    return shape if layer.rank is None else f"{shape} {type(layer).__name__} of rank {layer.rank}"


def _measure(shape: tuple[int, int, int], methods: Sequence[str]) -> dict[str, float]:
    """The seconds of a dense layer by each of `methods`."""
    layer = random_layer(shape)
    return least_seconds({method: Contestant([layer], [method]) for method in methods})


def _measure_dense_block(layers: Sequence[Layer], choices: Mapping[str, list[str]]) -> dict[str, float]:
    """The seconds of a dense block by each of `choices`, the methods of its layers."""
    return least_seconds({name: Contestant(layers, methods) for name, methods in choices.items()})
