"""The format of `torch.save` before PyTorch 1.6, in which ESRGAN's authors released their weights.

Five pickles (a magic number, a protocol version, the system's byte order and sizes, the saved object, the keys of its
storages); then, for each key in that order, the number of elements as an int64 and the elements.
Format: `_legacy_save` in https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import io

from lowrank_sr.checkpoints.tensors import DTYPES, BytesOf, Storage
from lowrank_sr.checkpoints.torch_globals import GLOBALS, storage_from_persistent_id
from lowrank_sr.checkpoints.unpickle import MAX_BYTES, restricted_load
from lowrank_sr.checkpoints.wrong_files import HALF_A_DOWNLOAD
from lowrank_sr.errors import InputError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001


def recognises(data: memoryview) -> bool:
    """Say whether `data` begins as a pickle of protocol 2 or later does."""
    return bytes(data[:1]) == b"\x80"


def parse(data: memoryview) -> tuple[object, BytesOf]:
    """Return the saved object, with a `Tensor` in place of each tensor, and a function that gives a storage's bytes.

    Raises InputError where the file is damaged, is another kind of pickle, or contains objects other than tensors and
    plain data.
    """
    storages: dict[str, Storage] = {}

    def persistent_load(persistent_id: object) -> Storage:
        storage = storage_from_persistent_id(persistent_id)
        if storages.setdefault(storage.key, storage).dtype != storage.dtype:
            raise InputError("holds one storage as elements of two dtypes")
        return storage

    stream = io.BytesIO(data[:MAX_BYTES])
    if restricted_load(stream, GLOBALS, persistent_load) != _MAGIC_NUMBER:
        raise InputError("is a pickle without PyTorch's magic number, so torch.save did not write it")
    if restricted_load(stream, GLOBALS, persistent_load) != _PROTOCOL_VERSION:
        raise InputError(f"is of another version of PyTorch's legacy format than {_PROTOCOL_VERSION}")
    system = restricted_load(stream, GLOBALS, persistent_load)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("is not a little-endian file, the only kind that is read")
    saved = restricted_load(stream, GLOBALS, persistent_load)
    keys = restricted_load(stream, GLOBALS, persistent_load)
    records = _locate(data, stream.tell(), keys, storages)
    return saved, lambda storage: records[storage.key]


def _locate(data: memoryview, position: int, keys: object, storages: dict[str, Storage]) -> dict[str, memoryview]:
    """Return the elements of each storage by key; the first record begins at `position`."""
    if type(keys) is not list or any(type(key) is not str for key in keys) or set(keys) != set(storages):
        raise InputError("lists other storages than its tensors refer to")
    needed = position + sum(8 + storage.nbytes for storage in storages.values())
    records = {}
    for key in keys:
        start = position + 8
        numel = int.from_bytes(data[position:start], "little")
        end = start + numel * DTYPES[storages[key].dtype].itemsize
        if end > len(data) and (numel == storages[key].numel or start > len(data)):
            raise InputError(f"holds {len(data)} of the {needed} bytes that its tensors need, {HALF_A_DOWNLOAD}")
        if end > len(data):
            raise InputError(f"claims a storage that ends at byte {end} in a file of {len(data)} bytes")
        records[key] = data[start:end]
        position = end
    return records
