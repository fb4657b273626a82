"""Winograd's F(4 x 4, 3 x 3): 36 multiplications for a tile of 16 outputs instead of 144 (Lavin and Gray 2016).

    out tile = A' [ sum over c of (G kernel[n, c] G') * (B' in tile[c] B) ] A        * elementwise, ' transposed

Input tiles of 6 x 6 pixels overlap by 2. The sum over c, for each of the 36 elements, is a product of matrices
(tiles, C) @ (C, N): four times fewer multiplications than direct convolution, and as fast. The transforms are
additions along the channels, in registers. Rounding errors are some ten times those of direct convolution, since the
polynomials behind the transforms are evaluated at 0, 1, -1, 2, -2 and infinity, whose powers differ in size.

Tiles are processed in blocks whose transforms fit the second-level cache, whatever the layer's channels.

Extra memory: 36 (C + N) floats for each tile of one block a thread; the prepared kernel is 4 times the size of the
kernel.
"""

import numpy as np
from numba import njit, prange
from numba.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import TILE, address
from lowrank_sr.conv.simd import strided, take
from lowrank_sr.conv.tile import multiply
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

SIDE = TILE + 2  # of an input tile
ELEMENTS = SIDE * SIDE
SKEW = 16  # floats between the planes of elements, lest all 36 lie at the same place of the first-level cache

G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def times_b(d):
    """B' d for six values or vectors d."""
    even, odd = d[4] - 4 * d[2], d[3] - 4 * d[1]
    even2, odd2 = d[4] - d[2], 2 * (d[3] - d[1])
    return [4 * d[0] - 5 * d[2] + d[4], even + odd, even - odd, even2 + odd2, even2 - odd2, 4 * d[1] - 5 * d[3] + d[5]]


def times_a(m):
    """A' m for six values or vectors m."""
    even, odd = m[1] + m[2], m[1] - m[2]
    even2, odd2 = m[3] + m[4], m[3] - m[4]
    return [m[0] + even + even2, odd + 2 * odd2, even + 4 * even2, odd + 8 * odd2 + m[5]]


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Transform a (N, C, 3, 3) kernel, in float64, into panels: float32 (panels, 36, C, PANEL).

    Raises ValueError for a kernel of another size.
    """
    if kernel.shape[2:] != (3, 3):
        raise ValueError(f"kernel of {kernel.shape[2:]}: F(4 x 4, 3 x 3) is for 3 x 3")
    n, c, _, _ = kernel.shape
    prepared = np.zeros((-(-n // PANEL), ELEMENTS, c, PANEL), np.float32)
    for panel, start in zip(prepared, range(0, n, PANEL), strict=True):  # a panel at a time: float64 takes memory
        transformed = np.einsum("ik,nckl,jl->ijcn", G, kernel[start : start + PANEL].astype(float), G, optimize=True)
        panel[..., : n - start] = transformed.reshape(ELEMENTS, c, -1)
    return prepared


def _both_ways(transform, block):
    """Transform a square of values along its columns, then along its rows."""
    columns = zip(*(transform(column) for column in zip(*block, strict=True)), strict=True)
    return [transform(row) for row in columns]


def _transform_input(builder, pixels, row, pixel, target, plane, count=None):
    def place(i, j):
        return strided(builder, strided(builder, pixels, row, i), pixel, j)

    tile = [[simd.load(builder, place(i, j), count=count) for j in range(SIDE)] for i in range(SIDE)]
    for i in range(SIDE):  # what the next tile will read first: its columns that this one does not share
        for j in range(SIDE, SIDE + TILE):
            simd.prefetch(builder, place(i, j))
    for i, values in enumerate(_both_ways(times_b, tile)):
        for j, value in enumerate(values):
            simd.store(builder, value, strided(builder, target, plane, SIDE * i + j), count=count)


transform_input = simd.instructions(intp, intp, intp, intp, intp)(_transform_input)
transform_part = simd.instructions(intp, intp, intp, intp, intp, intp)(_transform_input)


@simd.instructions(intp, intp, intp)
def transform_output(builder, sums, plane, target):
    """A' sums A for LANES channels of one tile: 36 planes, `plane` bytes apart, to 16 pixels of PANEL sums."""
    values = [simd.load(builder, strided(builder, sums, plane, k)) for k in range(ELEMENTS)]
    square = [values[SIDE * i : SIDE * (i + 1)] for i in range(SIDE)]
    for i, row in enumerate(_both_ways(times_a, square)):
        for j, value in enumerate(row):
            simd.store(builder, value, target, (TILE * i + j) * PANEL)


