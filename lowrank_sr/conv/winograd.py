"""Winograd's F(4 x 4, 3 x 3): 36 multiplications for a tile of 16 outputs instead of 144 (Lavin and Gray 2016).

One dimension first. F(4, 3) computes four outputs of a filter g of three taps from six inputs d,

    y[j] = sum over i of g[i] d[j + i],    j = 0 ... 3,    i = 0 ... 2,

with 6 multiplications instead of 12: y = A' [(G g) * (B' d)], where * multiplies element by element and ' transposes.

Derivation (Toom-Cook: Winograd 1980; Blahut 2010, section 5.2; Lavin and Gray 2016, section 4). Take the
taps as a polynomial g(p) = g[0] + g[1] p + g[2] p^2 and multiply it by another, a(p) = a[0] + ... + a[3] p^3. The
product s(p) is of degree 5, so its values at six points determine it, and each value is one multiplication,
s(p) = g(p) a(p). The points are 0, 1, -1, 2, -2 and infinity, where a polynomial's value is its leading coefficient.
Three linear steps compute the product:

    evaluate g:      row of the point p: (1, p, p^2),         of infinity: (0, 0, 1)
    evaluate a:      row of the point p: (1, p, p^2, p^3),    of infinity: (0, 0, 0, 1)
    interpolate s:   s(x) = sum over p of s(p) L_p(x) + s(infinity) M(x),
                     M(x) = x (x - 1) (x + 1) (x - 2) (x + 2) = x^5 - 5 x^3 + 4 x,
                     L_p(x) = M(x) / (x - p) / f_p,    f_p = product over the other points q of (p - q)

L_p is 1 at p and 0 at the other four points. For a fixed g this is a linear map from a to s, a 6 x 4 matrix whose entry
(j + i, j) is g[i]. Its transpose is the 4 x 6 matrix that takes d to y. Transposed, the three steps run backwards:

    B' d     the transpose of interpolation. Row p: the coefficients of M(x) / (x - p), of 1, x, ..., x^5;
             row infinity: those of M(x).
    G g      the value of the filter's polynomial at each point, over the f_p that row p of B' leaves out.
    A' m     the transpose of evaluating a. Column p: (1, p, p^2, p^3); column infinity: (0, 0, 0, 1).

For p = 2: M(x) / (x - 2) = x (x + 2) (x^2 - 1) = -2 x - x^2 + 2 x^3 + x^4, the fourth row of B_T below;
f_2 = 2 (2 - 1) (2 + 1) (2 + 2) = 24, so that the fourth row of G is (1, 2, 4) / 24; the fourth column of A_T is
(1, 2, 4, 8).

Nested for two dimensions (Lavin and Gray 2016, equation 8), with a 3 x 3 filter g, a 6 x 6 input tile d and a 4 x 4
output tile Y: the transforms apply to the columns, then to the rows,

    Y = A' [(G g G') * (B' d B)] A,

6 x 6 = 36 multiplications where the sum itself takes 16 x 9 = 144. Input tiles overlap by 2 pixels. The transforms are
linear, so that channels are summed before A', and for each of the 36 elements e that sum is a product of matrices:

    inputs[e, t, c]  = (B' d[t, c] B)[e]                            tile t, input channel c
    sums[e, t, n]    = sum over c of inputs[e, t, c] kernel[e, c, n],    kernel[e, c, n] = (G g[n, c] G')[e]
    out tile[t, n]   = A' sums[:, t, n] A

Rounding errors are larger than those of direct convolution: an output is a difference of numbers larger than itself.
The magnitudes in a row of B' add up to 10 and in a row of A' to 19, in two dimensions to 100 and 361. What is large
cancels in exact arithmetic; its roundings do not (Barabasz et al. 2020, theorem 2).

Tiles are processed in blocks whose transforms fit the second-level cache, whatever the layer's channels.

Extra memory: 36 (C + N) floats for each tile of one block a thread; the prepared kernel is 4 times the size of the
kernel.

The tour's chapter :doc:`/auto_tour/05_winograd` computes it in plain NumPy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.simd import next_turn, strided
from lowrank_sr.conv.tile import cut_panels, multiply
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

INPUT_TILE = OUTPUT_TILE + 2  # pixels along each side of an input tile
TILE_ELEMENTS = INPUT_TILE * INPUT_TILE
PLANE_PADDING = 16  # floats, a cache line: elements' planes a power of two apart would share few sets of the cache
BLOCKS_A_THREAD = 4  # at least, where the picture has the tiles: threads then end at about the same time

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
B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
)


def times_b(d: Sequence[Any]) -> list[Any]:
    """B' d for six values or vectors d: B_T @ d with common terms added once."""
    even, odd = d[4] - 4 * d[2], d[3] - 4 * d[1]
    even2, odd2 = d[4] - d[2], 2 * (d[3] - d[1])
    return [4 * d[0] - 5 * d[2] + d[4], even + odd, even - odd, even2 + odd2, even2 - odd2, 4 * d[1] - 5 * d[3] + d[5]]


