"""A layer over stacks of small feature maps: what compression puts in the place of the layers of `network/esrgan.py`.

The leading axes of a stack, (..., H, W, C), are the crops of a batch, and in front of them a dense and a compressed
network that walk side by side.
"""

from collections.abc import Callable

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Layer
from lowrank_sr.network.auto import concrete

STACK_PIXELS = 2**15  # convolved at a time: enough for all threads; 28 MB for 192 channels


def on_stacks(layer: Layer, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """`layer` as a function of stacks of feature maps, (..., H, W, C) -> (..., H, W, N) float32, by `method`.

    A small map has too little to do for several threads. Maps are therefore convolved as one tall map, one below the
    other, with a row of zeros between them that is the border of both; about STACK_PIXELS at a time.
    """
    run = convolution(layer, concrete(layer, method))
    epilogue = Epilogue(layer.bias)

    def convolve_stack(maps: np.ndarray) -> np.ndarray:
        *stack, height, width, channels = maps.shape
        flat = maps.reshape(-1, height, width, channels)
        out = np.empty((len(flat), height, width, layer.shape[0]), DTYPE)
        count = max(1, STACK_PIXELS // (height * width))
        for first in range(0, len(flat), count):
            group = flat[first : first + count]
            tall = np.zeros((len(group), height + 1, width, channels), DTYPE)
            tall[:, :height] = group
            tall_out = np.empty((len(group), height + 1, width, layer.shape[0]), DTYPE)
            rows = len(group) * (height + 1)
            run(
                from_array(tall.reshape(rows, width, channels)),
                unpadded(tall_out.reshape(rows, width, layer.shape[0])),
                epilogue,
            )
            out[first : first + count] = tall_out[:, :height]
        return out.reshape(*stack, height, width, layer.shape[0])

    return convolve_stack
