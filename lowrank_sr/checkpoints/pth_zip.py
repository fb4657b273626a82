"""The zip format of `torch.save` (PyTorch 1.6 and later).

One pickle, `NAME/data.pkl`, and for each storage an uncompressed record, `NAME/data/KEY`.
Format: https://pytorch.org/docs/stable/notes/serialization.html
"""

import io
from collections.abc import Callable, Collection

from lowrank_sr.checkpoints import unpickle
from lowrank_sr.checkpoints.tensors import Storage
from lowrank_sr.checkpoints.torch_globals import GLOBALS, storage_from_persistent_id
from lowrank_sr.checkpoints.zip_records import ZipRecords
from lowrank_sr.errors import InputError


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
