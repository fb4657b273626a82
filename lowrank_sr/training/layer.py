"""One layer forwards and backwards on a stack, whatever its form."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap
from lowrank_sr.conv.methods import Convolution, convolution
from lowrank_sr.layers import CP, Dense, Layer, Separable
from lowrank_sr.training.bias import BiasBackward
from lowrank_sr.training.cp import CPBackward
from lowrank_sr.training.dense import DenseBackward
from lowrank_sr.training.separable import SeparableBackward
from lowrank_sr.training.stack import Stack

METHOD = "winograd"  # of every layer, whatever is fastest here: a run that is resumed must go on as it began

Backward = Callable[[FeatureMap, FeatureMap, FeatureMap, Epilogue], Mapping[str, np.ndarray]]
"""backward(x, d_y, d_x, epilogue): write the gradient of the input into d_x, return those of the arrays by name."""

_BACKWARD: dict[type[Layer], Callable[..., Backward]] = {
    Dense: DenseBackward,
    Separable: SeparableBackward,
    CP: CPBackward,
}


def _derivative(layer: Layer) -> Backward:
    return BiasBackward(layer) if layer.rank == 0 else _BACKWARD[type(layer)](layer)


class TrainedLayer(NamedTuple):
    """A layer, and its convolution with the kernel in the order in which the loops read it.

    `terms` are those of `conv.epilogue.Epilogue` besides the bias. `derivative_of` makes what goes back through it.
    """

    layer: Layer
    convolve: Convolution
    derivative_of: Callable[[Layer], Backward] = _derivative

    def forward(self, stack: Stack, x: FeatureMap, y: FeatureMap, **terms: Any) -> None:
        """Write the layer's output for `x`, with `terms`, into `y`."""
        self.convolve(x, y, Epilogue(self.layer.bias, **terms))
        stack.clear_gaps(y)

    def forward_again(self, stack: Stack, x: FeatureMap, y: FeatureMap, **terms: Any) -> Backward:
        """`forward`, and the derivative at `x`: an SVD pair keeps for it what it would compute once more."""
        backward = self.derivative_of(self.layer)
        if isinstance(backward, SeparableBackward):
            backward.forward(x, y, Epilogue(self.layer.bias, **terms))
            stack.clear_gaps(y)
        else:
            self.forward(stack, x, y, **terms)
        return backward

    def backward(
        self,
        stack: Stack,
        x: FeatureMap,
        d_y: FeatureMap,
        d_x: FeatureMap,
        derivative: Backward | None = None,
        scale: float = 1.0,
        **terms: Any,
    ) -> dict[str, np.ndarray]:
        """The gradients of the layer's arrays, where y is `scale` times its output; write that of `x` into `d_x`."""
        derivative = derivative or self.derivative_of(self.layer)
        no_bias = np.zeros(self.layer.shape[1], DTYPE)
        gradients = derivative(x, d_y, d_x, Epilogue(no_bias, scale=scale, **terms))
        stack.clear_gaps(d_x)
        return {field: DTYPE(scale) * array for field, array in gradients.items()}


def prepare(layers: Mapping[str, Layer]) -> dict[str, TrainedLayer]:
    """`layers`, by name, as a tape takes them."""
    return {
        name: TrainedLayer(layer, convolution(layer, METHOD, keep_transformed=False)) for name, layer in layers.items()
    }
