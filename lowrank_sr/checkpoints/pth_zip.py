"""The zip format of `torch.save` (PyTorch 1.6 and later), read in place through the memory map.

One pickle, `NAME/data.pkl`, and for each storage an uncompressed record, `NAME/data/KEY`. `zipfile` reads only the
directory: nothing is extracted, and the name of a record is only ever looked up. Checksums are not compared, since
`torch.save` can be told to leave them out. Records that were compressed afterwards are inflated, up to a limit.
Format: https://pytorch.org/docs/stable/notes/serialization.html
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Collection

from lowrank_sr.checkpoints.tensors import BytesOf
from lowrank_sr.checkpoints.torch_globals import GLOBALS, storage_from_persistent_id
from lowrank_sr.checkpoints.unpickle import MAX_BYTES, restricted_load
from lowrank_sr.errors import InputError

_MAX_DIRECTORY_BYTES = 4 * 2**20  # about 40,000 records; zipfile takes ten times as much memory to hold them
_MAX_INFLATED_BYTES = 2**29  # of all records: torch.save never compresses, but a file may have been zipped again

_LOCAL_HEADER_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER_BYTES = 30


def recognises(data: memoryview) -> bool:
    """Say whether `data` begins as a zip file does."""
    return bytes(data[:4]) == _LOCAL_HEADER_MAGIC


def parse(data: memoryview) -> tuple[object, BytesOf]:
    """Return the saved object, with a `Tensor` in place of each tensor, and a function that gives a storage's bytes.

    Raises InputError where the file is damaged, is another kind of zip file, or contains objects other than tensors and
    plain data.
    """
    records = _ZipRecords(data)
    prefix = _prefix(records.names)
    if f"{prefix}constants.pkl" in records.names:
        raise InputError(
            "is a TorchScript program: expected a state dict; with PyTorch, "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE) makes one of it"
        )
    byteorder = f"{prefix}byteorder"  # which PyTorch writes since 2.1
    if byteorder in records.names and bytes(records.bytes_of(byteorder)) != b"little":
        raise InputError("is not a little-endian file, the only kind that is read")
    stream = io.BytesIO(records.bytes_of(f"{prefix}data.pkl")[:MAX_BYTES])
    saved = restricted_load(stream, GLOBALS, storage_from_persistent_id)
    return saved, lambda storage: records.bytes_of(f"{prefix}data/{storage.key}")


def _prefix(names: Collection[str]) -> str:
    """Return what comes before `data.pkl` in the one record that has that name."""
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"is a zip file with a record named {name[:100]!a}, outside its own folder")
    prefixes = [name.removesuffix("data.pkl") for name in names if f"/{name}".endswith("/data.pkl")]
    if len(prefixes) != 1:
        advice = "" if prefixes else "; if it is an archive with the weights in it, unpack it first"
        raise InputError(f"is a zip file with {len(prefixes)} records named data.pkl, not one{advice}")
    return prefixes[0]


class _ZipRecords:
    """The records of the zip file in `data`: their names, and the bytes of each."""

    def __init__(self, data: memoryview) -> None:
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

    def bytes_of(self, name: str) -> memoryview:
        """Return the bytes of a record; raise InputError, naming it, where it is missing or damaged."""
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
        # The directory gives the position of the local header, and only that header its own length.
        header = self._data[max(entry.header_offset, 0) :][:_LOCAL_HEADER_BYTES]
        encrypted = entry.flag_bits & 1
        if len(header) < _LOCAL_HEADER_BYTES or bytes(header[:4]) != _LOCAL_HEADER_MAGIC or encrypted:
            raise InputError(f"is a zip file whose record {entry.filename[:100]!a} is damaged or encrypted")
        name_length, extra_length = struct.unpack_from("<HH", header, 26)
        start = entry.header_offset + _LOCAL_HEADER_BYTES + name_length + extra_length
        record = self._data[start : start + entry.compress_size]
        if len(record) < entry.compress_size:
            raise InputError(f"is a zip file that ends before its record {entry.filename[:100]!a} does")
        return record

    def _inflate(self, entry: zipfile.ZipInfo, compressed: memoryview) -> memoryview:
        remaining_bytes = _MAX_INFLATED_BYTES - sum(map(len, self._inflated.values()))
        if entry.compress_type != zipfile.ZIP_DEFLATED or entry.file_size > remaining_bytes:
            raise InputError(
                f"is a zip file whose record {entry.filename[:100]!a} is compressed, from more than "
                f"{_MAX_INFLATED_BYTES} bytes or not with deflate"
            )
        try:
            # a maximum of 0 would mean none
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(compressed, max(entry.file_size, 1))
        except zlib.error as error:
            raise InputError(f"is a zip file whose record {entry.filename[:100]!a} is damaged") from error
        return memoryview(inflated)


class _BoundedReader:
    """The file as `zipfile` wants it, which reads the whole directory at once, however long the file claims it is."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size} bytes")
        end = len(self._data) if size < 0 else self._position + size
        read = bytes(self._data[self._position : end])
        self._position += len(read)
        return read
