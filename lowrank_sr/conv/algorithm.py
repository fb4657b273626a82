"""What an algorithm is: the record that each algorithm's file fills in, `ALGORITHM`, and that everything else reads.

`algorithms.py` lists these records. From them follow the methods that a user can ask for, which of them `auto` times,
what a network needs in memory, and what is counted and shown of a layer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from lowrank_sr.layers import Layer

L = TypeVar("L", bound=Layer)
P = TypeVar("P")


def each_number_once(layer: Layer) -> float:
    """The multiplications of an algorithm that takes the sum as it is written: each number of the kernel, once."""
    return layer.parameters - layer.bias.size


class Call(NamedTuple):
    """A call: `channels` of each map that is read, `height` and `width` of all maps, and the threads, `workers`."""

    channels: tuple[int, ...]
    height: int
    width: int
    workers: int


class Scratch(NamedTuple):
    """Bytes that an algorithm needs besides the maps: `call` until a call returns, `kept` from then on."""

    call: int
    kept: int = 0

    @property
    def total(self) -> int:
        """The most that is held."""
        return self.call + self.kept


def one_after_the_other(calls: Iterable[Scratch]) -> Scratch:
    """What several algorithms need that are called in turn."""
    listed = list(calls)
    return Scratch(max(each.call for each in listed), sum(each.kept for each in listed))


@dataclass(frozen=True, eq=False)
class Algorithm(Generic[L, P]):
    """One way to compute the layers of one form, which must be 3 x 3."""

    name: str
    """The method by which it is asked for."""

    form: type[L]
    """Of the layers that it computes."""

    prepare: Callable[[L, bool], P]
    """prepare(layer, keep_transformed): the layer's arrays as the loops read them.

    `keep_transformed`: what is computed from them in a call may be kept for the next one, though it takes more memory.
    """

    convolve: Callable[[np.ndarray, np.ndarray, P, int], None]
    """convolve(inputs, operands, prepared, workers): the compiled loops, on `workers` threads.

    They read the maps recorded in `inputs` side by side (`feature_map.records`), and write by `operands`
    (`epilogue.operands`).
    """

    scratch: Callable[[L, Call, bool], Scratch]
    """scratch(layer, call, keep_transformed): what a call allocates."""

    multiplications: Callable[[L], float]
    """Those that the loops do for a pixel of the output, but for those of transforms."""

    join: Callable[[Sequence[P]], P] | None = None
    """Where layers of one shape that read one input gain by being computed together: what `convolve` takes for them.

    There are then as many `operands` as layers.
    """


@dataclass(frozen=True, eq=False)
class DenseBlockAlgorithm(Generic[L, P]):
    """One way to compute all layers of a dense block together; each alone would be computed by `of`, to the same bits.

    Layer k reads maps 0 to k and writes map k + 1.
    """

    of: Algorithm[L, P]

    convolve: Callable[[np.ndarray, np.ndarray, Sequence[P], int], None]
    """convolve(inputs, operands, prepared, workers): `inputs` record maps 0 to n - 1, `operands[k]` is of layer k."""

    scratch: Callable[[Sequence[L], Call], Scratch]
    """scratch(layers, call), as that of an algorithm; `call.channels` are those of maps 0 to n - 1."""


AnyAlgorithm = Algorithm[Any, Any]
AnyDenseBlockAlgorithm = DenseBlockAlgorithm[Any, Any]
