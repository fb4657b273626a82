"""From a file to arrays: first its format, tensors and names are checked, then the bytes of the tensors are read."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lowrank_sr.checkpoints import ncnn, pth_legacy, pth_zip, safetensors_file
from lowrank_sr.checkpoints.schemes import rename
from lowrank_sr.checkpoints.state_dicts import unwrap
from lowrank_sr.checkpoints.tensors import MOST_PARAMETERS, BytesOf, Tensor, as_float32
from lowrank_sr.checkpoints.wrong_files import mapped, what_it_is
from lowrank_sr.errors import InputError

_Parser = Callable[[memoryview], tuple[object, BytesOf]]

_FORMATS: tuple[tuple[Callable[[memoryview], bool], _Parser], ...] = (
    # safetensors comes first: its first eight bytes are a number, which can begin like either of the others
    (safetensors_file.recognises, safetensors_file.parse),
    (pth_zip.recognises, pth_zip.parse),
    (pth_legacy.recognises, pth_legacy.parse),
)


@dataclass(frozen=True)
class Checkpoint:
    """The weights of an RRDBNet under the names of the ESRGAN release, and how their file stores them.

    `arrays` maps `conv_first.weight`, `conv_first.bias`, `RRDB_trunk.0.RDB1.conv1.weight`, ..., `conv_last.bias`, in
    the order in which the layers are computed, to C-contiguous float32: four sizes for a weight, one for a bias, none
    of them 0. Whether the shapes fit together is not checked here.

    `scheme` is the name of the file's naming scheme, `dtype` the dtype that the file stores ("float16", or "bfloat16
    and float32" where it mixes them), `wrapper` the keys that lead to the state dict, joined by dots, "" for none.
    """

    arrays: dict[str, NDArray[np.float32]]
    scheme: str
    dtype: str
    wrapper: str


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read an ESRGAN generator from a `.pth` (zip or legacy) or `.safetensors` file, told apart by their content.

    Or from an ncnn model: `path` is one of its two files, a `.param` and a `.bin` of the same name beside it.

    Raises InputError, naming `path`, where the file cannot be read, is in another format, is damaged, contains objects
    other than tensors and plain data, or holds another network.
    """
    try:
        files = ncnn.files_of(Path(path))
        if files is not None:
            arrays, dtype = ncnn.read(Path(path), files)
            return Checkpoint(arrays, "ncnn", dtype, "")
        return _parse(Path(path), mapped(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parse(path: Path, data: memoryview) -> Checkpoint:
    try:
        saved, bytes_of = _parser_of(path, data)(data)
    except InputError as error:
        raise InputError(what_it_is(data) or error) from error
    state, wrapper = unwrap(saved)
    scheme, tensors = rename(state)
    _require_sizes(tensors)
    arrays = {name: as_float32(name, tensor, bytes_of(tensor.storage)) for name, tensor in tensors.items()}
    dtype = " and ".join(sorted({tensor.storage.dtype for tensor in tensors.values()}))
    return Checkpoint(arrays, scheme, dtype, wrapper)


def _parser_of(path: Path, data: memoryview) -> _Parser:
    for recognises, parse in _FORMATS:
        if recognises(data):
            return parse
    if ncnn.may_be_weights(path):
        raise ncnn.without_param(path, data)
    raise InputError(f"is neither a PyTorch checkpoint nor safetensors: it begins with {bytes(data[:16])!r}")


def _require_sizes(tensors: Mapping[str, Tensor]) -> None:
    """Raise InputError unless weights have four sizes and biases one, none is 0, and memory can hold them all."""
    for name, tensor in tensors.items():
        dimensions = 4 if name.endswith(".weight") else 1
        if len(tensor.shape) != dimensions or 0 in tensor.shape:
            raise InputError(f"holds {name} of shape {tensor.shape}, where {dimensions} sizes above 0 were expected")
    if sum(math.prod(tensor.shape) for tensor in tensors.values()) > MOST_PARAMETERS:
        raise InputError(f"claims more than {MOST_PARAMETERS} parameters, the largest network that is read")
