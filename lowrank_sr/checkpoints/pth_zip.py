"""The zip format of `torch.save` (PyTorch 1.6 and later).

One pickle, `NAME/data.pkl`, and for each storage an uncompressed record, `NAME/data/KEY`. Records are read in place
through the memory map; compressed ones are inflated, within bounds. `zipfile` reads the directory and no more: nothing
is extracted, and a record's name is only ever looked up. Checksums are not compared, since `torch.save` can be told to
leave them out.
Format: https://pytorch.org/docs/stable/notes/serialization.html
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection

from lowrank_sr.checkpoints import unpickle
from lowrank_sr.checkpoints.tensors import Storage
from lowrank_sr.checkpoints.torch_globals import GLOBALS, storage_from_persistent_id
from lowrank_sr.errors import InputError

_MAX_DIRECTORY_BYTES = 4 * 2**20  # 100 a record; zipfile takes ten times as much memory to hold it
_MAX_INFLATED_BYTES = 2**29  # in all: torch.save never compresses, but a file may have been zipped again


def recognises(data: memoryview) -> bool:
    """Say whether `data` begins as a zip file does."""
    return data[:4] == b"PK\x03\x04"


def read(data: memoryview) -> tuple[object, Callable[[Storage], memoryview]]:
    """Return what was saved, a `Tensor` for each tensor in it, and a function that gives a storage's bytes.

    Raises InputError where the file is damaged, is another kind of zip file, or asks for anything but
    tensors.
    """
    records = ZipRecords(data)
    prefix = _prefix(records.names)
    byteorder = f"{prefix}byteorder"  # which PyTorch writes since 2.1
    if byteorder in records.names and records.read(byteorder) != b"little":
        raise InputError("was not written on a little-endian machine, as it must be to be read")
    stream = io.BytesIO(records.read(f"{prefix}data.pkl")[: unpickle.MAX_BYTES])
    saved = unpickle.load(stream, GLOBALS, storage_from_persistent_id)
    return saved, lambda storage: records.read(f"{prefix}data/{storage.key}")


def _prefix(names: Collection[str]) -> str:
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"is a zip file with a record named {name[:100]!a}, outside its own folder")
    prefixes = [name.removesuffix("data.pkl") for name in names if f"/{name}".endswith("/data.pkl")]
    if len(prefixes) != 1:
        raise InputError(f"is a zip file with {len(prefixes)} records named data.pkl, not one")
    return prefixes[0]


class ZipRecords:
    """The records of the zip file in `data`: their names, and the bytes of each."""

    def __init__(self, data: memoryview):
        """Read the directory; raise InputError where it is damaged."""
        try:
            with zipfile.ZipFile(_BoundedReader(data)) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error) as error:
            raise InputError("is a damaged zip file: its directory cannot be read") from error
        self._data = data
        self._inflated: dict[str, memoryview] = {}

    @property
    def names(self) -> Collection[str]:
        """The names of the records, in the order of the directory."""
        return self._entries.keys()

    def read(self, name: str) -> memoryview:
        """Return the bytes of a record; raise InputError, naming it, where they cannot be had."""
        if name not in self._entries:
            raise InputError(f"is a zip file without the record {name[:100]!a} that its pickle refers to")
        entry = self._entries[name]
        compressed = self._compressed(entry)
        if entry.compress_type == zipfile.ZIP_STORED:
            return compressed
        if name not in self._inflated:
            self._inflated[name] = self._inflate(entry, compressed)
        return self._inflated[name]

    def _compressed(self, entry: zipfile.ZipInfo) -> memoryview:
        # The directory says where the local header is; only that says how long it is itself.
        header = self._data[max(entry.header_offset, 0) :][:30]
        if len(header) < 30 or header[:4] != b"PK\x03\x04" or entry.flag_bits & 1:
            raise InputError(f"is a zip file whose record {entry.filename[:100]!a} is damaged or encrypted")
        name_length, extra_length = struct.unpack_from("<HH", header, 26)
        start = entry.header_offset + 30 + name_length + extra_length
        record = self._data[start : start + entry.compress_size]
        if len(record) < entry.compress_size:
            raise InputError(f"is a zip file that ends before its record {entry.filename[:100]!a} does")
        return record

    def _inflate(self, entry: zipfile.ZipInfo, compressed: memoryview) -> memoryview:
        left = _MAX_INFLATED_BYTES - sum(map(len, self._inflated.values()))
        if entry.compress_type != zipfile.ZIP_DEFLATED or entry.file_size > left:
            raise InputError(
                f"is a zip file whose record {entry.filename[:100]!a} is compressed, from more than "
                f"{_MAX_INFLATED_BYTES} bytes or not with deflate"
            )
        try:
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(compressed, entry.file_size or 1)
        except zlib.error as error:
            raise InputError(f"is a zip file whose record {entry.filename[:100]!a} is damaged") from error
        return memoryview(inflated)


class _BoundedReader:
    """The file, for `zipfile`, which reads the directory in one piece of whatever size the file claims."""

    def __init__(self, data: memoryview):
        self._data, self._position = data, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        if start + offset < 0:
            raise OSError("seek before the beginning of the file")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size} bytes")
        end = len(self._data) if size < 0 else self._position + size
        piece = bytes(self._data[self._position : end])
        self._position += len(piece)
        return piece
