"""ESRGAN's generator (Wang et al. 2018, figures 3 and 4), in the order in which a picture passes through it.

    features = conv_first(image)
    features = features + trunk_conv(RRDB_23(... RRDB_1(features)))      the trunk, at low resolution
    features = LeakyReLU(upconv(nearest x2(features)))                   the tail, twice for x4
    out      = conv_last(LeakyReLU(HRconv(features)))

    RRDB(x)        = x + 0.2 D3(D2(D1(x)))          D(x) = x + 0.2 conv5(x, g1, g2, g3, g4): a dense block
    g_k            = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))

No concatenation is ever computed. All dense blocks share one buffer of (H, W) pixels and three ranges of channels:

    [ x of even blocks | g1 g2 g3 g4 | x of odd blocks ]          even:  x g1 g2 g3 g4     odd:  g4 g3 g2 g1 x

An even block reads a growing range from the left and leaves its result at the right end, where the next block starts;
that one grows to the left, so its kernels are given their input channels in that order. With the RRDB's input, kept
for its outer skip, the trunk needs 3 num_feat + 4 num_grow_ch + 8 floats a pixel: 1.3 KB for ESRGAN. conv_first's
features are not remembered through the trunk but computed a second time: 27 multiply-adds each.
"""

import os
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from lowrank_sr import flops
from lowrank_sr.checkpoints import read_checkpoint
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, allocate, from_array
from lowrank_sr.conv.methods import Convolution, convolution
from lowrank_sr.conv.upsample import upsample as copy  # enlarged by 1
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Dense, Layer, reorder_inputs
from lowrank_sr.machine.threads import POOL
from lowrank_sr.network import auto
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture, architecture_of
from lowrank_sr.network.auto import AUTO, check_method
from lowrank_sr.network.tail import Stage, run
from lowrank_sr.network.weights import layers_from_arrays, read_weights, write_weights
from lowrank_sr.resources import WEIGHTS

SLOPE = 0.2  # of LeakyReLU below zero
RESIDUAL_SCALE = 0.2
SKEW = 8  # channels left over: pixels a power of two of bytes apart would crowd into a few sets of the cache


