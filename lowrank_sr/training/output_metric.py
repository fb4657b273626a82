"""What an error in a layer's output does to the picture: the metric in which the layer's factors are fitted.

Let e be the error of a layer's output, N numbers at each pixel p, and J_p the Jacobian of the picture by that output at
p. To first order the picture changes by Σ_p J_p e_p. Where errors of different pixels have nothing to do with each
other, the expected square of that is

    E‖Σ_p J_p e_p‖² = Σ_p E[e_pᵀ M e_p]          M = E[J_pᵀ J_p], (N, N)

M is the metric of the layer. A product with the Jacobian's transpose is a walk back through the network, and with
signs v = ±1 drawn at random, E[v vᵀ] = I, so that

    M = E[(J_pᵀ v) (J_pᵀ v)ᵀ]

is the second moment of what comes back to the layer: the block of the Gauss-Newton matrix that belongs to one pixel of
its output.

References
----------
Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015 (a layer's
share of the curvature as a product of what it reads and what comes back to it).
Hutchinson, "A stochastic estimator of the trace", Communications in Statistics 19, 1990 (random signs).
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap
from lowrank_sr.layers import Dense, Layer
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.training.dense import DenseBackward
from lowrank_sr.training.layer import prepare
from lowrank_sr.training.walk import Walk

METRIC_CROPS = 32  # a few of them have most of the metric: where an edge of the picture depends on little
METRIC_SIDE = 32  # of their middles, in pixels of low resolution
WALK_CROPS = 16
METRIC_RIDGE = 0.03  # of a metric's mean eigenvalue: an output that does nothing here may do something elsewhere


def output_metrics(net: RRDBNet, low: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """M of every layer of a dense network by name, (N, N) float64, on the first of crops `low` (B, h, h, 3).

    In units of the picture's mean squared error, which is E[eᵀ M e], the mean over the pixels of the layer's output.
    `seed` draws the signs.
    """
    crops = middles(low)
    rng = np.random.default_rng(seed)
    layers = {name: layer._replace(derivative_of=_OutputMoments) for name, layer in prepare(net.layers).items()}
    sums = {name: np.zeros((layer.shape[0],) * 2) for name, layer in net.layers.items()}
    for first in range(0, len(crops), WALK_CROPS):
        stack = crops[first : first + WALK_CROPS]
        if first == 0 or len(stack) < WALK_CROPS:  # the last may be smaller
            walk = Walk(net.architecture, *stack.shape[:3])
        run = walk.forward(layers, stack)
        moments, _ = run.backward(rng.choice(np.array([-1, 1], DTYPE), run.out.shape))
        for name in sums:
            sums[name] += moments[name]["output"]
    values = len(crops) * run.out[0].size
    return {name: total / values for name, total in sums.items()}


def middles(low: np.ndarray) -> np.ndarray:
    """Of the first METRIC_CROPS of crops (B, h, h, 3) the middle METRIC_SIDE x METRIC_SIDE pixels: few, of many."""
    margin = max(0, low.shape[1] - METRIC_SIDE) // 2
    return low[:METRIC_CROPS, margin : low.shape[1] - margin, margin : low.shape[2] - margin]


def ridged(metric: np.ndarray) -> np.ndarray:
    """M + λ I, λ a METRIC_RIDGE of the mean eigenvalue: what errors are weighed by."""
    n = len(metric)
    return np.asarray(metric + METRIC_RIDGE * np.trace(metric) / n * np.eye(n))


class _OutputMoments:
    """The derivative of a dense layer, with what comes back to its output in place of its arrays' gradients."""

    def __init__(self, layer: Layer) -> None:
        assert isinstance(layer, Dense)
        self.convolve_turned = DenseBackward(layer).convolve_turned

    def __call__(self, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, epilogue: Epilogue) -> Mapping[str, np.ndarray]:
        """Write the gradient of the input into `d_x`; return Σ_p g_p g_pᵀ / scale, g = scale d_y that of the output."""
        self.convolve_turned(d_y, d_x, epilogue)
        g = d_y.array.reshape(-1, d_y.channels)  # zero between the crops
        return {"output": epilogue.scale * (g.T @ g)}
