"""What a checkpoint says about a tensor before any of its bytes is read, and how those bytes become float32.

Names and shapes are checked on `Tensor` records alone: a file that is not an ESRGAN generator is refused before its
weights are read, and no array is allocated only because a file claims its size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowrank_sr.errors import InputError

# PyTorch's name of each dtype, and the NumPy dtype of its bytes. All three formats are little-endian.
DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),  # NumPy has none: the upper half of a float32
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}
MOST_PARAMETERS = 2**27
"""Of a network that is read: eight times ESRGAN's. With strides of 0 a kilobyte can claim a tensor of a terabyte."""

_FLOATS = ("float64", "float32", "float16", "bfloat16")
_MAX_COUNT = 2**63  # PyTorch counts in int64
_MAX_DIMENSIONS = 64  # PyTorch's limit, and NumPy's


@dataclass(frozen=True, slots=True)
class Storage:
    """`numel` elements, from element `start` on, of the record that the file keeps under `key`."""

    key: str
    dtype: str
    numel: int
    start: int = 0

    def __post_init__(self) -> None:
        """Raise InputError unless `numel` and `start` are counts."""
        _require_counts("storage", (self.numel, self.start))

    @property
    def nbytes(self) -> int:
        """Bytes of the record, from its beginning, that the storage needs."""
        return (self.start + self.numel) * DTYPES[self.dtype].itemsize


BytesOf = Callable[[Storage], memoryview]  # the record that holds a storage


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage, `offset` and `strides` counted in elements; several may share one storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise InputError unless every element lies inside the storage."""
        _require_counts("tensor", (self.offset, *self.shape, *self.strides))
        if len(self.shape) != len(self.strides):
            raise InputError(f"holds a tensor of {len(self.shape)} sizes and {len(self.strides)} strides")
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= self.storage.numel:
            raise InputError(
                f"reaches for element {last} of {self.storage.numel} in storage {self.storage.key[:100]!a}"
            )


def contiguous(storage: Storage, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor of `shape` at the start of `storage`, in C order; raise InputError where it does not fit."""
    _require_counts("tensor", shape)
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return Tensor(storage, 0, shape, strides)


def as_float32(name: str, tensor: Tensor, data: memoryview) -> NDArray[np.float32]:
    """Return the elements of `tensor`, of which there is at least one, as a new C-contiguous float32 array.

    `data` is the record that holds its storage. Raises InputError, naming the tensor by `name`, where its dtype is no
    floating-point one or `data` is shorter than the storage.
    """
    storage = tensor.storage
    if storage.dtype not in _FLOATS:
        raise InputError(f"holds {name} as {storage.dtype}, where one of {', '.join(_FLOATS)} was expected")
    if storage.nbytes > len(data):
        raise InputError(f"claims {storage.nbytes} bytes for the storage of {name} and holds {len(data)} of them")
    dtype = DTYPES[storage.dtype]
    stored: NDArray[Any] = np.ndarray(
        tensor.shape,
        dtype,
        buffer=data,
        offset=(storage.start + tensor.offset) * dtype.itemsize,
        strides=[stride * dtype.itemsize for stride in tensor.strides],
    )
    if storage.dtype == "bfloat16":
        bits = np.array(stored, np.uint32, order="C")
        bits <<= 16
        return bits.view(np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and the network refuses that
        return np.array(stored, np.float32, order="C")


def _require_counts(what: str, counts: tuple[object, ...]) -> None:
    """Raise InputError unless `counts`, which a file may give any type, are integers from 0 to 2^63 - 1."""
    if len(counts) > 2 * _MAX_DIMENSIONS + 1:
        raise InputError(f"describes a {what} of more than {_MAX_DIMENSIONS} dimensions")
    for count in counts:
        if type(count) is not int or not 0 <= count < _MAX_COUNT:
            raise InputError(f"describes a {what} by a size, an offset or a stride that is not a count")
