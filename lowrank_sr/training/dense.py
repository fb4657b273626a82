"""The derivative of a dense layer.

    y[p, n]            = bias[n] + sum over t, c of W[n, c, t] x[p + t, c]           pixel p, tap t

    dx[q, c]           = sum over t, n of W[n, c, t] dy[q - t, n]
    dW[n, c, t]        = sum over p of dy[p, n] x[p + t, c]
    dbias[n]           = sum over p of dy[p, n]

The first is a convolution of dy by the kernel turned by 180 degrees, its input and output channels exchanged: it goes
by Winograd's algorithm, as the layer itself does. The second is a correlation, by BLAS (`correlation.py`).

Extra memory: that of both; the turned kernel as `winograd.py` prepares it.
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense
from lowrank_sr.training.correlation import SQUARE, correlation
from lowrank_sr.training.pointwise import bias_gradient


class DenseBackward:
    """The backward pass of a dense layer, its turned kernel prepared."""

    def __init__(self, layer: Dense) -> None:
        self.layer = layer
        turned = np.ascontiguousarray(layer.weight[:, :, ::-1, ::-1].swapaxes(0, 1))  # (C, N, d, d)
        self.convolve_turned = convolution(Dense(turned, np.zeros(len(turned), np.float32)), "winograd")

    def __call__(self, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, epilogue: Epilogue) -> Mapping[str, np.ndarray]:
        """Write the gradient of the input through `epilogue` into `d_x`; return those of the layer's arrays by name."""
        self.convolve_turned(d_y, d_x, epilogue)
        d_weight = correlation(x, d_y, SQUARE)  # (C, d d, N)
        return {"weight": d_weight.transpose(2, 0, 1).reshape(self.layer.weight.shape), "bias": bias_gradient(d_y)}
