"""How long layers take on this machine: alone, or in the dense block in which they run.

The layers of a dense block that are computed together share work, and the caches. What each of them takes there is its
part of the block's time, in the proportion of the layers' times alone. (What the block takes longer with a layer than
without it would need no such rule; but it is a small difference of large times, on a busy machine mostly noise.)
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, dense_block_convolution
from lowrank_sr.layers import Layer
from lowrank_sr.machine.timing import interleaved

SIDE = 96  # pixels: so large that a run takes longer than the turns in which a busy machine deals out its cores
SECONDS = 0.4  # of measuring, and no fewer than
ROUNDS = 5


class Candidate(NamedTuple):
    """Layers, each with its method: one alone, or those of a dense block from the first on."""

    layers: Sequence[Layer]
    methods: Sequence[str]


def least_seconds(candidates: Mapping[str, Candidate]) -> dict[str, float]:
    """The least time of each candidate on SIDE x SIDE pixels, with the threads in use now.

    They are taken in turn, so that what else the machine does meets all of them.
    """
    runs = {name: run(candidate, SIDE) for name, candidate in candidates.items()}
    return {name: min(times) for name, times in interleaved(runs, ROUNDS, SECONDS).items()}


def run(candidate: Candidate, side: int) -> Callable[[], None]:
    """What computes the candidate on noise of `side` x `side` pixels."""
    layers, methods = candidate
    noise = np.random.default_rng(0).standard_normal((side, side, layers[0].shape[1]), dtype=np.float32)
    x = from_array(noise)
    outs = [allocate(side, side, layer.shape[0]) for layer in layers]
    epilogues = [Epilogue(layer.bias) for layer in layers]
    if len(layers) == 1:
        return partial(convolution(layers[0], methods[0], keep_transformed=False), x, outs[0], epilogues[0])
    return partial(dense_block_convolution(layers, methods), x, outs, epilogues)


def with_layers(name: str, block: Candidate) -> dict[str, Candidate]:
    """What has to be timed for `seconds_in_block`: the block by its name, and each of its layers alone if several."""
    if len(block.layers) == 1:
        return {name: block}
    alone = (Candidate([layer], [method]) for layer, method in zip(*block, strict=True))
    return {name: block, **{f"{name}, layer {k}": each for k, each in enumerate(alone)}}


def seconds_in_block(name: str, count: int, times: Mapping[str, float]) -> list[float]:
    """What each of the `count` layers of the block takes in it, from the times of `with_layers`; their sum is its."""
    if count == 1:
        return [times[name]]
    alone = [times[f"{name}, layer {k}"] for k in range(count)]
    return [times[name] * each / sum(alone) for each in alone]
