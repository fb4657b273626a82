"""Weights: a network's layers in a plain `.npz`, never a pickle, or in other people's checkpoints.

`<layer>.<array>` for each array of each layer (see `layers.py`), float16 or float32 on disk and float32 in memory,
and `meta`, a JSON string that says where the weights come from. The architecture is read from the names and shapes,
not from `meta`.
"""

import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.checkpoints import read_checkpoint
from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.layers import CP, Dense, Layer, Separable

FORMAT = 1

_DAMAGE = (  # all that NumPy and zipfile raise for files that are no such archive
    ValueError, EOFError, KeyError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip

_FORMS = (Dense, Separable, CP)
_FIELDS = {field for form in _FORMS for field in form.AXES}


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Layer], dict[str, Any]]:
    """The layers in a weights file (.npz) or a checkpoint (any other suffix), by name, and its `meta`.

    Raises InputError, naming the file and the key, for a file that is neither and for an array that is missing,
    unknown, of a wrong shape or dtype, or not finite; as `read_checkpoint` does.
    """
    arrays, meta = _read_archive(path) if Path(path).suffix == ".npz" else _read_checkpoint(path)
    try:
        return _layers(arrays), meta
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    checkpoint = read_checkpoint(path)
    source = f"{Path(path).name}: {checkpoint.scheme} names, {checkpoint.dtype}"
    return checkpoint.arrays, {"source": source, "scheme": checkpoint.scheme, "dtype": checkpoint.dtype}


def _read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: a single .npy array: expected an .npz archive of weights")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise InputError(f"{path}: not a weights file: expected an .npz archive of plain arrays") from error
    return arrays, _meta(path, arrays.pop("meta", None))


def _meta(path: str | os.PathLike[str], array: np.ndarray | None) -> dict[str, Any]:
    if array is None:
        return {}
    try:
        meta = json.loads(str(array[()]))
        if not isinstance(meta, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError(f"{path}: meta is not a JSON object") from None
    return meta


def _layers(arrays: Mapping[str, np.ndarray]) -> dict[str, Layer]:
    """Layers by name from arrays by key, `<layer>.<array>`, in the order of the keys, float32."""
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        name, _, field = key.rpartition(".")
        if not name or field not in _FIELDS:
            raise InputError(f"{key} is not a key of a weights file")
        grouped.setdefault(name, {})[field] = _checked(key, array)
    return {name: _layer(name, parts) for name, parts in grouped.items()}


def _checked(key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise InputError(f"{key} has dtype {array.dtype}: expected float16 or float32")
    with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes an infinity and is refused as one
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{key} contains NaN or infinity")
    return array


def _layer(name: str, parts: dict[str, np.ndarray]) -> Layer:
    form = next((form for form in _FORMS if next(iter(form.AXES)) in parts), Dense)
    names = list(form.AXES)
    for field in names:
        if field not in parts:
            raise InputError(f"{name}.{field} is missing")
    for field in parts:
        if field not in names:
            raise InputError(f"{name}.{field} does not belong beside {name}.{names[0]}")
    try:
        return form(**parts)
    except InputError as error:
        raise InputError(f"{name}.{error}") from None


def write_weights(
    path: str | os.PathLike[str], layers: Mapping[str, Layer], meta: Mapping[str, Any], dtype: type = np.float32
) -> None:
    """Write `layers` and `meta` to a weights file, the arrays in `dtype`, float16 or float32.

    Raises InputError where the file cannot be written or its name does not end in .npz.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"{path}: expected a name that ends in .npz")
    arrays: dict[str, Any] = {}
    for name, layer in layers.items():
        for field, array in layer.arrays().items():
            with np.errstate(over="ignore"):
                stored: np.ndarray = array.astype(dtype, copy=False)
            if not np.isfinite(stored).all():
                raise InputError(f"{path}: {name}.{field} has values beyond the range of {stored.dtype}: use float32")
            arrays[f"{name}.{field}"] = stored
    with replacing(path) as temporary:
        np.savez(temporary, meta=np.array(json.dumps({**meta, "format": FORMAT})), **arrays)