def times_a(m: Sequence[Any]) -> list[Any]:
    """A' m for six values or vectors m: A_T @ m with common terms added once."""
    even, odd = m[1] + m[2], m[1] - m[2]
    even2, odd2 = m[3] + m[4], m[3] - m[4]
    return [m[0] + even + even2, odd + 2 * odd2, even + 4 * even2, odd + 8 * odd2 + m[5]]


def prepare(kernel: np.ndarray) -> np.ndarray:
    """G g G' of a (N, C, 3, 3) kernel, in float64, cut into panels: float32 (panels of N, 36, C, PANEL).

    Raises ValueError for a kernel of another size.
    """
    if kernel.shape[2:] != (3, 3):
        raise ValueError(f"kernel of {kernel.shape[2:]}: F(4 x 4, 3 x 3) is for 3 x 3")
    n, c, _, _ = kernel.shape
    transformed = np.kron(G, G) @ kernel.reshape(n * c, 9).astype(float).T  # G g G' of each g as one product: (36, n c)
    return cut_panels(transformed.reshape(TILE_ELEMENTS, n, c).swapaxes(1, 2))


def convolve(operands: np.ndarray, kernel: np.ndarray, workers: int) -> None:
    """Convolve `operands` (see `epilogue.py`) with a prepared kernel on `workers` threads."""
    out = operands["out"][0]
    panel_count, _, channels, _ = kernel.shape
    tiles = -(-int(out["height"]) // OUTPUT_TILE) * -(-int(out["width"]) // OUTPUT_TILE)
    tile_bytes = 4 * TILE_ELEMENTS * (channels + panel_count * PANEL)
    block = min(l2_bytes() // tile_bytes, -(-tiles // (BLOCKS_A_THREAD * workers)))
    _winograd_loops(operands, kernel, max(1, block // ROWS) * ROWS, workers)


@compiled(parallel=True, error_model="numpy")
def _winograd_loops(operands: np.ndarray, kernel: np.ndarray, block: int, workers: int) -> None:
    """`block` tiles at a time, a multiple of ROWS."""
    panel_count, _, channels, _ = kernel.shape
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        tiles_across = (operand.out.width + OUTPUT_TILE - 1) // OUTPUT_TILE
        tiles = tiles_across * ((operand.out.height + OUTPUT_TILE - 1) // OUTPUT_TILE)
        # inputs[e, t C + c] and sums[e, (panel block + t) PANEL + n], tile t of the block
        inputs = np.zeros((TILE_ELEMENTS, block * channels + PLANE_PADDING), np.float32)
        sums = np.empty((TILE_ELEMENTS, panel_count * block * PANEL + PLANE_PADDING), np.float32)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, PANEL), np.float32)
        first_tile = block * next_turn(counter.ctypes.data)
        while first_tile < tiles:
            count = min(block, tiles - first_tile)
            for t in range(count):
                row = (first_tile + t) // tiles_across * OUTPUT_TILE
                column = (first_tile + t) % tiles_across * OUTPUT_TILE
                _transform_input_tile(operand.x, row, column, inputs, t * channels)
            for element in range(TILE_ELEMENTS):
                for panel in range(panel_count):
                    for t in range(0, count, ROWS):
                        target = sums[element, (panel * block + t) * PANEL :].ctypes.data
                        rows = inputs[element, t * channels :].ctypes.data
                        weights = kernel[panel, element].ctypes.data
                        remaining_channels = operand.out.channels - panel * PANEL
                        multiply(target, 4 * PANEL, rows, 4 * channels, weights, channels, remaining_channels)
            for t in range(count):
                row = (first_tile + t) // tiles_across * OUTPUT_TILE
                column = (first_tile + t) % tiles_across * OUTPUT_TILE
                for panel in range(panel_count):
                    source = sums[0, (panel * block + t) * PANEL :].ctypes.data
                    for n in range(0, min(PANEL, operand.out.channels - panel * PANEL), LANES):
                        transform_output(source + 4 * n, sums.strides[0], pixels.ctypes.data + 4 * n)
                    _write_output_tile(operand, row, column, pixels, panel)
            first_tile = block * next_turn(counter.ctypes.data)


@njit(inline="always")
def _transform_input_tile(x: np.record, row: int, column: int, inputs: np.ndarray, start: int) -> None:
    """B' d B of the input tile d of the output tile at (row, column), into inputs[:, start : start + C]."""
    pixels = address(x, row - 1, column - 1)
    target = inputs.ctypes.data + 4 * start
    plane = inputs.strides[0]
    whole = x.channels // LANES * LANES
    for c in range(0, whole, LANES):
        transform_input(pixels + 4 * c, x.row_stride, x.pixel_stride, target + 4 * c, plane)
    if whole < x.channels:
        remaining_channels = x.channels - whole
        transform_input_part(
            pixels + 4 * whole, x.row_stride, x.pixel_stride, target + 4 * whole, plane, remaining_channels
        )


@njit(inline="always")
def _write_output_tile(operand: np.record, row: int, column: int, pixels: np.ndarray, panel: int) -> None:
    """Write what of the output tile at (row, column) lies in the picture."""
    columns = min(OUTPUT_TILE, operand.out.width - column)
    for i in range(min(OUTPUT_TILE, operand.out.height - row)):
        apply_epilogue(pixels[i].ctypes.data, 4 * PANEL, operand, row + i, column, columns, panel * PANEL)


def _columns_then_rows(transform: Callable[[Sequence[Any]], list[Any]], square: Sequence[Sequence[Any]]) -> list[Any]:
    """Transform a square of values along its columns, then along its rows."""
    columns = zip(*(transform(column) for column in zip(*square, strict=True)), strict=True)
    return [transform(row) for row in columns]


def _emit_transform_input(
    builder: IRBuilder,
    pixels: Value,
    row_stride: Value,
    pixel_stride: Value,
    target: Value,
    plane: Value,
    count: Value | None = None,
) -> None:
    """B' d B of one tile for LANES channels, or the first `count`: 6 x 6 pixels to 36 planes, `plane` bytes apart."""

    def pixel(i: int, j: int) -> Value:
        return strided(builder, strided(builder, pixels, row_stride, i), pixel_stride, j)

    tile = [[simd.load(builder, pixel(i, j), count=count) for j in range(INPUT_TILE)] for i in range(INPUT_TILE)]
    for i in range(INPUT_TILE):  # what the next tile will read first: its columns that this one does not share
        for j in range(INPUT_TILE, INPUT_TILE + OUTPUT_TILE):
            simd.prefetch(builder, pixel(i, j))
    for i, values in enumerate(_columns_then_rows(times_b, tile)):
        for j, value in enumerate(values):
            simd.store(builder, value, strided(builder, target, plane, INPUT_TILE * i + j), count=count)


transform_input = simd.instructions(intp, intp, intp, intp, intp)(_emit_transform_input)
transform_input_part = simd.instructions(intp, intp, intp, intp, intp, intp)(_emit_transform_input)


@simd.instructions(intp, intp, intp)
def transform_output(builder: IRBuilder, sums: Value, plane: Value, target: Value) -> None:
    """A' sums A for LANES channels of one tile: 36 planes, `plane` bytes apart, to 16 pixels of PANEL sums."""
    values = [simd.load(builder, strided(builder, sums, plane, element)) for element in range(TILE_ELEMENTS)]
    square = [values[INPUT_TILE * i : INPUT_TILE * (i + 1)] for i in range(INPUT_TILE)]
    for i, row in enumerate(_columns_then_rows(times_a, square)):
        for j, value in enumerate(row):
            simd.store(builder, value, target, (OUTPUT_TILE * i + j) * PANEL)
