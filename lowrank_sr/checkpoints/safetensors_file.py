"""The safetensors format: eight bytes with the size of the header, the header, the tensors.

The header is JSON and gives each tensor's dtype, shape and place. As specified, the tensors must fill the rest of the
file without a hole or an overlap; checking that also detects an incomplete download. The safetensors package would be
one more dependency for less than a hundred lines, and reads bfloat16 into NumPy only with the help of a third package.
Format: https://github.com/huggingface/safetensors#format
"""

import json
import math
from typing import Any

from lowrank_sr.checkpoints.tensors import DTYPES, BytesOf, Storage, Tensor, contiguous
from lowrank_sr.checkpoints.wrong_files import HALF_A_DOWNLOAD
from lowrank_sr.errors import InputError

_MAX_SPECIFIED_BYTES = 100_000_000
_MAX_HEADER_BYTES = 4 * 2**20  # about 40,000 tensors; parsed JSON takes up to thirty times as much memory

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def recognises(data: memoryview) -> bool:
    """Say whether `data` begins with a header's size and a JSON object."""
    return bytes(data[8:9]) == b"{" and _header_bytes(data) <= _MAX_SPECIFIED_BYTES


def parse(data: memoryview) -> tuple[dict[str, Tensor], BytesOf]:
    """Return a `Tensor` for each name, and a function that gives the bytes of a tensor's storage.

    Raises InputError, naming the tensor, where the header does not describe the rest of the file.
    """
    size = _header_bytes(data)
    if size > len(data) - 8:
        raise InputError(f"claims a header of {size} bytes and holds {len(data) - 8} of them, {HALF_A_DOWNLOAD}")
    if size > _MAX_HEADER_BYTES:
        raise InputError(f"claims a header of {size} bytes, more than the {_MAX_HEADER_BYTES} that are read")
    try:
        header = json.loads(bytes(data[8 : 8 + size]))
    except (ValueError, RecursionError) as error:
        raise InputError("is damaged: its safetensors header is not JSON") from error
    header.pop("__metadata__", None)
    places = {name: _place(name, entry) for name, entry in header.items()}
    _require_no_gaps(places, len(data) - 8 - size)
    tensors = {name: _tensor(name, entry, places[name]) for name, entry in header.items()}
    body = data[8 + size :]
    return tensors, lambda storage: body[slice(*places[storage.key])]


def _header_bytes(data: memoryview) -> int:
    return int.from_bytes(data[:8], "little")


def _place(name: str, entry: object) -> tuple[int, int]:
    """Return where the tensor's bytes begin and end, counted from the end of the header."""
    match entry:
        case {"dtype": str(dtype), "shape": list(), "data_offsets": [int(begin), int(end)]}:
            if dtype in _DTYPES and 0 <= begin <= end < 2**63:
                return begin, end
    raise InputError(f"describes {name[:100]!a} without a dtype that is read, a shape and two offsets")


def _require_no_gaps(places: dict[str, tuple[int, int]], size: int) -> None:
    position = 0
    for name, (begin, end) in sorted(places.items(), key=lambda item: item[1]):
        if begin != position:
            raise InputError(f"puts {name[:100]!a} at byte {begin} of its tensors where {position} comes next")
        position = end
    if position != size:
        reason = f", {HALF_A_DOWNLOAD}" if size < position else ""
        raise InputError(f"describes {position} bytes of tensors and holds {size}{reason}")


def _tensor(name: str, entry: dict[str, Any], place: tuple[int, int]) -> Tensor:
    dtype = _DTYPES[entry["dtype"]]
    size = place[1] - place[0]
    tensor = contiguous(Storage(name, dtype, size // DTYPES[dtype].itemsize), tuple(entry["shape"]))
    if math.prod(tensor.shape) * DTYPES[dtype].itemsize != size:
        raise InputError(f"gives {name[:100]!a} {size} bytes, not what its shape and dtype need")
    return tensor
