"""Direct convolution: the sum as it is written, without a transform or a copy of the input.

    out[y, x, n] = sum over i, j, c of kernel[n, c, i, j] * in[y + i - d//2, x + j - d//2, c]

Neighbouring pixels share weights and neighbouring output channels share pixels, so MR pixels x NR channels are summed
together in registers (`micro_kernel.py`), one tap after the other. What limits it is the multiply-adds themselves: with
the sums in registers a step costs 2 loads and MR broadcasts for 2 MR vector multiply-adds, where a loop that leaves its
sums in memory loads and stores one for each. The explicit vectors also use all 512 bits where the processor has them.

Extra memory: MR x NR sums, a thread.

The tour's chapter :doc:`/auto_tour/01_direct` computes it in plain NumPy.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Scratch
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.micro_kernel import multiply_maps, pack_panels
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.layers import Dense
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import MR, NR


class Kernel(NamedTuple):
    """A kernel as the loops read it: `panels` (panels of N, d, d, C, NR) float32, `taps` (T, 2), those not zero."""

    panels: np.ndarray
    taps: np.ndarray


def order(kernel: np.ndarray) -> Kernel:
    """Order a (N, C, d, d) kernel for `convolve`; either side may be 1 instead of d: d x 1, 1 x d or 1 x 1."""
    return Kernel(pack_panels(kernel.transpose(2, 3, 1, 0)), np.ascontiguousarray(_taps(kernel)))


def _taps(kernel: np.ndarray) -> np.ndarray:
    """The taps that are not zero for all channels; one at least: the first product is what the sums begin with."""
    taps = np.argwhere(kernel.any((0, 1)))
    return taps if len(taps) else np.zeros((1, 2), np.int64)


def convolve(inputs: np.ndarray, operands: np.ndarray, kernel: Kernel, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with a prepared kernel on `workers` threads."""
    _direct_loops(inputs, operands, kernel.panels, kernel.taps, workers)


@compiled(parallel=True, error_model="numpy")
def _direct_loops(inputs: np.ndarray, operands: np.ndarray, panels: np.ndarray, taps: np.ndarray, workers: int) -> None:
    """A row of the picture at a time."""
    panel_count, kernel_height, kernel_width, _, _ = panels.shape
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        out = operand.out
        sums = np.empty((MR, NR), np.float32)
        stride = 4 * NR
        row = next_turn(counter.ctypes.data)
        while row < out.height:
            for panel in range(panel_count):
                remaining_channels = out.channels - panel * NR
                for column in range(0, out.width, MR):
                    target = sums.ctypes.data
                    for t in range(len(taps)):
                        i, j = taps[t, 0], taps[t, 1]
                        weights = panels[panel, i, j].ctypes.data
                        tap_row, tap_column = row + i - kernel_height // 2, column + j - kernel_width // 2
                        multiply_maps(target, stride, inputs, tap_row, tap_column, weights, remaining_channels, t > 0)
                    count = min(MR, out.width - column)
                    apply_epilogue(target, stride, operands, row, column, count, panel * NR)
            row = next_turn(counter.ctypes.data)


ALGORITHM: Algorithm[Dense, Kernel] = Algorithm(
    name="direct",
    form=Dense,
    prepare=lambda layer, keep_transformed: order(layer.weight),
    convolve=convolve,
    scratch=lambda layer, call, keep_transformed: Scratch(call.workers * 4 * MR * NR),
    multiplications=lambda layer: len(_taps(layer.weight)) * layer.shape[0] * layer.shape[1],
)
