"""The table of algorithms, a line each: what is imported here is what there is."""
# ruff: noqa: F401

from collections.abc import Sequence

from lowrank_sr.conv import bias_alone
from lowrank_sr.conv.algorithm import Algorithm, AnyAlgorithm, AnyDenseBlockAlgorithm, DenseBlockAlgorithm
from lowrank_sr.conv.cp import ALGORITHM as _CP
from lowrank_sr.conv.dense_block import ALGORITHM as _DENSE_BLOCK
from lowrank_sr.conv.direct import ALGORITHM as _DIRECT
from lowrank_sr.conv.im2col import ALGORITHM as _IM2COL
from lowrank_sr.conv.kn2row import ALGORITHM as _KN2ROW
from lowrank_sr.conv.separable import ALGORITHM as _SEPARABLE
from lowrank_sr.conv.separable_dense_block import ALGORITHM as _SEPARABLE_DENSE_BLOCK
from lowrank_sr.conv.separable_winograd import ALGORITHM as _SEPARABLE_WINOGRAD
from lowrank_sr.conv.winograd import ALGORITHM as _WINOGRAD
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Layer

ALGORITHMS: tuple[AnyAlgorithm, ...] = tuple(each for each in vars().copy().values() if isinstance(each, Algorithm))
DENSE_BLOCK_ALGORITHMS: tuple[AnyDenseBlockAlgorithm, ...] = tuple(
    each for each in vars().copy().values() if isinstance(each, DenseBlockAlgorithm)
)
METHODS = tuple(sorted({each.name for each in ALGORITHMS}))


def algorithms_of(form: type[Layer]) -> list[AnyAlgorithm]:
    """The algorithms for layers of a form; one of them is called "direct"."""
    return [each for each in ALGORITHMS if each.form is form]


def algorithm_of(layer: Layer, method: str) -> AnyAlgorithm:
    """The algorithm that computes `layer` by `method`, or directly where its form has none of that name.

    Layers of rank 0 have one for all methods. Raises InputError for a name that no form has.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    if layer.rank == 0:
        return bias_alone.BY_FORM[type(layer)]
    by_name = {each.name: each for each in algorithms_of(type(layer))}
    return by_name.get(method, by_name["direct"])


def dense_block_algorithm_of(algorithms: Sequence[AnyAlgorithm]) -> AnyDenseBlockAlgorithm | None:
    """What computes a dense block's layers, each of which would go by one of `algorithms`, together, if anything."""
    return next((each for each in DENSE_BLOCK_ALGORITHMS if set(algorithms) == {each.of}), None)


def multiplications(layer: Layer, method: str) -> float:
    """Those that `layer` takes for a pixel of its output by `method`, but for those of transforms."""
    return algorithm_of(layer, method).multiplications(layer)
