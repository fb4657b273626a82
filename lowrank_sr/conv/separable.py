"""The SVD pair, both halves fused: a d x 1 convolution to K channels, then a 1 x d one (Tai et al. 2015, section 3).

    middle[y, x, k] = sum over i, c of vertical[k, c, i] * in[y + i - d//2, x, c]
    out[y, x, n]    = sum over j, k of horizontal[n, k, j] * middle[y, x + j - d//2, k]

Run as two layers, the pair writes K channels of the whole image to memory and reads them back. Here a row of the image
goes through both halves at once: its middle, (W, K), stays in cache. Neighbouring pixels of the middle lie one after
the other, so the d taps of the second half are one product of depth d K: im2col without a copy.

The middle is computed in whole vectors: a rank that is a multiple of LANES wastes nothing.

Extra memory: one row of the middle a thread, (W + d - 1 + 2 MR) K floats.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch, each_number_once
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.micro_kernel import multiply, multiply_maps, pack_panels
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.layers import Separable
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import round_up


class Factors(NamedTuple):
    """The factors as the loops read them, float32, K rounded up to whole vectors with zeros.

    `vertical` (panels of K, d, C, NR), `horizontal` (panels of N, d K, NR).
    """

    vertical: np.ndarray
    horizontal: np.ndarray


def prepare(layer: Separable, keep_transformed: bool) -> Factors:
    """Order the factors for `convolve`."""
    n, _, d = layer.shape
    padded = np.zeros((d, round_up(layer.rank, LANES), n), np.float32)
    padded[:, : layer.rank] = layer.horizontal.transpose(2, 1, 0)
    return Factors(pack_panels(layer.vertical.transpose(2, 1, 0)), pack_panels(padded.reshape(-1, n)))


def convolve(inputs: np.ndarray, operands: np.ndarray, factors: Factors, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with prepared factors on `workers` threads."""
    _separable_loops(inputs, operands, factors.vertical, factors.horizontal, workers)


@compiled(parallel=True, error_model="numpy")
def _separable_loops(
    inputs: np.ndarray, operands: np.ndarray, vertical: np.ndarray, horizontal: np.ndarray, workers: int
) -> None:
    """A row of the picture at a time."""
    rank_panels, d, _, _ = vertical.shape
    out_panels, depth, _ = horizontal.shape
    rank = depth // d
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        out = operand.out
        columns = out.width + 2 * (d // 2)  # zeros beyond the picture stay zeros
        middle = np.zeros((columns + 2 * MR, rank), np.float32)  # pixel x of the row at middle[x + d//2]
        sums = np.empty((MR, NR), np.float32)
        row = next_turn(counter.ctypes.data)
        while row < out.height:
            for panel in range(rank_panels):
                remaining_rank = rank - panel * NR
                for column in range(0, columns, MR):
                    target = middle[column, panel * NR :].ctypes.data
                    for i in range(d):
                        weights = vertical[panel, i].ctypes.data
                        tap_row, tap_column = row + i - d // 2, column - d // 2
                        multiply_maps(target, 4 * rank, inputs, tap_row, tap_column, weights, remaining_rank, i > 0)
            for panel in range(out_panels):
                weights = horizontal[panel].ctypes.data
                remaining_channels = out.channels - panel * NR
                for column in range(0, out.width, MR):
                    pixels = middle[column].ctypes.data
                    multiply(sums.ctypes.data, 4 * NR, pixels, 4 * rank, weights, depth, remaining_channels)
                    count = min(MR, out.width - column)
                    apply_epilogue(sums.ctypes.data, 4 * NR, operands, row, column, count, panel * NR)
            row = next_turn(counter.ctypes.data)


def _scratch(layer: Separable, call: Call, keep_transformed: bool) -> Scratch:
    _, _, d = layer.shape
    rank = round_up(layer.rank, LANES)
    return Scratch(call.workers * 4 * ((call.width + d - 1 + 2 * MR) * rank + MR * NR))


ALGORITHM: Algorithm[Separable, Factors] = Algorithm(
    name="direct",
    form=Separable,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=each_number_once,
)
