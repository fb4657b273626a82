"""ESRGAN's generator forwards and backwards over a stack of crops: `network/rrdbnet.py` with its derivative.

Read the two side by side. Forwards, as there:

    features = conv_first(image)
    features = features + trunk_conv(RRDB_23(... RRDB_1(features)))
    features = LeakyReLU(upconv(nearest x2(features)))
    out      = conv_last(LeakyReLU(HRconv(features)))

    RRDB(x)  = x + 0.2 D3(D2(D1(x)))          D(x) = x + 0.2 conv5(x, g1, g2, g3, g4)
    g_k      = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))

Backwards each line is read from right to left; d_x is the gradient of the loss with respect to x. Of the trunk only the
inputs of the dense blocks are kept. g1 to g4 are computed again when the walk comes back to their block (Chen et al.
2016, "Training Deep Nets with Sublinear Memory Cost"); conv5, nearly half of a block, is not needed again.

Memory for each pixel of low resolution, in floats, with U upsamplings and n blocks:

    3 n + 4                                x num_feat    inputs of the dense blocks, and gradients between them
    3 num_feat + 13 num_grow_ch                          the block of now: x g1 ... g4, two gradients of it, one of g_k
    K1 + K2 + K3 + K4                                    and what its SVD pairs of ranks K keep
    3 (1 + 4 + ... + 4^U)                  x num_feat    three maps at each enlargement

For psnr-small that is 22 KB, of which the tail has 16; what the layers need for themselves comes on top.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, upsample
from lowrank_sr.conv.methods import Convolution, convolution
from lowrank_sr.layers import CP, Dense, Layer, Separable
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.architecture import DENSE_BLOCKS, Architecture
from lowrank_sr.network.rrdbnet import BETA, GROWTHS, SLOPE
from lowrank_sr.network.unshuffle import pixel_unshuffle
from lowrank_sr.training.cp import CPBackward
from lowrank_sr.training.dense import DenseBackward
from lowrank_sr.training.pointwise import leaky_relu_backward, upsample_backward
from lowrank_sr.training.separable import SeparableBackward
from lowrank_sr.training.stack import Stack

METHOD = "winograd"  # of every layer, whatever is fastest here: a run that is resumed must go on as it began

Backward = Callable[[FeatureMap, FeatureMap, FeatureMap, Epilogue], Mapping[str, np.ndarray]]
"""backward(x, d_y, d_x, epilogue): write the gradient of the input into d_x, return those of the arrays by name."""

Gradients = dict[str, dict[str, np.ndarray]]
"""The gradient of every array of every layer, by the names of both."""

_BACKWARD: dict[type[Layer], Callable[..., Backward]] = {
    Dense: DenseBackward,
    Separable: SeparableBackward,
    CP: CPBackward,
}


class Walk:
    """Networks of one architecture over `count` crops of `height` x `width` pixels, and the maps that they need.

    The sides are whole multiples of the factor by which the network unshuffles its input.
    """

    def __init__(self, design: Architecture, count: int, height: int, width: int) -> None:
        self.design = design
        self.low = Stack(count, height // design.unshuffle, width // design.unshuffle)
        num_feat, grown = design.num_feat, GROWTHS * design.num_grow_ch
        self.pixels = self.low.allocate(design.in_channels)
        # x of every dense block in turn, then what the last one gives; the first is conv_first's
        self.inputs = [self.low.allocate(num_feat) for _ in range(DENSE_BLOCKS * design.num_block + 1)]
        self.block = self.low.allocate(num_feat + grown)  # [x g1 g2 g3 g4]
        self.d_block = [self.low.allocate(num_feat + grown) for _ in range(2)]  # its gradient so far, and the next
        self.d_g = self.low.allocate(design.num_grow_ch)
        self.d_trunk = [self.low.allocate(num_feat) for _ in range(3)]
        self.stacks = [self.low.enlarged(2**i) for i in range(design.upsamplings + 1)]
        self.levels = [[stack.allocate(num_feat) for _ in range(3)] for stack in self.stacks]
        self.out, self.d_out = (self.stacks[-1].allocate(design.out_channels) for _ in range(2))

    def use(self, layers: Mapping[str, Layer]) -> None:
        """Prepare `layers`, by name, for the calls that follow."""
        self.layers = layers
        self.convolutions: dict[str, Convolution] = {
            name: convolution(layer, METHOD, keep_transformed=False) for name, layer in layers.items()
        }
        self.backwards: dict[str, Backward] = {}  # of the block of now, where its layers keep what they have computed

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Enlarge crops (count, height, width, C), 0..1: (count, scale h, scale w, C) float32."""
        self._forward_trunk(images)
        self._forward_tail()
        return self.stacks[-1].take(self.out)

    def backward(self, d_out: np.ndarray) -> tuple[Gradients, np.ndarray]:
        """The gradients of every array, and of the crops, from that of what `forward` returned last."""
        self.gradients: Gradients = {}
        self.stacks[-1].put(d_out, self.d_out)
        with blas_threads(1):
            self._backward_tail()
            d_pixels = self._backward_trunk()
        return self.gradients, _pixel_shuffle(d_pixels, self.design.unshuffle)

    def _forward_trunk(self, images: np.ndarray) -> None:
        """features + trunk_conv(RRDB_n(... RRDB_1(features))) with features = conv_first(pixels)."""
        features = self.levels[0][1]
        factor = self.design.unshuffle
        self.low.put(np.stack([pixel_unshuffle(image, factor) for image in images]), self.pixels)
        self._conv("conv_first", self.pixels, self.inputs[0])
        for i in range(self.design.num_block):
            x1, x2, x3, y = self.inputs[DENSE_BLOCKS * i : DENSE_BLOCKS * (i + 1) + 1]
            self._dense_block(f"RRDB_trunk.{i}.RDB1", x1, x2, scale=BETA, skip=x1)
            self._dense_block(f"RRDB_trunk.{i}.RDB2", x2, x3, scale=BETA, skip=x2)
            self._dense_block(f"RRDB_trunk.{i}.RDB3", x3, y, scale=BETA**2, skip=x3, skip_scale=BETA, outer=x1)
        self._conv("trunk_conv", self.inputs[-1], features, skip=self.inputs[0])

    def _backward_trunk(self) -> np.ndarray:
        """The gradient of the pixels, from that of the features: (count, h, w, in_channels)."""
        d_features = self.levels[0][2]
        d_y, d_branch, d_next = self.d_trunk
        self._conv_backward("trunk_conv", self.inputs[-1], d_features, d_y)
        for i in reversed(range(self.design.num_block)):
            np.multiply(d_y.buffer, DTYPE(BETA), out=d_branch.buffer)  # RRDB(x) = x + 0.2 D3(D2(D1(x)))
            for j in reversed(range(DENSE_BLOCKS)):
                x = self.inputs[DENSE_BLOCKS * i + j]
                self._dense_block_backward(f"RRDB_trunk.{i}.RDB{j + 1}", x, d_branch, d_next)
                d_branch, d_next = d_next, d_branch
            d_y.buffer[:] += d_branch.buffer
        d_y.buffer[:] += d_features.buffer
        d_pixels = self.low.allocate(self.design.in_channels)
        self._conv_backward("conv_first", self.pixels, d_y, d_pixels)
        return self.low.take(d_pixels)

    def _growth(self, name: str, x: FeatureMap, conv: Callable[..., None]) -> None:
        """g_k = LeakyReLU(conv_k(x, g1, ..., g_{k-1})), into [x g1 g2 g3 g4]."""
        num_feat, num_grow_ch = self.design.num_feat, self.design.num_grow_ch
        upsample(x, self.block.slice(0, num_feat))  # by 1: a copy
        for k in range(1, GROWTHS + 1):
            end = num_feat + (k - 1) * num_grow_ch
            g = self.block.slice(end, num_grow_ch)
            conv(f"{name}.conv{k}", self.block.slice(0, end), g, slope=SLOPE)

    def _dense_block(self, name: str, x: FeatureMap, y: FeatureMap, **epilogue: Any) -> None:
        """y = x + 0.2 conv5(x, g1, ..., g4), or what `epilogue` makes of conv5."""
        self._growth(name, x, self._conv)
        self._conv(f"{name}.conv5", self.block, y, **epilogue)

    def _dense_block_backward(self, name: str, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap) -> None:
        """d_x from d_y: what each layer passes on to its inputs is added up from conv5 to conv1."""
        num_feat, num_grow_ch = self.design.num_feat, self.design.num_grow_ch
        self._growth(name, x, self._conv_again)
        d_block, following = self.d_block
        self._conv_backward(f"{name}.conv5", self.block, d_y, d_block, scale=BETA)
        for k in reversed(range(1, GROWTHS + 1)):
            end = num_feat + (k - 1) * num_grow_ch
            leaky_relu_backward(self.block.slice(end, num_grow_ch), d_block.slice(end, num_grow_ch), self.d_g, SLOPE)
            inputs, so_far = self.block.slice(0, end), d_block.slice(0, end)
            if k > 1:
                self._conv_backward(f"{name}.conv{k}", inputs, self.d_g, following.slice(0, end), skip=so_far)
            else:
                self._conv_backward(f"{name}.conv1", inputs, self.d_g, d_x, skip=so_far, outer=d_y)
            d_block, following = following, d_block

    def _forward_tail(self) -> None:
        """upconv1 to conv_last; of the three maps at each enlargement (a, b, c), b is what is kept, c HRconv's."""
        for i in range(1, self.design.upsamplings + 1):
            a, b, _ = self.levels[i]
            upsample(self.levels[i - 1][1], a)
            self._conv(f"upconv{i}", a, b, slope=SLOPE)
        _, b, c = self.levels[-1]
        self._conv("HRconv", b, c, slope=SLOPE)
        self._conv("conv_last", c, self.out)

    def _backward_tail(self) -> None:
        """The gradient of the features, into c at low resolution; maps that nothing needs any more are written over."""
        a, b, c = self.levels[-1]
        self._conv_backward("conv_last", c, self.d_out, a)
        leaky_relu_backward(c, a, a, SLOPE)
        self._conv_backward("HRconv", b, a, c)
        for i in reversed(range(1, self.design.upsamplings + 1)):
            a, b, c = self.levels[i]
            features, d_features = self.levels[i - 1][1:]
            leaky_relu_backward(b, c, c, SLOPE)
            upsample(features, a)
            self._conv_backward(f"upconv{i}", a, c, b)
            upsample_backward(b, d_features)

    def _conv(self, name: str, x: FeatureMap, out: FeatureMap, **epilogue: Any) -> None:
        """Write layer `name` of `x` into `out`; `epilogue` are the terms of `conv.epilogue.Epilogue`."""
        self.convolutions[name](x, out, Epilogue(self.layers[name].bias, **epilogue))
        self._clear_gaps(out)

    def _conv_again(self, name: str, x: FeatureMap, out: FeatureMap, **epilogue: Any) -> None:
        """`_conv` on the way back: an SVD pair keeps what its derivative would compute once more."""
        layer = self.layers[name]
        if not isinstance(layer, Separable):
            self._conv(name, x, out, **epilogue)
            return
        self.backwards[name] = backward = SeparableBackward(layer)
        backward.forward(x, out, Epilogue(layer.bias, **epilogue))
        self._clear_gaps(out)

    def _conv_backward(
        self, name: str, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, scale: float = 1.0, **epilogue: Any
    ) -> None:
        """Keep the gradients of layer `name`, of which y is `scale` times the result; write that of `x` into `d_x`."""
        layer = self.layers[name]
        no_bias = np.zeros(layer.shape[1], DTYPE)
        backward = self.backwards.pop(name, None) or _BACKWARD[type(layer)](layer)
        gradients = backward(x, d_y, d_x, Epilogue(no_bias, scale=scale, **epilogue))
        self.gradients[name] = {field: DTYPE(scale) * array for field, array in gradients.items()}
        self._clear_gaps(d_x)

    def _clear_gaps(self, x: FeatureMap) -> None:
        next(stack for stack in self.stacks if stack.crops * (stack.height + stack.gap) == x.height).clear_gaps(x)


def _pixel_shuffle(d_pixels: np.ndarray, factor: int) -> np.ndarray:
    """The transpose of `pixel_unshuffle` for whole blocks: (B, h, w, C factor²) -> (B, factor h, factor w, C)."""
    count, height, width, channels = d_pixels.shape
    blocks = d_pixels.reshape(count, height, width, channels // factor**2, factor, factor)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(count, factor * height, factor * width, -1)
