"""Any layer by any method: the algorithm from the table, run on feature maps."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv import direct
from lowrank_sr.conv.algorithms import algorithm_of, dense_block_algorithm_of
from lowrank_sr.conv.epilogue import Epilogue, operands
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, from_array, records, unpadded
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Layer
from lowrank_sr.machine.threads import parallel_region, thread_count

FLOPS_A_THREAD = 10_000_000  # a tenth of a millisecond or more: for less, waking another thread does not pay

Convolution = Callable[[FeatureMap | Sequence[FeatureMap], FeatureMap, Epilogue], None]
"""convolution(x, out, epilogue): `same` convolution of the feature map x into the feature map out.

Several maps in the place of x stand for their concatenation along the channels, which is never computed.
"""

DenseBlockConvolution = Callable[[FeatureMap, Sequence[FeatureMap], Sequence[Epilogue]], None]
"""convolve(x, outs, epilogues): layer k of a dense block reads x and outs[:k] and writes outs[k], by epilogues[k]."""


def convolution(layer: Layer, method: str, keep_transformed: bool = True) -> Convolution:
    """The convolution of `layer` by `method`, its arrays in the order that the loops read.

    What `winograd` transforms a dense kernel to takes 7 times its memory. It is kept from one call to the next, or else
    computed in each: a cost that does not depend on the size of the picture, some 7% of a layer's time at 96 x 96. Of
    an SVD pair it is kept always: 8/3 of its memory.

    Raises InputError for an unknown method and for a kernel that is not 3 x 3.
    """
    run = convolutions([layer], method, keep_transformed)
    return lambda x, out, epilogue: run(x, [out], epilogue)


def convolutions(
    layers: Sequence[Layer], method: str, keep_transformed: bool = True
) -> Callable[[FeatureMap | Sequence[FeatureMap], Sequence[FeatureMap], Epilogue], None]:
    """run(x, outs, epilogue): the convolutions of one input by several layers of one form and shape, as `convolution`.

    Each writes to a map of its own. They are computed together where the algorithm can `join` them.
    """
    for layer in layers:
        _check_kernel(layer)
    algorithm = algorithm_of(layers[0], method)
    prepared = [algorithm.prepare(layer, keep_transformed) for layer in layers]
    together = len(layers) if algorithm.join else 1
    if algorithm.join:
        prepared = [algorithm.join(prepared)]
    channels, work = layers[0].shape[1], together * flops.per_pixel(layers[0])
    runs = [partial(_run, algorithm.convolve, each, channels, work) for each in prepared]

    def run(x: FeatureMap | Sequence[FeatureMap], outs: Sequence[FeatureMap], epilogue: Epilogue) -> None:
        for i, each in enumerate(runs):
            each(x, outs[i * together : (i + 1) * together], epilogue)

    return run


def dense_block_convolution(layers: Sequence[Layer], methods: Sequence[str]) -> DenseBlockConvolution:
    """The convolutions of a dense block by `layers`, each by its method.

    They are computed together where there is an algorithm for that, and otherwise one after the other. Raises
    InputError as `convolution` does.
    """
    for layer in layers:
        _check_kernel(layer)
    algorithms = [algorithm_of(layer, method) for layer, method in zip(layers, methods, strict=True)]
    together = dense_block_algorithm_of(algorithms)
    if together is not None:
        prepared = [together.of.prepare(layer, False) for layer in layers]
        return partial(_run_dense_block, together.convolve, layers, prepared)
    runs = [convolution(layer, method, keep_transformed=False) for layer, method in zip(layers, methods, strict=True)]

    def run(x: FeatureMap, outs: Sequence[FeatureMap], epilogues: Sequence[Epilogue]) -> None:
        for k, each in enumerate(runs):
            each([x, *outs[:k]], outs[k], epilogues[k])

    return run


def _check_kernel(layer: Layer) -> None:
    """Raise InputError unless the kernel is 3 x 3: feature maps have a border of one pixel."""
    if layer.shape[2] != 3:
        raise InputError(f"kernel of {layer.shape[2]} x {layer.shape[2]}: expected 3 x 3")


def direct_convolution(kernel: np.ndarray) -> Convolution:
    """Direct convolution by a (N, C, d, d) kernel or one factor of it: (N, C, d, 1), (N, C, 1, d) or (N, C, 1, 1)."""
    run = partial(_run, direct.convolve, direct.order(kernel), kernel.shape[1], 2 * kernel.size)
    return lambda x, out, epilogue: run(x, [out], epilogue)


def _run(
    convolve: Callable[..., None],
    prepared: Any,
    channels: int,
    flops_per_pixel: int,
    x: FeatureMap | Sequence[FeatureMap],
    outs: Sequence[FeatureMap],
    epilogue: Epilogue,
) -> None:
    inputs = [x] if isinstance(x, FeatureMap) else x
    _check_inputs(inputs, channels)
    threads = _threads([*inputs, *outs], outs[0], flops_per_pixel)
    with parallel_region(threads):
        convolve(records(inputs), operands(outs, [epilogue] * len(outs)), prepared, threads)


def _run_dense_block(
    convolve: Callable[..., None],
    layers: Sequence[Layer],
    prepared: Sequence[Any],
    x: FeatureMap,
    outs: Sequence[FeatureMap],
    epilogues: Sequence[Epilogue],
) -> None:
    inputs = [x, *outs[:-1]]
    for k, layer in enumerate(layers):
        _check_inputs(inputs[: k + 1], layer.shape[1])
    # of one layer: it is the parts of a layer that threads share
    threads = _threads([x, *outs], outs[0], sum(map(flops.per_pixel, layers)) // len(layers))
    with parallel_region(threads):
        convolve(records(inputs), operands(outs, epilogues), prepared, threads)


def _check_inputs(inputs: Sequence[FeatureMap], channels: int) -> None:
    """Raise ValueError for maps that a layer of `channels` input channels cannot read."""
    if sum(each.channels for each in inputs) != channels:
        raise ValueError(f"input of {sum(each.channels for each in inputs)} channels: the layer reads {channels}")
    if any(each.step != 1 for each in inputs):
        raise ValueError("input of every second pixel: expected neighbouring ones")


def _threads(maps: Sequence[FeatureMap], out: FeatureMap, flops_per_pixel: int) -> int:
    """How many threads are worth waking; raises ValueError for maps of another size than `out`."""
    for each in maps:
        if (each.height, each.width) != (out.height, out.width):
            raise ValueError(f"map of {each.height} x {each.width} does not fit output {out.height} x {out.width}")
    return min(thread_count(), 1 + flops_per_pixel * out.height * out.width // FLOPS_A_THREAD)


def convolve(array: np.ndarray, layer: Layer, method: str) -> np.ndarray:
    """Convolve an (H, W, C) array with `layer`, zeros beyond its edges: (H, W, N) float32. For one layer by itself."""
    out = np.empty((*array.shape[:2], layer.shape[0]), DTYPE)
    convolution(layer, method)(from_array(array), unpadded(out), Epilogue(layer.bias))
    return out
