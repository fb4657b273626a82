"""A model of ncnn, which is two files: the layers in NAME.param, their weights in NAME.bin.

realesrgan-ncnn-vulkan and Upscayl run such models, chaiNNer and pnnx (NAME.ncnn.param) write them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lowrank_sr.checkpoints import ncnn_param
from lowrank_sr.checkpoints.ncnn_convolution import read_weights
from lowrank_sr.checkpoints.ncnn_rrdbnet import recognise
from lowrank_sr.checkpoints.wrong_files import mapped, what_it_is
from lowrank_sr.errors import InputError

_PARAM, _BIN = ".param", ".bin"


def files_of(path: Path) -> tuple[Path, Path] | None:
    """NAME.param and NAME.bin where `path` is one of the two and both are there; None where it is no ncnn model.

    A .bin without a .param may be a checkpoint of PyTorch's. Raises InputError for a .param without a .bin.
    """
    suffix = path.suffix.lower()
    if suffix == _PARAM and path.is_file():
        weights = _beside(path, _BIN)
        if weights is None:
            raise InputError(f"has no {path.stem}{_BIN} beside it, where the weights of an ncnn model were expected")
        return path, weights
    if suffix == _BIN:
        layers = _beside(path, _PARAM)
        return None if layers is None else (layers, path)
    return None


def _beside(path: Path, suffix: str) -> Path | None:
    partners = (path.with_suffix(written) for written in (suffix, suffix.upper(), suffix.title()))
    return next((partner for partner in partners if partner.is_file()), None)


def read(path: Path, files: tuple[Path, Path]) -> tuple[dict[str, NDArray[np.float32]], str]:
    """The arrays of the model in `files` under the ESRGAN release's names, in the order of the layers; its dtype.

    The dtype is that of the weights: biases are always stored as float32. Raises InputError, about `path` or naming the
    other file, where the files are damaged, do not belong together, or hold another network than an RRDBNet.
    """
    param, weights = files
    with _opened(param, path) as text:
        network = recognise(ncnn_param.parse(text))
    with _opened(weights, path) as data:
        arrays, dtype = read_weights(network.convolutions, data, param.name)
    if network.pixel_by_pixel > 1:
        arrays["conv_first.weight"] = _channel_by_channel(arrays["conv_first.weight"], network.pixel_by_pixel)
    return arrays, dtype


@contextmanager
def _opened(file: Path, path: Path) -> Iterator[memoryview]:
    """Yield the bytes of `file`; an InputError in the block begins with its name, unless the caller names it as `path`.

    A file of a kind that has nothing to do with ncnn, such as a web page, is called that.
    """
    name = "" if file == path else f"{file.name} "
    try:
        data = mapped(file)
    except InputError as error:
        raise InputError(f"{name}{error}") from error
    except OSError as error:
        raise InputError(f"{name}cannot be read: {error.strerror or error}") from error
    try:
        yield data
    except InputError as error:
        raise InputError(f"{name}{what_it_is(data) or error}") from error


def _channel_by_channel(weight: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Bring the input channels of a kernel into the order in which PyTorch unshuffles an image."""
    n, c, *sides = weight.shape
    pixels = factor**2
    ordered = weight.reshape(n, pixels, c // pixels, *sides).swapaxes(1, 2)
    return np.ascontiguousarray(ordered.reshape(weight.shape))


def may_be_weights(path: Path) -> bool:
    """Say whether a file has the suffix of an ncnn model's weights."""
    return path.suffix.lower() == _BIN


def without_param(path: Path, data: memoryview) -> InputError:
    """What to say of a .bin that is in no other format and has no .param beside it."""
    if ncnn_param.is_binary(data):
        return InputError("is a binary .param of ncnn, without the names of its layers: give the text .param instead")
    return InputError(
        f"is neither a PyTorch checkpoint nor safetensors, and as the weights of an ncnn model it needs "
        f"{path.stem}{_PARAM} beside it"
    )
