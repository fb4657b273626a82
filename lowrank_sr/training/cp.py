"""The derivative of a CP layer, step by step backwards.

    a[p, r] = sum over c of cp_in[c, r] x[p, c]                 d_in[c, r]  = sum over p of x[p, c] da[p, r]
    b[p, r] = sum over i of cp_y[i, r] a[p + i, r]              d_y[i, r]   = sum over p of db[p, r] a[p + i, r]
    e[p, r] = sum over j of cp_x[j, r] b[p + j, r]              d_x[j, r]   = sum over p of de[p, r] b[p + j, r]
    y[p, n] = bias[n] + sum over r of cp_out[n, r] e[p, r]      d_out[n, r] = sum over p of dy[p, n] e[p, r]

    de[p, r] = sum over n of cp_out[n, r] dy[p, n]
    db[q, r] = sum over j of cp_x[j, r] de[q - j, r]            j columns to the right
    da[q, r] = sum over i of cp_y[i, r] db[q - i, r]            i rows down
    dx[p, c] = sum over r of cp_in[c, r] da[p, r]

So dx is CP again, its factors turned and `cp_in` exchanged with `cp_out`. The gradients of the factors need all six
maps of R channels, which are therefore written to memory, and dx is computed from da instead of from dy once more.

Extra memory: six maps, 6 R floats a pixel, and that of `correlation.py`.
"""

from collections.abc import Mapping

import numpy as np
from numba import prange

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import FeatureMap, allocate
from lowrank_sr.conv.methods import direct_convolution
from lowrank_sr.layers import CP
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.threads import parallel_region, thread_count
from lowrank_sr.training.correlation import POINT, correlation
from lowrank_sr.training.pointwise import bias_gradient


class CPBackward:
    """The backward pass of a CP layer, its factors prepared."""

    def __init__(self, layer: CP) -> None:
        self.layer = layer
        self.no_bias = Epilogue(np.zeros(layer.rank, np.float32))
        self.to_a = direct_convolution(layer.cp_in.T[:, :, None, None])
        self.to_d_e = direct_convolution(layer.cp_out.T[:, :, None, None])
        self.to_d_x = direct_convolution(layer.cp_in[:, :, None, None])

    def __call__(self, x: FeatureMap, d_y: FeatureMap, d_x: FeatureMap, epilogue: Epilogue) -> Mapping[str, np.ndarray]:
        """Write the gradient of the input through `epilogue` into `d_x`; return those of the layer's arrays by name."""
        layer = self.layer
        a, b, e, d_e, d_b, d_a = (allocate(x.height, x.width, layer.rank) for _ in range(6))
        self.to_a(x, a, self.no_bias)
        self.to_d_e(d_y, d_e, self.no_bias)
        workers = thread_count()
        sums = np.zeros((workers, 2, *layer.cp_y.shape), np.float32)
        with parallel_region(workers):
            buffers = (m.buffer for m in (a, b, e, d_e, d_b, d_a))
            _depthwise_loops(*buffers, layer.cp_y, layer.cp_x, x.height, x.width, sums)
        self.to_d_x(d_a, d_x, epilogue)
        d_cp_y, d_cp_x = sums.sum(0)
        return {
            "cp_in": correlation(x, d_a, POINT)[:, 0],
            "cp_y": d_cp_y,
            "cp_x": d_cp_x,
            "cp_out": correlation(e, d_y, POINT)[:, 0].T,
            "bias": bias_gradient(d_y),
        }


@compiled(parallel=True)
def _depthwise_loops(
    a: np.ndarray,
    b: np.ndarray,
    e: np.ndarray,
    d_e: np.ndarray,
    d_b: np.ndarray,
    d_a: np.ndarray,
    cp_y: np.ndarray,
    cp_x: np.ndarray,
    height: int,
    width: int,
    sums: np.ndarray,
) -> None:
    """b and e from a, d_b and d_a from d_e, and the gradients of cp_y and cp_x, into (workers, 2, d, R) of `sums`.

    Pixel (row, column) of the buffers is that of the picture at (row - 1, column - 1), and what lies around the
    picture is zero.
    """
    workers, _, taps, rank = sums.shape
    for worker in prange(workers):
        top, bottom = 1 + height * worker // workers, 1 + height * (worker + 1) // workers
        d_cp_y, d_cp_x = sums[worker, 0], sums[worker, 1]
        for row in range(top, bottom):
            for column in range(1, width + 1):
                for r in range(rank):
                    b[row, column, r] = 0
                    d_b[row, column, r] = 0
                for tap in range(taps):
                    for r in range(rank):
                        b[row, column, r] += cp_y[tap, r] * a[row + tap - 1, column, r]
                        d_b[row, column, r] += cp_x[tap, r] * d_e[row, column - tap + 1, r]
                for tap in range(taps):
                    for r in range(rank):
                        d_cp_y[tap, r] += d_b[row, column, r] * a[row + tap - 1, column, r]
            for column in range(1, width + 1):
                for r in range(rank):
                    e[row, column, r] = 0
                for tap in range(taps):
                    for r in range(rank):
                        e[row, column, r] += cp_x[tap, r] * b[row, column + tap - 1, r]
                        d_cp_x[tap, r] += d_e[row, column, r] * b[row, column + tap - 1, r]
    for worker in prange(workers):  # once all of d_b is there
        for row in range(1 + height * worker // workers, 1 + height * (worker + 1) // workers):
            for column in range(1, width + 1):
                for r in range(rank):
                    d_a[row, column, r] = 0
                for tap in range(taps):
                    for r in range(rank):
                        d_a[row, column, r] += cp_y[tap, r] * d_b[row - tap + 1, column, r]
