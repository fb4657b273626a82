"""The convolutions of an ncnn model: the shape of each by its options, and its weights in the `.bin`.

A `.bin` holds, for each layer in the order of the text, a tag of four bytes, which says how the weights are stored, the
weights, padded to four bytes, and the biases as float32. There is no directory: where a layer's weights begin follows
from the sizes of all before it, and the last one has to end where the file does.
Format: `src/layer/convolution.cpp` and `src/modelbin.cpp` in https://github.com/Tencent/ncnn
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lowrank_sr.checkpoints.ncnn_param import Layer
from lowrank_sr.checkpoints.tensors import DTYPES, MOST_PARAMETERS, Storage, as_float32, contiguous
from lowrank_sr.errors import InputError

_KERNEL_SIZE = 3
_SAME = ((-233,) * 4, (-234,) * 4)  # as much padding as keeps the size, which here is 1

_TAGS = {0: "float32", 0x0002C056: "float32", 0x01306B47: "float16"}
_INT8 = 0x000D4B38
_TAG_BYTES = 4
_BIAS = DTYPES["float32"]


def shape_of(layer: Layer) -> tuple[int, int, int, int]:
    """(N, C, 3, 3) of a convolution; raises InputError for one of another form than all in an RRDBNet have."""
    _require_form(layer)
    n, size = layer.integer(0, 0), layer.integer(6, 0)
    if n < 1 or size < 1 or size % (n * _KERNEL_SIZE**2):
        raise InputError(f"gives {layer} {size} weights for {n} channels, where a multiple of 9 for each was expected")
    return n, size // (n * _KERNEL_SIZE**2), _KERNEL_SIZE, _KERNEL_SIZE


def _require_form(layer: Layer) -> None:
    """Raise InputError unless the convolution is 3 x 3 with stride 1, zeros around its map, all channels to all."""
    left = layer.integer(4, 0)
    top = layer.integer(14, left)
    pads = (left, top, layer.integer(15, left), layer.integer(16, top))
    for what, actual, expected in (
        ("kernel", _sides(layer, 1, 11, 0), (_KERNEL_SIZE, _KERNEL_SIZE)),
        ("dilation", _sides(layer, 2, 12, 1), (1, 1)),
        ("stride", _sides(layer, 3, 13, 1), (1, 1)),
        ("padding", (1, 1, 1, 1) if pads in _SAME else pads, (1, 1, 1, 1)),
        ("padding value", (layer.real(18, 0.0),), (0,)),
        ("groups", (layer.integer(7, 1),), (1,)),
        ("dynamic weights", (layer.integer(19, 0),), (0,)),
    ):
        if actual != expected:
            raise InputError(
                f"is not an RRDBNet: {layer} has {what} {_listed(actual)}, where {_listed(expected)} was expected"
            )


def _sides(layer: Layer, width: int, height: int, default: int) -> tuple[int, int]:
    """An option for both axes: the height is the width unless it has an option of its own."""
    horizontal = layer.integer(width, default)
    return horizontal, layer.integer(height, horizontal)


def _listed(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def read_weights(
    convolutions: Mapping[str, Layer], data: memoryview, param: str
) -> tuple[dict[str, NDArray[np.float32]], str]:
    """The arrays of all convolutions, in their order here, under `NAME.weight` and `NAME.bias`, and the weights' dtype.

    `convolutions` are all the layers with weights that `param`, the name of the text, lists. A bias that the file does
    not have is 0. Raises InputError, naming the layer in the file, before any array is made, where the sizes are not
    those of `data` or the weights are stored in a way that is not read.
    """
    shapes = {name: shape_of(layer) for name, layer in convolutions.items()}
    if sum(map(math.prod, shapes.values())) > MOST_PARAMETERS:
        raise InputError(f"claims more than {MOST_PARAMETERS} weights, the largest network that is read")
    places = _locate(convolutions, shapes, data, param)
    arrays = {}
    for name, shape in shapes.items():
        dtype, begin, middle, end = places[name]
        weight = contiguous(Storage(name, dtype, math.prod(shape)), shape)
        arrays[f"{name}.weight"] = as_float32(name, weight, data[begin:middle])
        bias = contiguous(Storage(name, "float32", shape[0]), shape[:1])
        arrays[f"{name}.bias"] = (
            as_float32(name, bias, data[middle:end]) if end > middle else np.zeros(shape[0], np.float32)
        )
    return arrays, " and ".join(sorted({dtype for dtype, *_ in places.values()}))


def _locate(
    convolutions: Mapping[str, Layer],
    shapes: Mapping[str, tuple[int, int, int, int]],
    data: memoryview,
    param: str,
) -> dict[str, tuple[str, int, int, int]]:
    """By layer the dtype of its weights, and where they begin, its biases begin and both end."""
    places = {}
    position, dtype = 0, "float16"  # assumed where the file ends before the first tag
    for name, layer in sorted(convolutions.items(), key=lambda item: item[1].line):
        begin = position + _TAG_BYTES
        if begin <= len(data):
            dtype = _dtype(layer, position, int.from_bytes(data[position:begin], "little"))
        middle = begin + _padded(math.prod(shapes[name]) * DTYPES[dtype].itemsize)
        position = middle + (shapes[name][0] * _BIAS.itemsize if layer.integer(5, 0) else 0)
        places[name] = dtype, begin, middle, position
    if position > len(data):
        raise InputError(
            f"is cut short: it has {len(data)} bytes and the layers in {param} need {position}, so the "
            "download broke off, or it belongs to another model: download it again"
        )
    if position < len(data):
        raise InputError(
            f"is too long: it has {len(data)} bytes and the layers in {param} need {position}, so it belongs to "
            "another model"
        )
    return places


def _dtype(layer: Layer, position: int, tag: int) -> str:
    """The dtype that a tag stands for; raises InputError where it is none of those that are read."""
    if tag in _TAGS:
        return _TAGS[tag]
    if tag == _INT8:
        raise InputError(f"stores the weights of {layer} as int8: expected float16 or float32")
    raise InputError(
        f"has the tag {tag:#010x} at byte {position}, where the weights of {layer} begin: expected that of float16 or "
        "float32, so they are in a quantisation table, or the file belongs to another model"
    )


def _padded(size: int) -> int:
    return -(-size // 4) * 4
