"""From a file to arrays: which format, which tensors, which names; and only then the bytes."""

import math
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowrank_sr.checkpoints import pth_legacy, pth_zip, safetensors_file
from lowrank_sr.checkpoints.schemes import rename, unwrap
from lowrank_sr.checkpoints.tensors import Storage, Tensor, read_float32
from lowrank_sr.errors import InputError

# Eight times ESRGAN. A stride of 0 lets a file of a kilobyte claim a tensor of a terabyte.
_MAX_PARAMETERS = 2**27

Reader = Callable[[memoryview], tuple[object, Callable[[Storage], memoryview]]]

_FORMATS: tuple[tuple[Callable[[memoryview], bool], Reader], ...] = (
    # safetensors comes first: its first eight bytes are a number, which can begin like either of the others
    (safetensors_file.recognises, safetensors_file.read),
    (pth_zip.recognises, pth_zip.read),
    (pth_legacy.recognises, pth_legacy.read),
)


@dataclass(frozen=True)
class Checkpoint:
    """The weights of an RRDBNet under the names of the ESRGAN release, and what their file said about them.

    `arrays` maps `conv_first.weight`, `conv_first.bias`, `RRDB_trunk.0.RDB1.conv1.weight`, ...,
    `conv_last.bias`, in the order in which they are applied, to C-contiguous float32: weights (N, C, d, d),
    biases (N,); whether their shapes fit each other is not known here. `scheme` is what the file's own naming is
    called, `dtype` what the file stores ("float16", or "bfloat16 and float32" where it mixes them), `wrapper` the key
    that held the state dict, "" for none.
    """

    arrays: dict[str, np.ndarray]
    scheme: str
    dtype: str
    wrapper: str


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read an ESRGAN generator from a `.pth` (zip or legacy) or `.safetensors` file; its content tells which.

    Raises InputError, naming `path`, where the file cannot be read, is none of these, is damaged, asks for
    anything but tensors, or holds another network.
    """
    try:
        return _read(_map(Path(path)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read(data: memoryview) -> Checkpoint:
    saved, bytes_of = _reader_of(data)(data)
    state, wrapper = unwrap(saved)
    scheme, tensors = rename(state)
    _require_dimensions(tensors)
    if sum(math.prod(tensor.shape) for tensor in tensors.values()) > _MAX_PARAMETERS:
        raise InputError(f"claims more than {_MAX_PARAMETERS} parameters, the largest network that is read")
    arrays = {name: read_float32(name, tensor, bytes_of(tensor.storage)) for name, tensor in tensors.items()}
    dtype = " and ".join(sorted({tensor.storage.dtype for tensor in tensors.values()}))
    return Checkpoint(arrays, scheme, dtype, wrapper)


def _require_dimensions(tensors: dict[str, Tensor]) -> None:
    """Raise InputError, naming the tensor at fault, unless weights have four sizes and biases one, none of them 0."""
    for name, tensor in tensors.items():
        dimensions = 4 if name.endswith(".weight") else 1
        if len(tensor.shape) != dimensions or 0 in tensor.shape:
            raise InputError(f"holds {name} of shape {tensor.shape}, where {dimensions} sizes above 0 were expected")


def _map(path: Path) -> memoryview:
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise InputError("is not a file")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # which mmap refuses
            raise InputError("is empty, where a checkpoint was expected")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _reader_of(data: memoryview) -> Reader:
    for recognises, reader in _FORMATS:
        if recognises(data):
            return reader
    raise InputError(f"is neither a PyTorch checkpoint nor safetensors: it begins with {bytes(data[:16])!r}")