class RRDBNet:
    """An RRDBNet with its layers and the method by which they are computed. Call it with an image."""

    def __init__(self, layers: Mapping[str, Layer], method: str = AUTO, meta: Mapping | None = None):
        """A network of `layers` by name.

        Raises InputError for layers that are no RRDBNet (naming the one that does not fit) and for an unknown method.
        """
        check_method(method)
        self.architecture: Architecture = architecture_of({name: layer.shape for name, layer in layers.items()})
        self.layers: Mapping[str, Layer] = MappingProxyType({name: layers[name] for name in self.architecture.shapes()})
        self.method = method
        self.meta = dict(meta or {})

    def __reduce__(self):
        """What a copy or another process is given: not the prepared kernels, which it can prepare itself."""
        return type(self), (dict(self.layers), self.method, self.meta)

    @classmethod
    def random(
        cls,
        num_feat: int = 64,
        num_block: int = 23,
        num_grow_ch: int = 32,
        scale: int = 4,
        seed: int = 0,
        method: str = AUTO,
    ) -> "RRDBNet":
        """A network of ESRGAN's size, or another, with random weights (He et al. 2015), for timing and tests."""
        if scale not in (1, 2, 4, 8):
            raise InputError(f"scale {scale}: expected 1, 2, 4 or 8")
        rng = np.random.default_rng(seed)
        design = Architecture(num_feat, num_block, num_grow_ch, int(scale).bit_length() - 1, 3, 3)
        layers = {}
        for name, (n, c, d) in design.shapes().items():
            weight = rng.standard_normal((n, c, d, d), dtype=DTYPE) * np.float32((2 / (c * d * d)) ** 0.5)
            layers[name] = Dense(weight, 0.1 * rng.standard_normal(n, dtype=DTYPE))
        return cls(layers, method, {"source": f"random, seed {seed}"})

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self.architecture.scale

    @property
    def parameters(self) -> int:
        """How many numbers the network is made of."""
        return sum(layer.parameters for layer in self.layers.values())

    def with_method(self, method: str) -> "RRDBNet":
        """The same layers, computed another way."""
        return RRDBNet(self.layers, method, self.meta)

    def save(self, path: str | os.PathLike, dtype: type = DTYPE) -> None:
        """Write the weights to an .npz file, the arrays in `dtype`, float16 or float32."""
        write_weights(path, self.layers, {**self.meta, "scale": self.scale}, dtype)

    def flops(self, height: int, width: int) -> int:
        """FLOPs, by the paper's formulas, for an image of `height` x `width` pixels."""
        pixels = height * width
        return sum(round(flops.per_pixel(layer) * self.area(name) * pixels) for name, layer in self.layers.items())

    @property
    def flops_per_pixel(self) -> float:
        """FLOPs, by the paper's formulas, for each pixel of the image, where its sides are whole multiples."""
        return sum(flops.per_pixel(layer) * self.area(name) for name, layer in self.layers.items())

    def area(self, name: str) -> float:
        """Pixels that layer `name` writes for each pixel of the image."""
        if name.startswith("upconv"):
            enlargement = 2 ** int(name.removeprefix("upconv"))
        else:
            enlargement = 2**self.architecture.upsamplings if name in ("HRconv", "conv_last") else 1
        return (enlargement / self.architecture.unshuffle) ** 2

    def __call__(self, image: np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """Enlarge an image.

        Parameters
        ----------
        image : (H, W, C) array of floats, 0..1
            The channels that the network was trained on (C = 3, RGB, for every release), of any precision, order and
            strides.
        progress : function of int, optional
            Called after each step with the FLOPs done in it; together `flops(H, W)`, and conv_first once more.

        Returns
        -------
        (scale H, scale W, C) float32, not clipped

        Raises
        ------
        InputError
            Where the image has another shape, no pixels, or is not of floats.
        """
        image, design = np.asarray(image), self.architecture
        if image.ndim != 3 or image.shape[2] != design.image_channels or 0 in image.shape:
            raise InputError(f"image of shape {image.shape}: expected (height, width, {design.image_channels})")
        if image.dtype.kind != "f":
            raise InputError(f"image of {image.dtype}: expected floats, 0..1")

        def convolve(name: str, x: FeatureMap, out: FeatureMap, **ends) -> None:
            layer = self.layers[name]
            self._convolutions[name](x, out, Epilogue(layer.bias, **ends))
            if progress is not None:
                progress(flops.per_pixel(layer) * out.height * out.width)

        pixels = from_array(pixel_unshuffle(image, design.unshuffle))
        enlarged = (side << design.upsamplings for side in (pixels.height, pixels.width))
        out = np.empty((*enlarged, design.out_channels), DTYPE)
        with POOL:
            run(self._trunk(pixels, convolve), self._tail(convolve), out)
        height, width = (self.scale * side for side in image.shape[:2])
        return out[:height, :width]

    @cached_property
    def _convolutions(self) -> dict[str, Convolution]:
        """Every layer's convolution, its kernel prepared for the method."""
        design = self.architecture
        dense_blocks = [f"RRDB_trunk.{i}.RDB{j}" for i in range(design.num_block) for j in range(1, DENSE_BLOCKS + 1)]
        odd = tuple(f"{name}." for name in dense_blocks[1::2])
        layers = {
            name: reorder_inputs(layer, _mirrored(layer.shape[1], design)) if name.startswith(odd) else layer
            for name, layer in self.layers.items()
        }
        return {name: convolution(layer, auto.concrete(layer, self.method)) for name, layer in layers.items()}

    def _trunk(self, pixels: FeatureMap, convolve: Callable) -> FeatureMap:
        """The features at low resolution."""
        design = self.architecture
        num_feat, growth = design.num_feat, (CONVOLUTIONS - 1) * design.num_grow_ch
        channels = num_feat + growth + num_feat
        buffer = allocate(pixels.height, pixels.width, channels + SKEW).slice(0, channels)
        entry = allocate(pixels.height, pixels.width, num_feat)  # the RRDB's input

        def place(start: int, channels: int) -> FeatureMap:  # of the dense block at hand, in its own order
            return buffer.slice(buffer.channels - start - channels if odd else start, channels)

        odd = False
        convolve("conv_first", pixels, place(0, num_feat))
        for block in range(design.num_block):
            copy(place(0, num_feat), entry)
            for dense_block in range(1, DENSE_BLOCKS + 1):
                last = dense_block == DENSE_BLOCKS
                self._dense_block(f"RRDB_trunk.{block}.RDB{dense_block}", place, convolve, entry if last else None)
                odd = not odd
        trunk = place(num_feat + growth, num_feat)
        convolve("trunk_conv", place(0, num_feat), trunk)
        features = entry  # not in `buffer`, which the tail, with windows of its own, is not to keep alive
        convolve("conv_first", pixels, features, skip=trunk)
        return features

    def _dense_block(self, name: str, place: Callable, convolve: Callable, entry: FeatureMap | None) -> None:
        """x + 0.2 conv5(x, g1, ..., g4); as the last of an RRDB, whose input is `entry`, entry + 0.2 of that."""
        num_feat, num_grow_ch = self.architecture.num_feat, self.architecture.num_grow_ch
        x, read = place(0, num_feat), num_feat
        for k in range(1, CONVOLUTIONS):
            convolve(f"{name}.conv{k}", place(0, read), place(read, num_grow_ch), slope=SLOPE)
            read += num_grow_ch
        scale = RESIDUAL_SCALE
        ends = {"scale": scale, "skip": x}
        if entry is not None:
            ends = {"scale": scale * scale, "skip": x, "skip_scale": scale, "outer": entry}
        convolve(f"{name}.conv{CONVOLUTIONS}", place(0, read), place(read, num_feat), **ends)

    def _tail(self, convolve: Callable) -> list[Stage]:
        """upconv1 to conv_last, as stages of a pipeline."""
        names = [f"upconv{i}" for i in range(1, self.architecture.upsamplings + 1)]
        stages = [Stage(partial(convolve, name, slope=SLOPE), factor=2) for name in names]
        stages.append(Stage(partial(convolve, "HRconv", slope=SLOPE), factor=1))
        return [*stages, Stage(partial(convolve, "conv_last"), factor=1)]


def _mirrored(channels: int, design: Architecture) -> np.ndarray:
    """The order g_k ... g1 x of the first `channels` input channels of a dense block's layer."""
    grown = np.arange(design.num_feat, channels).reshape(-1, design.num_grow_ch)
    return np.concatenate([grown[::-1].ravel(), np.arange(design.num_feat)])


def pixel_unshuffle(image: np.ndarray, factor: int) -> np.ndarray:
    """Fold `factor` x `factor` blocks of pixels into channels, as PyTorch does, the image reflected up to whole blocks.

    (H, W, C) -> (ceil(H / factor), ceil(W / factor), C factor^2), channel c factor^2 + factor i + j from pixel (i, j)
    of a block.
    """
    if factor == 1:
        return image
    height, width, channels = image.shape
    whole = np.pad(
        image,
        ((0, -height % factor), (0, -width % factor), (0, 0)),
        "symmetric" if min(height, width) < factor else "reflect",
    )
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor, channels)
    return blocks.transpose(0, 2, 4, 1, 3).reshape(*blocks.shape[:3:2], channels * factor**2)


def _from_checkpoint(path: str | os.PathLike) -> tuple[dict[str, Layer], dict]:
    checkpoint = read_checkpoint(path)
    meta = {
        "source": f"{Path(path).name}: {checkpoint.scheme} names, {checkpoint.dtype}",
        "scheme": checkpoint.scheme,
        "dtype": checkpoint.dtype,
    }
    try:
        return layers_from_arrays(checkpoint.arrays), meta
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load(path: str | os.PathLike = WEIGHTS, method: str = AUTO) -> RRDBNet:
    """The network in a weights file (.npz) or a checkpoint (.pth, .safetensors), by default the bundled one.

    Raises InputError as `read_weights` and `read_checkpoint` do.
    """
    layers, meta = read_weights(path) if Path(path).suffix == ".npz" else _from_checkpoint(path)
    try:
        return RRDBNet(layers, method, meta)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
