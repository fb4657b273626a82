"""Weights: a network's layers in a plain `.npz`, never a pickle, or in other people's checkpoints.

`<layer>.<array>` for each array of each layer (see `layers.py`), float16 or float32 on disk and float32 in memory,
and `meta`, a JSON string that says where the weights come from. The architecture is read from the names and shapes,
not from `meta`.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.checkpoints import MOST_PARAMETERS, read_checkpoint
from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.layers import CP, Dense, Layer, Separable, shape_of
from lowrank_sr.network import npz
from lowrank_sr.network.architecture import architecture_of
from lowrank_sr.network.npz import Header
from lowrank_sr.resources import NETWORKS, weights_file

FORMAT = 1
SUFFIX = ".npz"

_MAX_META_BYTES = 2**24

_FORMS = (Dense, Separable, CP)
_FIELDS = {field for form in _FORMS for field in form.AXES}


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Layer], dict[str, Any]]:
    """The layers of a bundled network, or in a weights file (.npz) or a checkpoint (any other suffix), and its `meta`.

    Raises InputError, naming the file and the key, for a file that is neither, for an array that is missing, unknown,
    of a wrong shape or dtype, or not finite, and for layers that are no RRDBNet; as `read_checkpoint` does. No array is
    read before the shapes of all have been found to fit.
    """
    file = weights_file(path)
    if not file.suffix and not os.path.lexists(file):
        raise InputError(f"{path}: no such file, and no bundled network: expected one of {', '.join(NETWORKS)}")
    return _read_archive(file) if _is_weights_file(file) else _read_checkpoint(file)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _is_weights_file(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() == SUFFIX


def _read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Layer], dict[str, Any]]:
    checkpoint = read_checkpoint(path)
    names = "an ncnn model" if checkpoint.scheme == "ncnn" else f"{checkpoint.scheme} names"
    source = f"{Path(path).name}: {names}, {checkpoint.dtype}"
    headers = {key: Header(array.shape, array.dtype) for key, array in checkpoint.arrays.items()}
    with _naming(path):
        layers = _layers(headers, checkpoint.arrays.__getitem__)
    return layers, {"source": source, "scheme": checkpoint.scheme, "dtype": checkpoint.dtype}


def _read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Layer], dict[str, Any]]:
    with _naming(path), npz.opened(path) as archive:
        headers = dict(archive.headers)
        described = headers.pop("meta", None)
        meta = {} if described is None else _meta(described, archive)
        return _layers(headers, archive.read), meta


def _meta(header: Header, archive: npz.Archive) -> dict[str, Any]:
    try:
        if header.shape != () or header.dtype.kind != "U" or header.dtype.itemsize > _MAX_META_BYTES:
            raise ValueError
        meta = json.loads(str(archive.read("meta")[()]))
        if not isinstance(meta, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError("meta is not a JSON object") from None
    return meta


def _layers(headers: Mapping[str, Header], read: Callable[[str], np.ndarray]) -> dict[str, Layer]:
    """Layers by name, float32, from arrays by key, `<layer>.<array>`, in the order of the keys."""
    grouped: dict[str, dict[str, Header]] = {}
    for key, header in headers.items():
        name, _, field = key.rpartition(".")
        if not name or field not in _FIELDS:
            raise InputError(f"{key} is not a key of a weights file")
        if header.dtype not in (np.float16, np.float32, np.float64):
            raise InputError(f"{key} has dtype {header.dtype}: expected float16 or float32")
        grouped.setdefault(name, {})[field] = header
    forms = {name: _form(name, fields) for name, fields in grouped.items()}
    architecture_of({name: _shape(name, forms[name], fields) for name, fields in grouped.items()})
    if sum(math.prod(header.shape) for header in headers.values()) > MOST_PARAMETERS:
        raise InputError(f"claims more than {MOST_PARAMETERS} parameters, the largest network that is read")
    return {
        name: forms[name](**{field: _finite(f"{name}.{field}", read) for field in fields})
        for name, fields in grouped.items()
    }


def _form(name: str, fields: Mapping[str, Header]) -> type[Layer]:
    form = next((form for form in _FORMS if next(iter(form.AXES)) in fields), Dense)
    names = list(form.AXES)
    for field in names:
        if field not in fields:
            raise InputError(f"{name}.{field} is missing")
    for field in fields:
        if field not in names:
            raise InputError(f"{name}.{field} does not belong beside {name}.{names[0]}")
    return form


def _shape(name: str, form: type[Layer], fields: Mapping[str, Header]) -> tuple[int, int, int]:
    try:
        return shape_of(form, {field: header.shape for field, header in fields.items()})
    except InputError as error:
        raise InputError(f"{name}.{error}") from None


def _finite(key: str, read: Callable[[str], np.ndarray]) -> np.ndarray:
    with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes an infinity and is refused as one
        array = np.ascontiguousarray(read(key), np.float32)
    if not np.isfinite(array).all():
        raise InputError(f"{key} contains NaN or infinity")
    return array


def write_weights(
    path: str | os.PathLike[str], layers: Mapping[str, Layer], meta: Mapping[str, Any], dtype: type = np.float32
) -> None:
    """Write `layers` and `meta` to a weights file, the arrays in `dtype`, float16 or float32; a bias is always float32.

    A rounded bias moves every pixel of a map the same way, and float16 would save 0.1% of the file.

    Raises InputError for another dtype, for values beyond its range, where the file cannot be written, and where its
    name does not end in .npz.
    """
    if not _is_weights_file(path):
        raise InputError(f"{path}: expected a name that ends in {SUFFIX}")
    if dtype not in (np.float16, np.float32):
        raise InputError(f"{path}: dtype {dtype}: expected float16 or float32")
    arrays: dict[str, Any] = {}
    for name, layer in layers.items():
        for field, array in layer.arrays().items():
            with np.errstate(over="ignore"):
                stored: np.ndarray = array.astype(np.float32 if field == "bias" else dtype, copy=False)
            if not np.isfinite(stored).all():
                raise InputError(f"{path}: {name}.{field} has values beyond the range of {stored.dtype}: use float32")
            arrays[f"{name}.{field}"] = stored
    with replacing(path) as temporary, temporary.open("wb") as file:  # of a name, savez would make another one
        np.savez(file, meta=np.array(json.dumps({**meta, "format": FORMAT})), **arrays)
