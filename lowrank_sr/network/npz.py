"""NumPy's `.npz` archives, read in two steps: what they claim to hold, then the arrays that were asked for.

An archive of 15 MB can unfold to 15 GB, so nothing is inflated before its key and its size have been looked at.
"""

import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np

from lowrank_sr.checkpoints.wrong_files import mapped, what_it_is
from lowrank_sr.errors import InputError

_DAMAGE = (  # all that NumPy and zipfile raise for files that are no such archive
    ValueError, EOFError, LookupError, MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError, struct.error,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_SINGLE_ARRAY = b"\x93NUMPY"


class Header(NamedTuple):
    """What an array claims to be: its shape and its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Archive:
    """An open archive: `headers` by key, in its order, and the arrays themselves by `read`."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.headers: dict[str, Header] = {}
        for entry in file.infolist():
            key = entry.filename.removesuffix(".npy")
            if key in self.headers or key == entry.filename or entry.compress_type not in _COMPRESSIONS:
                raise ValueError(f"an entry {entry.filename!r}")
            with file.open(entry) as content:
                header = _read_header(content)
                size = content.tell() + int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
            if header.dtype.hasobject or size != entry.file_size:
                raise ValueError(f"{entry.file_size} bytes for {key}")
            self.headers[key] = header

    def read(self, key: str) -> np.ndarray:
        """The array `key`."""
        with self._file.open(f"{key}.npy") as content:
            array: np.ndarray = np.lib.format.read_array(content, allow_pickle=False)
        return array


def _read_header(content: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(content)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(content)
    else:
        raise ValueError(f"version {version}")
    return Header(shape, dtype)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """Open an archive of plain arrays for the block; raises InputError where there is none or it is damaged."""
    try:
        if mapped(path)[: len(_SINGLE_ARRAY)] == _SINGLE_ARRAY:
            raise InputError("a single .npy array: expected an .npz archive of weights")
        with zipfile.ZipFile(path) as archive:
            yield Archive(archive)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("no such file") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        otherwise = "not a weights file: expected an .npz archive of plain arrays"
        raise InputError(what_it_is(mapped(path)) or otherwise) from error
