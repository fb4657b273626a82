"""Direct convolution: the sum as it is written, without a transform or a copy of the input.

    out[y, x, n] = sum over i, j, c of kernel[n, c, i, j] * in[y + i - d//2, x + j - d//2, c]

Neighbouring pixels share weights and neighbouring output channels share pixels, so ROWS pixels x PANEL channels are
summed together in registers (`tile.py`), tap by tap. What limits it: the multiply-adds themselves. With the sums in
registers a step costs 2 loads and ROWS broadcasts for 2 ROWS multiply-adds; a loop that leaves its sums in memory
pays a load and a store for each, and stops at about half of this speed. The explicit vectors also use all 512 bits
where the processor has them.

Extra memory: one tile of sums a thread.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import take
from lowrank_sr.conv.tile import accumulate, panels
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import PANEL, ROWS


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Order a (N, C, d, d) kernel as the loops read it: float32 (panels, d, d, C, PANEL)."""
    return panels(kernel.transpose(2, 3, 1, 0))


@compiled(parallel=True, error_model="numpy")
def convolve(operands, kernel, workers):
    """Convolve `operands` (see `epilogue.py`) with a prepared kernel on `workers` threads."""
    panel_count, d, _, channels, _ = kernel.shape
    turn = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        x, out = operand.x, operand.out
        sums = np.empty((ROWS, PANEL), np.float32)
        row = take(turn.ctypes.data)
        while row < out.height:
            for panel in range(panel_count):
                columns = out.channels - panel * PANEL
                for column in range(0, out.width, ROWS):
                    sums[:] = 0
                    for i in range(d):
                        for j in range(d):
                            pixels = address(x, row + i - d // 2, column + j - d // 2)
                            weights = kernel[panel, i, j].ctypes.data
                            accumulate(sums.ctypes.data, 4 * PANEL, pixels, x.pixel, weights, channels, columns)
                    count = min(ROWS, out.width - column)
                    finish(sums.ctypes.data, 4 * PANEL, operand, row, column, count, panel * PANEL)
            row = take(turn.ctypes.data)
