"""The network of `esrgan.py` with its layers, computed fast and in little memory.

No concatenation is ever computed: a convolution reads several maps side by side. Each has an array of its own, so that
its pixels lie close together. The layers of a dense block are one operator (`conv/methods.py`), and what follows a
convolution is added while its result is still in registers (`conv/epilogue.py`).

In the trunk RRDB_i reads and writes x1: its dense blocks lead from x1 to x2 to x3 and back to x1, which the last one
adds as the RRDB's outer skip and writes over at the same time. With g1 to g4 this needs 3 num_feat + 4 num_grow_ch
floats a pixel: 1.3 KB for ESRGAN. conv_first's features are computed a second time instead of being kept through the
trunk: 27 multiply-adds each. The tail goes over bands of rows (`tail.py`).

A dense block whose conv5 has rank 0 vanishes: x + 0.2 bias is left of it, and of an RRDB of three such blocks
x + 0.2 (x + 0.2 (bias1 + bias2 + bias3)).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv.bias_alone import write_bias
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, allocate, from_array
from lowrank_sr.conv.methods import Convolution, DenseBlockConvolution, convolution, dense_block_convolution
from lowrank_sr.conv.upsampled import upsampled_convolution
from lowrank_sr.errors import InputError
from lowrank_sr.layers import Layer
from lowrank_sr.network import weights
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture, architecture_of
from lowrank_sr.network.auto import AUTO, check_method, concrete, of_dense_block
from lowrank_sr.network.esrgan import BETA, SLOPE
from lowrank_sr.network.random_weights import random_layers
from lowrank_sr.network.tail import Stage, run_tail
from lowrank_sr.network.unshuffle import pixel_unshuffle
from lowrank_sr.resources import DEFAULT_NETWORK

GROWTHS = CONVOLUTIONS - 1  # g1 to g4

FlopsDone = Callable[[int], object]
"""done(flops): called after a step that has done so many FLOPs."""


class RRDBNet:
    """An RRDBNet with its layers and the method by which they are computed. Call it with an image."""

    def __init__(
        self,
        layers: Mapping[str, Layer],
        method: str = AUTO,
        meta: Mapping[str, Any] | None = None,
        choices: Mapping[str, str] | None = None,
    ) -> None:
        """A network of `layers` by name; `choices` are the methods by layer that "auto" has chosen elsewhere.

        Raises InputError for layers that are no RRDBNet (naming the one that does not fit) and for an unknown method.
        """
        check_method(method)
        self.architecture: Architecture = architecture_of({name: layer.shape for name, layer in layers.items()})
        self.layers: Mapping[str, Layer] = MappingProxyType({name: layers[name] for name in self.architecture.shapes()})
        self.method = method
        self.meta = dict(meta or {})
        self._choices = choices

    def __reduce__(self) -> tuple[Any, ...]:
        """What a copy or another process is given: not the prepared kernels, which it can prepare itself."""
        return type(self), (dict(self.layers), self.method, self.meta, self._choices)

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
        """A network of ESRGAN's size, or another, with random weights (He et al. 2015), for timing and tests.

        Raises InputError for sizes that are no whole numbers from 1, and for a scale other than 1, 2, 4, 8 or 16.
        """
        layers = random_layers(num_feat, num_block, num_grow_ch, scale, seed)
        return cls(layers, method, {"source": f"random, seed {seed}"})

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self.architecture.scale

    @property
    def parameters(self) -> int:
        """How many numbers the network is made of."""
        return sum(layer.parameters for layer in self.layers.values())

    @cached_property
    def vanished(self) -> frozenset[str]:
        """The names of the dense blocks whose last layer has rank 0: of such a block only x + 0.2 bias is computed."""
        return frozenset(block for block, layers in self._block_layers.items() if layers[-1].rank == 0)

    @cached_property
    def methods(self) -> Mapping[str, str]:
        """The method that computes each layer, by its name, where "auto" has chosen for this machine."""
        if self._choices:
            return self._choices
        in_blocks: dict[str, str] = {}
        for block, names in self.architecture.dense_blocks().items():
            if block not in self.vanished:
                methods = of_dense_block(self._block_layers[block], self.method)
                in_blocks.update(zip(names, methods, strict=True))
        return {name: in_blocks.get(name) or concrete(layer, self.method) for name, layer in self.layers.items()}

    def with_method(self, method: str) -> "RRDBNet":
        """The same layers, computed another way."""
        return RRDBNet(self.layers, method, self.meta)

    def with_choices(self) -> "RRDBNet":
        """The same network, which computes each layer by the same method on any machine that it is sent to."""
        return RRDBNet(self.layers, self.method, self.meta, self.methods)

    def save(self, path: str | os.PathLike[str], dtype: type = DTYPE) -> None:
        """Write the weights to an .npz file, the arrays in `dtype`, float16 or float32.

        Raises InputError for another dtype, for values beyond its range, for a name that does not end in .npz, and
        where the file cannot be written.
        """
        weights.write_weights(path, self.layers, {**self.meta, "scale": self.scale}, dtype)

    def flops(self, height: int, width: int) -> int:
        """FLOPs, by the paper's formulas, for an image of `height` x `width` pixels."""
        pixels = height * width
        return sum(
            round(flops.per_pixel(layer) * self.architecture.area(name) * pixels) for name, layer in self.layers.items()
        )

    @property
    def flops_per_pixel(self) -> float:
        """FLOPs, by the paper's formulas, for each pixel of the image, where its sides are whole multiples."""
        return sum(flops.per_pixel(layer) * self.architecture.area(name) for name, layer in self.layers.items())

    def __call__(self, image: np.ndarray, progress: FlopsDone | None = None) -> np.ndarray:
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
        image = np.asarray(image)
        design = self.architecture
        if image.ndim != 3 or image.shape[2] != design.image_channels or 0 in image.shape:
            raise InputError(f"image of shape {image.shape}: expected (height, width, {design.image_channels})")
        if image.dtype.kind != "f":
            raise InputError(f"image of {image.dtype}: expected floats, 0..1")

        height, width = (self.scale * side for side in image.shape[:2])
        if design.unshuffle > 1:
            image = pixel_unshuffle(image, design.unshuffle)
        pixels = from_array(image)  # (h, w, in_channels)
        features = self._trunk(pixels, progress)  # (h, w, num_feat)
        enlargement = 2**design.upsamplings
        out = np.empty((enlargement * pixels.height, enlargement * pixels.width, design.out_channels), DTYPE)
        run_tail(features, self._tail(progress), out)
        return out[:height, :width]

    def _conv(
        self,
        progress: FlopsDone | None,
        name: str,
        x: FeatureMap,
        out: FeatureMap,
        **epilogue: Any,
    ) -> None:
        """Write layer `name` of `x` into `out`; `epilogue` are the terms of `conv.epilogue.Epilogue`."""
        layer = self.layers[name]
        self._convolutions[name](x, out, Epilogue(layer.bias, **epilogue))
        if progress is not None:
            progress(flops.per_pixel(layer) * out.height * out.width)

    def _trunk(self, pixels: FeatureMap, progress: FlopsDone | None) -> FeatureMap:
        """conv_first to trunk_conv, in the maps x1, x2, x3 and g1 to g4."""
        conv = partial(self._conv, progress)
        num_feat, num_grow_ch = self.architecture.num_feat, self.architecture.num_grow_ch
        x1, x2, x3 = (allocate(pixels.height, pixels.width, num_feat) for _ in range(3))  # (h, w, num_feat) each
        maps_of_blocks = 0 if len(self.vanished) == len(self._block_layers) else GROWTHS
        grown = [allocate(pixels.height, pixels.width, num_grow_ch) for _ in range(maps_of_blocks)]  # g1 ... g4

        conv("conv_first", pixels, x1)
        block = partial(self._dense_block, progress, grown)
        for i in range(self.architecture.num_block):
            rdb1, rdb2, rdb3 = (f"RRDB_trunk.{i}.RDB{j}" for j in range(1, DENSE_BLOCKS + 1))
            if self.vanished.issuperset((rdb1, rdb2, rdb3)):
                self._vanished_rrdb(progress, (rdb1, rdb2, rdb3), x1)
                continue
            block(rdb1, x1, x2, scale=BETA, skip=x1)
            block(rdb2, x2, x3, scale=BETA, skip=x2)
            block(rdb3, x3, x1, scale=BETA**2, skip=x3, skip_scale=BETA, outer=x1)
        conv("trunk_conv", x1, x2)
        conv("conv_first", pixels, x3, skip=x2)
        return x3

    def _dense_block(
        self,
        progress: FlopsDone | None,
        grown: list[FeatureMap],
        name: str,
        x: FeatureMap,
        y: FeatureMap,
        **epilogue: Any,
    ) -> None:
        """Write what `epilogue` makes of conv5 into `y` and, unless the block vanishes, g1 to g4 into `grown`."""
        layers = self._block_layers[name]
        *growing, last = layers
        of_last = Epilogue(last.bias, **epilogue)
        if name in self.vanished:
            write_bias(y, of_last)
        else:
            epilogues = [*(Epilogue(layer.bias, slope=SLOPE) for layer in growing), of_last]
            self._dense_blocks[name](x, [*grown, y], epilogues)
        if progress is not None:
            progress(sum(map(flops.per_pixel, layers)) * y.height * y.width)

    def _vanished_rrdb(self, progress: FlopsDone | None, blocks: Sequence[str], x: FeatureMap) -> None:
        """Write x + 0.2 (x + 0.2 (bias1 + bias2 + bias3)) in the place of x."""
        bias: np.ndarray = np.add.reduce([self._block_layers[block][-1].bias for block in blocks])
        write_bias(x, Epilogue(bias, scale=BETA**2, skip=x, skip_scale=BETA, outer=x))
        if progress is not None:
            layers = [layer for block in blocks for layer in self._block_layers[block]]
            progress(sum(map(flops.per_pixel, layers)) * x.height * x.width)

    def _tail(self, progress: FlopsDone | None) -> list[Stage]:
        """upconv1 to conv_last, each over what the one before it gives; the upconvs enlarge it by 2."""
        conv = partial(self._conv, progress)
        stages = [
            Stage(partial(conv, f"upconv{i}", slope=SLOPE), factor=2)
            for i in range(1, self.architecture.upsamplings + 1)
        ]
        stages.append(Stage(partial(conv, "HRconv", slope=SLOPE), factor=1))
        stages.append(Stage(partial(conv, "conv_last"), factor=1))
        return stages

    @cached_property
    def _block_layers(self) -> dict[str, list[Layer]]:
        """The layers of every dense block, by its name."""
        return {
            block: [self.layers[name] for name in names] for block, names in self.architecture.dense_blocks().items()
        }

    @cached_property
    def _dense_blocks(self) -> dict[str, DenseBlockConvolution]:
        """What computes each dense block that does not vanish, the kernels of its layers prepared."""
        return {
            block: dense_block_convolution(self._block_layers[block], [self.methods[name] for name in names])
            for block, names in self.architecture.dense_blocks().items()
            if block not in self.vanished
        }

    @cached_property
    def _convolutions(self) -> dict[str, Convolution]:
        """The convolution of every layer outside the dense blocks, its kernel prepared for the method."""
        return {name: self._convolution(name) for name in self.architecture.outside_blocks()}

    def _convolution(self, name: str) -> Convolution:
        layer, method = self.layers[name], self.methods[name]
        if self.architecture.enlarges(name):
            return upsampled_convolution(layer, method)
        return convolution(layer, method, keep_transformed=name in self.architecture.tail())  # called for every band


def load(path: str | os.PathLike[str] = DEFAULT_NETWORK, method: str = AUTO) -> RRDBNet:
    """A bundled network by its name, or that in a weights file (.npz), a checkpoint or an ncnn model.

    Raises InputError as `weights.read_weights` does, and for an unknown method.
    """
    layers, meta = weights.read_weights(path)
    return RRDBNet(layers, method, meta)
