"""The derivative of an SVD pair, through the K channels between its two convolutions.

    m[p, k]                = sum over i, c of vertical[k, c, i] x[p + i, c]              i rows down
    y[p, n]                = bias[n] + sum over j, k of horizontal[n, k, j] m[p + j, k]  j columns to the right

    dm[q, k]               = sum over j, n of horizontal[n, k, j] dy[q - j, n]
    dx[q, c]               = sum over i, k of vertical[k, c, i] dm[q - i, k]
    dhorizontal[n, k, j]   = sum over p of dy[p, n] m[p + j, k]
    dvertical[k, c, i]     = sum over p of dm[p, k] x[p + i, c]

So dx is again such a pair, of the same rank, its factors turned and exchanged, and horizontal first. The gradients of
the factors need both m and dm. They are therefore written to memory, and dx is computed from dm instead of by F(6, 3)
from dy, which would compute dm again. The (N, C, 3, 3) gradient of the product is never formed: 9 N C multiplications a
pixel, where those of the factors take 3 K (N + C), a quarter of that in a layer that is 4 times as fast.

A layer that is computed again goes through m too: what is left to do is then y from m, whose channels are few,
and m needs no second turn.

Extra memory: m and dm, 2 K floats a pixel, and that of `correlation.py`.
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap, allocate
from lowrank_sr.conv.methods import direct_convolution
from lowrank_sr.layers import Separable
from lowrank_sr.training.correlation import COLUMN, ROW, correlation
from lowrank_sr.training.pointwise import bias_gradient


class SeparableBackward:
    """The backward pass of an SVD pair, its factors prepared."""

    def __init__(self, layer: Separable) -> None:
        self.rank = layer.rank
        self.middle: FeatureMap | None = None
        self.no_bias = Epilogue(np.zeros(layer.rank, np.float32))
        vertical, horizontal = layer.vertical[..., None], layer.horizontal[:, :, None]  # (K, C, d, 1), (N, K, 1, d)
        self.to_middle = direct_convolution(vertical)
        self.to_y = direct_convolution(horizontal)
        self.to_d_middle = direct_convolution(_turned(horizontal))
        self.to_d_x = direct_convolution(_turned(vertical))

    def forward(self, x: FeatureMap, y: FeatureMap, epilogue: Epilogue) -> None:
        """Write the layer's output through `epilogue` into `y`, and keep what lies between its convolutions."""
        self.middle = self._middle_of(x)
        self.to_y(self.middle, y, epilogue)

    def __call__(self, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, epilogue: Epilogue) -> Mapping[str, np.ndarray]:
        """Write the gradient of the input through `epilogue` into `d_x`; return those of the layer's arrays by name."""
        middle = self._middle_of(x) if self.middle is None else self.middle
        d_middle = allocate(x.height, x.width, self.rank)
        self.to_d_middle(d_y, d_middle, self.no_bias)
        self.to_d_x(d_middle, d_x, epilogue)
        d_horizontal = correlation(middle, d_y, ROW)  # (K, d, N)
        d_vertical = correlation(x, d_middle, COLUMN)  # (C, d, K)
        return {
            "vertical": d_vertical.transpose(2, 0, 1),
            "horizontal": d_horizontal.transpose(2, 0, 1),
            "bias": bias_gradient(d_y),
        }

    def _middle_of(self, x: FeatureMap) -> FeatureMap:
        middle = allocate(x.height, x.width, self.rank)
        self.to_middle(x, middle, self.no_bias)
        return middle


def _turned(kernel: np.ndarray) -> np.ndarray:
    """A kernel turned by 180 degrees, its input and output channels exchanged."""
    return kernel[:, :, ::-1, ::-1].swapaxes(0, 1)
