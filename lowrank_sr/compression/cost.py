"""What a layer costs in one representation or another: FLOPs by the paper's formulas, or seconds on this machine."""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import FLOPS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.threads import limited, thread_count
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network import auto
from lowrank_sr.network.auto import AUTO

Shape = tuple[int, int, int]
Costs = Callable[[Shape, str, Sequence[int]], list[float]]
"""costs(shape, method, ranks): of a dense layer (N, C, d), then of its factors by `method`, at each of the ranks."""


def in_flops(shape: Shape, method: str, ranks: Sequence[int]) -> list[float]:
    """FLOPs for each pixel of the layer's output."""
    return [flops.dense(*shape), *(FLOPS[method](*shape, rank) for rank in ranks)]


def in_seconds(shape: Shape, method: str, ranks: Sequence[int]) -> list[float]:
    """Seconds for each pixel of the layer's output, with the threads in use now; dense by the fastest method."""
    times = _seconds(shape, method, tuple(ranks), thread_count())
    return [each / auto.TIMING_SIDE**2 for each in times]


@cache
def _seconds(shape: Shape, method: str, ranks: tuple[int, ...], threads: int) -> list[float]:
    """The least time of each on `threads` threads, taken in turn on 96 x 96 pixels."""
    rng, side = np.random.default_rng(0), auto.TIMING_SIDE
    x = from_array(rng.standard_normal((side, side, shape[1]), dtype=np.float32))
    out = allocate(side, side, shape[0])
    layers = [random_layer(shape), *(random_layer(shape, method, rank) for rank in ranks)]
    runs = {
        i: partial(convolution(layer, auto.concrete(layer, AUTO)), x, out, Epilogue(layer.bias))
        for i, layer in enumerate(layers)
    }
    with limited(threads):
        return [min(times) for times in interleaved(runs, auto.TIMING_ROUNDS, auto.TIMING_SECONDS).values()]


COSTS: dict[str, Costs] = {"flops": in_flops, "measured": in_seconds}
