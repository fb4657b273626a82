"""Weights files: a network's layers in a plain `.npz`, never a pickle.

`<layer>.<array>` for each array of each layer (see `layers.py`), float16 or float32 on disk and float32 in memory,
and `meta`, a JSON string that says where the weights come from. The architecture follows from the names and shapes,
not from `meta`.
"""

import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.layers import CP, Dense, Layer, Separable

FORMAT_VERSION = 1

_ARCHIVE_ERRORS = (  # all that NumPy and zipfile raise for files that are no such archive
    ValueError, EOFError, KeyError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip

_DIMENSIONS = {
    "weight": 4, "vertical": 3, "horizontal": 3, "cp_in": 2, "cp_y": 2, "cp_x": 2, "cp_out": 2, "bias": 1,
}  # fmt: skip

# The arrays of each class of layer; the first of them tells the classes apart.
_ARRAY_NAMES: dict[type[Layer], list[str]] = {
    layer_class: [field.name for field in fields(layer_class)] for layer_class in (Dense, Separable, CP)
}


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Layer], dict[str, Any]]:
    """The layers of a weights file by name, float32, and its `meta`.

    Raises InputError, naming the file and the key, for a file that is not such an archive and for an array that is
    missing, unknown, of a wrong shape or dtype, or not finite.
    """
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
    except _ARCHIVE_ERRORS as error:
        raise InputError(f"{path}: not a weights file: expected an .npz archive of plain arrays") from error
    try:
        meta = _parse_meta(arrays.pop("meta", None))
        return layers_from_arrays(arrays), meta
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _parse_meta(array: NDArray[Any] | None) -> dict[str, Any]:
    if array is None:
        return {}
    try:
        meta = json.loads(str(array[()]))
        if not isinstance(meta, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError("meta is not a JSON object") from None
    return meta


def layers_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Layer]:
    """Layers by name from arrays by key, `<layer>.<array>`, in the order of the keys, float32.

    Raises InputError, naming the key, for an array that is missing, unknown, of a wrong shape or dtype, or not finite.
    """
    arrays_by_layer: dict[str, dict[str, NDArray[np.float32]]] = {}
    for key, array in arrays.items():
        layer_name, _, array_name = key.rpartition(".")
        if not layer_name or array_name not in _DIMENSIONS:
            raise InputError(f"{key} is not a key of a weights file")
        arrays_by_layer.setdefault(layer_name, {})[array_name] = _as_float32(key, array, _DIMENSIONS[array_name])
    return {name: _layer_from_arrays(name, parts) for name, parts in arrays_by_layer.items()}


def _as_float32(key: str, array: NDArray[Any], dimensions: int) -> NDArray[np.float32]:
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise InputError(f"{key} has dtype {array.dtype}: expected float16 or float32")
    if array.ndim != dimensions or 0 in array.shape:
        raise InputError(f"{key} has shape {array.shape}: expected {dimensions} dimensions, none empty")
    with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes an infinity and is refused as one
        converted = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(converted).all():
        raise InputError(f"{key} contains NaN or infinity")
    return converted


def _layer_from_arrays(name: str, arrays: Mapping[str, NDArray[np.float32]]) -> Layer:
    layer_class, array_names = next(
        (entry for entry in _ARRAY_NAMES.items() if entry[1][0] in arrays), (Dense, _ARRAY_NAMES[Dense])
    )
    for array_name in array_names:
        if array_name not in arrays:
            raise InputError(f"{name}.{array_name} is missing")
    for array_name in arrays:
        if array_name not in array_names:
            raise InputError(f"{name}.{array_name} does not belong beside {name}.{array_names[0]}")
    layer = layer_class(**arrays)
    _require_shapes_that_fit(name, layer)
    return layer


def _require_shapes_that_fit(name: str, layer: Layer) -> None:
    """Raise InputError, naming the key, unless the arrays of `layer` have the shapes that its (N, C, d) asks for."""
    n, c, d = layer.shape
    rank = layer.rank
    expected = {
        "weight": (n, c, d, d), "vertical": (rank, c, d), "horizontal": (n, rank, d), "bias": (n,),
        "cp_in": (c, rank), "cp_y": (d, rank), "cp_x": (d, rank), "cp_out": (n, rank),
    }  # fmt: skip
    for array_name, array in layer.arrays().items():
        if array.shape != expected[array_name]:
            raise InputError(f"{name}.{array_name} has shape {array.shape}: expected {expected[array_name]}")


def write_weights(
    path: str | os.PathLike[str],
    layers: Mapping[str, Layer],
    meta: Mapping[str, Any],
    dtype: type[np.floating[Any]] = np.float32,
) -> None:
    """Write `layers` and `meta` to a weights file, the arrays in `dtype`, float16 or float32.

    Raises InputError where the file cannot be written, its name does not end in .npz, or a value is beyond the range of
    `dtype`.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"{path}: expected a name that ends in .npz")
    arrays: dict[str, Any] = {"meta": np.array(json.dumps({**meta, "format": FORMAT_VERSION}))}
    for name, layer in layers.items():
        for array_name, array in layer.arrays().items():
            with np.errstate(over="ignore"):
                stored = np.asarray(array, dtype)
            if not np.isfinite(stored).all():
                raise InputError(
                    f"{path}: {name}.{array_name} has values beyond the range of {stored.dtype}: use float32"
                )
            arrays[f"{name}.{array_name}"] = stored
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)
