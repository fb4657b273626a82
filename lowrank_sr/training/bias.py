"""The derivative of a layer of rank 0.

    y[p, n] = bias[n]          dx = 0,    dbias[n] = sum over p of dy[p, n]

Extra memory: none.
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.conv.bias_alone import write_bias
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap
from lowrank_sr.layers import CP, Separable
from lowrank_sr.training.pointwise import bias_gradient


class BiasBackward:
    """The backward pass of a layer of rank 0, whose factors are empty."""

    def __init__(self, layer: Separable | CP) -> None:
        self.layer = layer

    def __call__(self, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, epilogue: Epilogue) -> Mapping[str, np.ndarray]:
        """Write zeros through `epilogue` into `d_x`; return the gradients of the layer's arrays by name."""
        write_bias(d_x, epilogue)
        return self.layer.arrays() | {"bias": bias_gradient(d_y)}
