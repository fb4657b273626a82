"""The format of `torch.save` before PyTorch 1.6, in which ESRGAN's own weights were released.

Five pickles (a magic number, a protocol version, the system's byte order and sizes, what was saved, the keys
of its storages) and then, for each key in that order, the number of elements as an int64 and the elements.
Format: `_legacy_save` in https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import io
from collections.abc import Callable

from lowrank_sr.checkpoints import unpickle
from lowrank_sr.checkpoints.tensors import DTYPES, Storage
from lowrank_sr.checkpoints.torch_globals import GLOBALS, storage_from_persistent_id
from lowrank_sr.errors import InputError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001


def recognises(data: memoryview) -> bool:
    """Say whether `data` begins as a pickle of protocol 2 or later does."""
    return data[:1] == b"\x80"


def read(data: memoryview) -> tuple[object, Callable[[Storage], memoryview]]:
    """Return what was saved, a `Tensor` for each tensor in it, and a function that gives a storage's bytes.

    Raises InputError where the file is damaged, is another kind of pickle, or asks for anything but tensors.
    """
    dtypes: dict[str, str] = {}

    def persistent_load(persistent_id):
        storage = storage_from_persistent_id(persistent_id)
        if dtypes.setdefault(storage.key, storage.dtype) != storage.dtype:
            raise InputError("holds one storage as elements of two dtypes")
        return storage

    stream = io.BytesIO(data[: unpickle.MAX_BYTES])
    if unpickle.load(stream, GLOBALS, persistent_load) != _MAGIC_NUMBER:
        raise InputError("is a pickle without PyTorch's magic number, so torch.save did not write it")
    if unpickle.load(stream, GLOBALS, persistent_load) != _PROTOCOL_VERSION:
        raise InputError(f"is of another version of PyTorch's legacy format than {_PROTOCOL_VERSION}")
    system = unpickle.load(stream, GLOBALS, persistent_load)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("was not written on a little-endian machine, as it must be to be read")
    saved = unpickle.load(stream, GLOBALS, persistent_load)
    keys = unpickle.load(stream, GLOBALS, persistent_load)
    storages = _locate(data, stream.tell(), keys, dtypes)
    return saved, lambda storage: storages[storage.key]


def _locate(data: memoryview, position: int, keys: object, dtypes: dict[str, str]) -> dict[str, memoryview]:
    if type(keys) is not list or any(type(key) is not str for key in keys) or set(keys) != set(dtypes):
        raise InputError("lists other storages than its tensors refer to")
    storages = {}
    for key in keys:
        numel = int.from_bytes(data[position : position + 8], "little")
        end = position + 8 + numel * DTYPES[dtypes[key]].itemsize
        if end > len(data):
            raise InputError(f"claims a storage that ends at byte {end} in a file of {len(data)} bytes")
        storages[key] = data[position + 8 : end]
        position = end
    return storages
