"""Files without weights, or with weights that are not read: what each is by its first bytes, and what to do about it.

To name another kind of file, add a row to `_KINDS`.
"""

import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

from lowrank_sr.errors import InputError

HALF_A_DOWNLOAD = "as half a download does: download it again"

_HEAD_BYTES = 4096
_MOST_END_BYTES = 22 + 2**16  # the end of a zip file's directory, and the longest comment after it


def mapped(path: str | os.PathLike[str]) -> memoryview:
    """Return the bytes of the file, which are read as they are needed.

    Raises InputError where it is a folder, a named pipe or the like, or empty, and OSError where it cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is not a file but a folder: expected a network's weights; name the file in it that has them")
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise InputError("is not a file: expected a network's weights")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # mmap refuses an empty file
            raise InputError("is empty: expected a network's weights; download or copy the file again")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def what_it_is(data: memoryview) -> str | None:
    """Return what a file that could not be read is and what to do about it, or None where it is none of these kinds."""
    for recognises, kind, advice in _KINDS:
        if recognises(data):
            return f"is {kind}: expected a network's weights; {advice}"
    return None


def _begins(pattern: bytes) -> Callable[[memoryview], bool]:
    """Return a function that says whether a file begins with this regular expression, in which a dot is any byte."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda data: compiled.match(data[:_HEAD_BYTES]) is not None


def _is_zip_without_end(data: memoryview) -> bool:
    return bytes(data[:4]) == b"PK\x03\x04" and b"PK\x05\x06" not in bytes(data[-_MOST_END_BYTES:])


_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2}  # of ModelProto, and how protobuf encodes each
_ONNX_IR_VERSION, _ONNX_GRAPH = 1, 7


def _is_onnx(data: memoryview) -> bool:
    """Whether these are fields of ONNX's ModelProto: first ir_version, some others, and the graph.

    Format: https://protobuf.dev/programming-guides/encoding and https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    """
    head, position = bytes(data[:_HEAD_BYTES]), 0
    while position < len(head):
        tag = head[position]
        field, encoding = tag >> 3, tag & 7
        if _ONNX_FIELDS.get(field) != encoding or (position == 0 and field != _ONNX_IR_VERSION):
            return False
        if field == _ONNX_GRAPH:
            return True
        value, position = _varint(head, position + 1)
        position += value if encoding == 2 else 0
    return False


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number that is at `position`, seven bits a byte, the lowest first, and the position after it."""
    value = shift = 0
    for byte in data[position : position + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:
            break
    return value, position


_ITS_LINK = 'download the file itself, by the link on that page that says "download" or "raw"'
_HALF = "it may be half a download: download it again"
_AGAIN = "check the address that you downloaded it from"
_LFS = "run `git lfs pull` in its repository, or download the file itself"
_PYTORCH = "take a PyTorch checkpoint of the network (.pth or .safetensors)"
_UNPACK = "unpack it first"
_BESIDE = "the weights are in another file (.pth, .safetensors or .npz)"
_SWAPPED = "check that you have not exchanged the picture and the weights"
_TEXT = rb"(?:\xef\xbb\xbf)?\s*"
_HTML = _TEXT + rb"(?:<\?xml[^>]*>\s*)?<(?i:!doctype\s+html|html|head)\b"

# How a file is recognised, what it is, and what to do. They are asked in this order.
_KINDS: tuple[tuple[Callable[[memoryview], bool], str, str], ...] = (
    (_is_zip_without_end, "a zip file that breaks off", _HALF),
    (_begins(_HTML), "a web page (HTML)", _ITS_LINK),
    (_begins(rb"(?:404: )?Not Found|Entry not found"), "a server's answer that there is no such file", _AGAIN),
    (_begins(rb"version https://git-lfs"), "a Git LFS pointer", _LFS),
    (_is_onnx, "an ONNX model", _PYTORCH),
    (_begins(rb"\x89HDF\r\n\x1a\n"), "an HDF5 file, as Keras and TensorFlow write", _PYTORCH),
    (_begins(rb"GGUF"), "a GGUF file", _PYTORCH),
    (_begins(rb"\x1f\x8b\x08"), "a gzip archive", _UNPACK),
    (_begins(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive", _UNPACK),
    (_begins(rb"Rar!\x1a\x07"), "a RAR archive", _UNPACK),
    (_begins(rb"\xfd7zXZ\x00"), "an xz archive", _UNPACK),
    (_begins(rb"BZh[1-9]1AY&SY"), "a bzip2 archive", _UNPACK),
    (_begins(rb"\x28\xb5\x2f\xfd"), "a zstd archive", _UNPACK),
    (_begins(rb".{257}ustar"), "a tar archive", _UNPACK),
    (_begins(rb"\x89PNG\r\n\x1a\n"), "a PNG picture", _SWAPPED),
    (_begins(rb"\xff\xd8\xff"), "a JPEG picture", _SWAPPED),
    (_begins(_TEXT + rb"<[?!a-zA-Z]"), "an XML text", _BESIDE),
    (_begins(_TEXT + rb'(?:\{\s*["}]|\[\s*["{\[\]\d-])'), "a JSON text", _BESIDE),
)
