"""The network layer by layer on plain arrays, for whoever wants to see or to replace what a layer does.

`RRDBNet.__call__` computes an image in little memory; this is the same sequence of layers without its buffers and
bands, over stacks of small images: the leading axes, (..., H, W, C), may be the crops of a batch, and in front of them
a dense and a compressed network that walk side by side.
"""

from collections.abc import Callable

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Layer
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture
from lowrank_sr.network.auto import concrete
from lowrank_sr.network.rrdbnet import BETA, SLOPE
from lowrank_sr.network.unshuffle import pixel_unshuffle

STACK_PIXELS = 2**15  # convolved at a time: enough for all threads; 28 MB for 192 channels

Compute = Callable[[str, np.ndarray], np.ndarray]
"""compute(name, x): the output of layer `name`, before the activation, for input (..., H, W, C)."""


def forward(design: Architecture, images: np.ndarray, compute: Compute) -> np.ndarray:
    """Enlarge a stack of images, (..., H, W, 3) float32 with H and W whole multiples of the network's unshuffle.

    features = conv_first(images);  features += trunk_conv(RRDB_n(... RRDB_1(features)));  the tail
    """
    x = images
    if design.unshuffle > 1:
        flat = images.reshape(-1, *images.shape[-3:])
        x = np.stack([pixel_unshuffle(image, design.unshuffle) for image in flat])
        x = x.reshape(*images.shape[:-3], *x.shape[1:])
    features = compute("conv_first", x)  # (..., H, W, num_feat)
    trunk = features
    for block in range(design.num_block):
        rrdb_input = trunk
        for j in range(1, DENSE_BLOCKS + 1):
            trunk = _dense_block(f"RRDB_trunk.{block}.RDB{j}", trunk, design, compute)
        trunk = rrdb_input + BETA * trunk
    features = features + compute("trunk_conv", trunk)
    for i in range(1, design.upsamplings + 1):
        enlarged = features.repeat(2, axis=-3).repeat(2, axis=-2)  # (..., 2^i H, 2^i W, num_feat)
        features = _leaky_relu(compute(f"upconv{i}", enlarged))
    return compute("conv_last", _leaky_relu(compute("HRconv", features)))


def _dense_block(name: str, x: np.ndarray, design: Architecture, compute: Compute) -> np.ndarray:
    """x + 0.2 conv5(x, g1, ..., g4),  g_k = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))."""
    channels = design.num_feat
    concatenated = np.empty((*x.shape[:-1], channels + (CONVOLUTIONS - 1) * design.num_grow_ch), DTYPE)
    concatenated[..., :channels] = x
    for k in range(1, CONVOLUTIONS):
        g = _leaky_relu(compute(f"{name}.conv{k}", concatenated[..., :channels]))  # (..., H, W, num_grow_ch)
        concatenated[..., channels : channels + design.num_grow_ch] = g
        channels += design.num_grow_ch
    return x + BETA * compute(f"{name}.conv{CONVOLUTIONS}", concatenated)


def _leaky_relu(y: np.ndarray) -> np.ndarray:
    return np.maximum(y, SLOPE * y)


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