def convolve(operands, kernel, workers):
    """Convolve `operands` (see `epilogue.py`) with a prepared kernel on `workers` threads."""
    out = operands["out"][0]
    tiles = -(-int(out["height"]) // TILE) * -(-int(out["width"]) // TILE)
    fitting = l2_bytes() // (4 * ELEMENTS * (kernel.shape[2] + kernel.shape[0] * PANEL))
    wanted = min(fitting, -(-tiles // (4 * workers)))
    _convolve(operands, kernel, max(1, wanted // ROWS) * ROWS, workers)


@compiled(parallel=True, error_model="numpy")
def _convolve(operands, kernel, block, workers):
    """`block` tiles at a time, a multiple of ROWS."""
    panel_count, _, channels, _ = kernel.shape
    turn = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        across = (operand.out.width + TILE - 1) // TILE
        tiles = across * ((operand.out.height + TILE - 1) // TILE)
        inputs = np.zeros((ELEMENTS, block * channels + SKEW), np.float32)
        sums = np.empty((ELEMENTS, panel_count * block * PANEL + SKEW), np.float32)
        pixels = np.empty((TILE, TILE, PANEL), np.float32)
        first = block * take(turn.ctypes.data)
        while first < tiles:
            count = min(block, tiles - first)
            for t in range(count):
                _gather(operand.x, (first + t) // across * TILE, (first + t) % across * TILE, inputs, t * channels)
            for k in range(ELEMENTS):
                for panel in range(panel_count):
                    for t in range(0, count, ROWS):
                        products = sums[k, (panel * block + t) * PANEL :].ctypes.data
                        rows = inputs[k, t * channels :].ctypes.data
                        weights, columns = kernel[panel, k].ctypes.data, operand.out.channels - panel * PANEL
                        multiply(products, 4 * PANEL, rows, 4 * channels, weights, channels, columns)
            for t in range(count):
                for panel in range(panel_count):
                    products = sums[0, (panel * block + t) * PANEL :].ctypes.data
                    for v in range(0, min(PANEL, operand.out.channels - panel * PANEL), LANES):
                        transform_output(products + 4 * v, sums.strides[0], pixels.ctypes.data + 4 * v)
                    _scatter(operand, (first + t) // across * TILE, (first + t) % across * TILE, pixels, panel)
            first = block * take(turn.ctypes.data)


@njit(inline="always")
def _gather(x, row, column, inputs, start):
    """Transform the input tile of the output tile at (row, column) into inputs[:, start : start + C]."""
    pixels, target = address(x, row - 1, column - 1), inputs.ctypes.data + 4 * start
    whole = x.channels // LANES * LANES
    for c in range(0, whole, LANES):
        transform_input(pixels + 4 * c, x.row, x.pixel, target + 4 * c, inputs.strides[0])
    if whole < x.channels:
        transform_part(pixels + 4 * whole, x.row, x.pixel, target + 4 * whole, inputs.strides[0], x.channels - whole)


@njit(inline="always")
def _scatter(operand, row, column, pixels, panel):
    """Write what of a tile lies in the picture."""
    across = min(TILE, operand.out.width - column)
    for i in range(min(TILE, operand.out.height - row)):
        finish(pixels[i].ctypes.data, 4 * PANEL, operand, row + i, column, across, panel * PANEL)
