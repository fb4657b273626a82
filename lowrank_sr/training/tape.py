"""The operations of `network/esrgan.py` on stacks of crops, and beside each its derivative.

The tape records what is computed, and `backward` goes through it from the end. d_x is the gradient of the loss with
respect to x. Of a dense block only the input is kept. g1 to g4 are computed again on the way back (Chen et al. 2016,
"Training Deep Nets with Sublinear Memory Cost"); conv5, nearly half of a block, is not needed again.

Memory for each pixel of low resolution, in floats, with U upsamplings and n blocks:

    3 n + 4                                x num_feat    inputs of the dense blocks, and gradients between them
    3 num_feat + 13 num_grow_ch                          the block of now: x g1 ... g4, two gradients of it, one of g_k
    K1 + K2 + K3 + K4                                    and what its SVD pairs of ranks K keep
    3 (4 + ... + 4^U)                      x num_feat    three maps at each enlargement

For psnr-small that is 21 KB, of which the tail has 15; what the layers need for themselves comes on top.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from lowrank_sr.conv.epilogue import NOTHING
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, upsample
from lowrank_sr.network.architecture import CONVOLUTIONS
from lowrank_sr.network.esrgan import BETA, SLOPE
from lowrank_sr.training.layer import TrainedLayer
from lowrank_sr.training.maps import Pool, Value
from lowrank_sr.training.pointwise import leaky_relu_backward, upsample_backward
from lowrank_sr.training.stack import Stack

Gradients = dict[str, dict[str, np.ndarray]]
"""The gradient of every array of every layer, by the names of both."""


class Tape:
    """Operations by `layers` on maps of `pool`, recorded so that `backward` can go through them again."""

    def __init__(self, layers: Mapping[str, TrainedLayer], pool: Pool) -> None:
        self.layers = layers
        self.pool = pool
        self.gradients: Gradients = {}
        self._steps: list[Callable[[], None]] = []  # the derivatives of what was done so far

    def backward(self) -> None:
        """From the gradient of the last result to those of everything before it, and of the layers' arrays."""
        while self._steps:
            self._steps.pop()()

    def conv(self, name: str, x: Value, *, factor: int = 1, slope: float = 1, skip: Value | None = None) -> Value:
        """y = skip + LeakyReLU(layer(x)), x enlarged by `factor`."""
        layer, stack = self.layers[name], x.stack.enlarged(factor)
        y = Value(stack, self.pool.take(stack, layer.layer.shape[0]))
        read = x.map if factor == 1 else self._enlarged(x, stack)
        layer.forward(stack, read, y.map, slope=slope, skip=NOTHING if skip is None else skip.map)
        if factor > 1:
            self.pool.give_back(stack, read)
        self._steps.append(partial(self._conv_backward, name, x, factor, slope, skip, y))
        return y

    def _conv_backward(self, name: str, x: Value, factor: int, slope: float, skip: Value | None, y: Value) -> None:
        """d_x from d_y, which is also that of the skip."""
        d_y = self._gradient(y)
        if slope != 1:
            leaky_relu_backward(y.map, d_y, d_y, slope)
        self.pool.give_back(y.stack, y.map)
        read = x.map if factor == 1 else self._enlarged(x, y.stack)
        d_read = self.pool.take(y.stack, read.channels)
        self.gradients[name] = self.layers[name].backward(y.stack, read, d_y, d_read)
        if factor == 1:
            x.gradients.append(d_read)
        else:
            d_x = self.pool.take(x.stack, read.channels)
            upsample_backward(d_read, d_x)
            self.pool.give_back(y.stack, read, d_read)
            x.gradients.append(d_x)
        self._hand_on(d_y, y.stack, skip)

    def dense_block(self, name: str, x: Value, *, outer: Value | None = None) -> Value:
        """y = D(x) = x + 0.2 conv5(x, g1, ..., g4), or outer + 0.2 D(x)."""
        names = [f"{name}.conv{k}" for k in range(1, CONVOLUTIONS + 1)]
        y, block = Value(x.stack, self.pool.take(x.stack, x.map.channels)), self._block(names, x)
        for each in names[:-1]:
            inputs, g = self._maps_of(each, block)
            self.layers[each].forward(x.stack, inputs, g, slope=SLOPE)
        if outer is None:
            self.layers[names[-1]].forward(x.stack, block, y.map, scale=BETA, skip=x.map)
        else:
            terms = {"scale": BETA**2, "skip": x.map, "skip_scale": BETA, "outer": outer.map}
            self.layers[names[-1]].forward(x.stack, block, y.map, **terms)
        self.pool.give_back(x.stack, block)
        self._steps.append(partial(self._dense_block_backward, names, x, outer, y))
        return y

    def _dense_block_backward(self, names: list[str], x: Value, outer: Value | None, y: Value) -> None:
        """d_x from d_y, or from 0.2 d_y, where d_y is also that of `outer`."""
        d_y = self._gradient(y)
        self.pool.give_back(y.stack, y.map)
        if outer is None:
            self._add_up(names, x, d_y)
        else:
            d_inner = self.pool.take(y.stack, d_y.channels)
            np.multiply(d_y.buffer, DTYPE(BETA), out=d_inner.buffer)
            self._add_up(names, x, d_inner)
            self.pool.give_back(y.stack, d_inner)
        self._hand_on(d_y, y.stack, outer)

    def _add_up(self, names: list[str], x: Value, d_y: FeatureMap) -> None:
        """d_x from that of D(x): the sum of what conv5 to conv1 pass on to their inputs, and of d_y."""
        stack, block = x.stack, self._block(names, x)
        *growing, last = names
        derivatives = [
            self.layers[each].forward_again(stack, *self._maps_of(each, block), slope=SLOPE) for each in growing
        ]
        d_x, d_g = (
            self.pool.take(stack, channels) for channels in (d_y.channels, self.layers[growing[0]].layer.shape[0])
        )
        so_far, following = (self.pool.take(stack, block.channels) for _ in range(2))  # gradients of [x g1 g2 g3 g4]
        self.gradients[last] = self.layers[last].backward(stack, block, d_y, so_far, scale=BETA)
        for each in reversed(growing):
            inputs, g = self._maps_of(each, block)
            d_inputs, d_activated = self._maps_of(each, so_far)
            leaky_relu_backward(g, d_activated, d_g, SLOPE)
            is_first = each == growing[0]
            target, outer = (d_x, d_y) if is_first else (following.slice(0, inputs.channels), NOTHING)
            self.gradients[each] = self.layers[each].backward(
                stack, inputs, d_g, target, derivatives.pop(), skip=d_inputs, outer=outer
            )
            so_far, following = following, so_far
        self.pool.give_back(stack, block, so_far, following, d_g)
        x.gradients.append(d_x)

    def _block(self, names: list[str], x: Value) -> FeatureMap:
        """Room for [x g1 g2 g3 g4], all that conv5 reads, with x in it."""
        block = self.pool.take(x.stack, self.layers[names[-1]].layer.shape[1])
        upsample(x.map, block.slice(0, x.map.channels))  # by 1: a copy
        return block

    def _maps_of(self, name: str, block: FeatureMap) -> tuple[FeatureMap, FeatureMap]:
        """Of [x g1 g2 g3 g4] what conv_k reads, x to g_{k-1}, and g_k, which it writes."""
        n, c, _ = self.layers[name].layer.shape
        return block.slice(0, c), block.slice(c, n)

    def _enlarged(self, x: Value, stack: Stack) -> FeatureMap:
        enlarged = self.pool.take(stack, x.map.channels)
        upsample(x.map, enlarged)
        return enlarged

    def _gradient(self, y: Value) -> FeatureMap:
        """The sum of the gradients of `y`, once all that have read it are done with."""
        total = y.gradients.pop()
        for part in reversed(y.gradients):
            total.buffer[:] += part.buffer
            self.pool.give_back(y.stack, part)
        return total

    def _hand_on(self, d_y: FeatureMap, stack: Stack, to: Value | None) -> None:
        """Give a gradient to what was added, and back to the pool where there is no such thing."""
        if to is None:
            self.pool.give_back(stack, d_y)
        else:
            to.gradients.append(d_y)
