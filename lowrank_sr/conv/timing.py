"""How long layers take on this machine: alone, or in the dense block in which they run.

The layers of a dense block that are computed together share work, and the caches. What layer k takes there is what the
block of layers 0 to k takes longer than that of layers 0 to k - 1. Added up, these times are that of the block.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
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


def least_seconds(candidates: Mapping[str, Candidate], rounds: int = ROUNDS) -> dict[str, float]:
    """The least time of each candidate on SIDE x SIDE pixels, with the threads in use now.

    They are taken in turn, so that what else the machine does meets all of them.
    """
    runs = {name: run(candidate, SIDE) for name, candidate in candidates.items()}
    return {name: min(times) for name, times in interleaved(runs, rounds, SECONDS).items()}


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


def prefixes(block: Candidate) -> list[Candidate]:
    """The blocks of its first layers: one layer, two, and so on to all."""
    return [Candidate(block.layers[: k + 1], block.methods[: k + 1]) for k in range(len(block.layers))]


def seconds_in_block(of_prefixes: Sequence[float]) -> list[float]:
    """What each layer takes in its block, from the times of `prefixes`; not less than 0, whatever the clock says."""
    return [max(0.0, after - before) for before, after in pairwise([0.0, *of_prefixes])]
