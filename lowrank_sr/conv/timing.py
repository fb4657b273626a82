"""How long layers take on this machine: alone, or in the dense block in which they run.

The layers of a dense block that are computed together share work, and the caches. What each of them takes there is its
part of the block's time, in the proportion of the layers' times alone.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap, allocate, from_array
from lowrank_sr.conv.methods import convolution, dense_block_convolution
from lowrank_sr.layers import Layer
from lowrank_sr.machine.timing import interleaved

SIDE = 96  # pixels: so large that a run takes longer than the turns in which a busy machine deals out its cores
SECONDS = 0.4  # of measuring, and no fewer than
ROUNDS = 5


class Contestant(NamedTuple):
    """One layer, or all layers of a dense block from the first on, each with its method.

    `keep_transformed` is as for `methods.convolution`, of a layer alone.
    """

    layers: Sequence[Layer]
    methods: Sequence[str]
    keep_transformed: bool = False


def least_seconds(contestants: Mapping[str, Contestant]) -> dict[str, float]:
    """The least time of each contestant on SIDE x SIDE pixels, with the threads in use now.

    They are taken in turn, so that what else the machine does meets all of them.
    """
    return {name: min(times) for name, times in interleaved(runs(contestants, SIDE), ROUNDS, SECONDS).items()}


def runs(contestants: Mapping[str, Contestant], side: int) -> dict[str, Callable[[], None]]:
    """What computes each contestant on noise of `side` x `side` pixels; all of them use the same maps."""

    @cache
    def source(channels: int) -> FeatureMap:
        return from_array(np.random.default_rng(0).standard_normal((side, side, channels), dtype=np.float32))

    @cache
    def target(k: int, channels: int) -> FeatureMap:
        return allocate(side, side, channels)

    def run(contestant: Contestant) -> Callable[[], None]:
        layers, methods, keep_transformed = contestant
        x, outs = source(layers[0].shape[1]), [target(k, layer.shape[0]) for k, layer in enumerate(layers)]
        epilogues = [Epilogue(layer.bias) for layer in layers]
        if len(layers) == 1:
            return partial(convolution(layers[0], methods[0], keep_transformed), x, outs[0], epilogues[0])
        return partial(dense_block_convolution(layers, methods), x, outs, epilogues)

    return {name: run(contestant) for name, contestant in contestants.items()}


def with_layers(name: str, block: Contestant) -> dict[str, Contestant]:
    """What has to be timed for `seconds_in_block`: the block by its name, and each of its layers alone if several."""
    if len(block.layers) == 1:
        return {name: block}
    alone = (Contestant([layer], [method]) for layer, method in zip(block.layers, block.methods, strict=True))
    return {name: block, **{f"{name}, layer {k}": each for k, each in enumerate(alone)}}


def seconds_in_block(name: str, count: int, times: Mapping[str, float]) -> list[float]:
    """What each of the `count` layers of the block takes in it, from the times of `with_layers`; their sum is its."""
    if count == 1:
        return [times[name]]
    alone = [times[f"{name}, layer {k}"] for k in range(count)]
    return [times[name] * each / sum(alone) for each in alone]
