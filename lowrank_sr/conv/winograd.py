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

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp

from lowrank_sr.conv import direct, simd
from lowrank_sr.conv.epilogue import Ends, apply_epilogue
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.simd import Vector, next_turn, strided
from lowrank_sr.conv.tile import CACHE_LINE, PIECE_BYTES, multiply_elements
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

INPUT_TILE = OUTPUT_TILE + 2  # pixels along each side of an input tile
TILE_ELEMENTS = INPUT_TILE * INPUT_TILE
GROUP_BYTES = TILE_ELEMENTS * PIECE_BYTES + CACHE_LINE  # of LANES channels; a power of two would share few cache sets
GROUPS_A_THREAD = 4  # at least, where the picture has the tiles: threads then end at about the same time

B_T = np.array(
    [
        [-1, 0, 21 / 4, 0, -21 / 4, 0, 1, 0],
        [0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0],
        [0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0],
        [0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0],
        [0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0],
        [0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0],
        [0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0],
        [0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1],
    ]
)
G = np.array(
    [
        [-1, 0, 0],
        [-2 / 9, -2 / 9, -2 / 9],
        [-2 / 9, 2 / 9, -2 / 9],
        [1 / 90, 2 / 90, 4 / 90],
        [1 / 90, -2 / 90, 4 / 90],
        [32 / 45, 16 / 45, 8 / 45],
        [32 / 45, -16 / 45, 8 / 45],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
        [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0],
        [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0],
        [0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0],
        [0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1],
    ]
)


def times_b(d: Sequence[Any]) -> list[Any]:
    """B' d for eight values or vectors d: B_T @ d with common terms added once."""
    even1, odd1 = d[2] + d[6] - 17 / 4 * d[4], d[1] + d[5] - 17 / 4 * d[3]
    even2, odd2 = d[6] + 1 / 4 * d[2] - 5 / 4 * d[4], d[5] + 1 / 4 * d[1] - 5 / 4 * d[3]
    even3, odd3 = d[6] + 4 * d[2] - 5 * d[4], d[5] + 4 * d[1] - 5 * d[3]
    return [
        d[6] - d[0] + 21 / 4 * (d[2] - d[4]),
        even1 + odd1,
        even1 - odd1,
        even2 + 2 * odd2,
        even2 - 2 * odd2,
        even3 + 1 / 2 * odd3,
        even3 - 1 / 2 * odd3,
        d[7] - d[1] + 21 / 4 * (d[3] - d[5]),
    ]


def times_g(g: Sequence[Any]) -> list[Any]:
    """G g for three values or vectors g: G @ g with common terms added once."""
    even1, odd1 = -2 / 9 * (g[0] + g[2]), -2 / 9 * g[1]
    even2, odd2 = 1 / 90 * g[0] + 4 / 90 * g[2], 2 / 90 * g[1]
    even3, odd3 = 32 / 45 * g[0] + 8 / 45 * g[2], 16 / 45 * g[1]
    return [-1 * g[0], even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, even3 + odd3, even3 - odd3, g[2]]


def times_a(m: Sequence[Any]) -> list[Any]:
    """A' m for eight values or vectors m: A_T @ m with common terms added once."""
    even1, odd1 = m[1] + m[2], m[1] - m[2]
    even2, odd2 = m[3] + m[4], m[3] - m[4]
    even3, odd3 = m[5] + m[6], m[5] - m[6]
    return [
        m[0] + even1 + even2 + even3,
        odd1 + 2 * odd2 + 1 / 2 * odd3,
        even1 + 4 * even2 + 1 / 4 * even3,
        odd1 + 8 * odd2 + 1 / 8 * odd3,
        even1 + 16 * even2 + 1 / 16 * even3,
        m[7] + odd1 + 32 * odd2 + 1 / 32 * odd3,
    ]


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Order a (N, C, 3, 3) kernel as the loops read it: float32 (panels of N, 3, 3, C, PANEL).

    Raises ValueError for a kernel of another size.
    """
    if kernel.shape[2:] != (3, 3):
        raise ValueError(f"kernel of {kernel.shape[2:]}: F(6 x 6, 3 x 3) is for 3 x 3")
    return direct.prepare(kernel)


def convolve(inputs: np.ndarray, operands: np.ndarray, kernel: np.ndarray, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with a prepared kernel on `workers` threads."""
    out = operands["out"][0]
    vectors = int((-(-inputs["channels"] // LANES)).sum())
    tiles = -(-int(out["height"]) // OUTPUT_TILE) * -(-int(out["width"]) // OUTPUT_TILE)
    groups = -(-tiles // ROWS)
    fitting = l2_bytes() // ((vectors + len(kernel) * PANEL // LANES) * GROUP_BYTES)
    block = max(1, min(fitting, -(-groups // (GROUPS_A_THREAD * workers))))
    _winograd_loops(inputs, operands, kernel, LANES * vectors, block, workers)


@compiled(parallel=True, error_model="numpy")
def _winograd_loops(
    inputs: np.ndarray, operands: np.ndarray, kernel: np.ndarray, depth: int, block: int, workers: int
) -> None:
    """`block` groups of ROWS tiles at a time; `depth` is the number of input channels in whole vectors for each map."""
    panel_count = len(kernel)
    transformed = np.empty((TILE_ELEMENTS, panel_count * depth * PANEL + CACHE_LINE // 4), np.float32)
    for worker in prange(workers):
        _transform_kernel(inputs, kernel, depth, transformed, worker, workers)

    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        tiles_across = (operand.out.width + OUTPUT_TILE - 1) // OUTPUT_TILE
        tiles = tiles_across * ((operand.out.height + OUTPUT_TILE - 1) // OUTPUT_TILE)
        group_inputs = np.empty(block * (depth // LANES * GROUP_BYTES) // 4, np.float32)
        group_sums = np.empty(block * (panel_count * PANEL // LANES * GROUP_BYTES) // 4, np.float32)
        inputs_stride = depth // LANES * GROUP_BYTES
        sums_stride = panel_count * PANEL // LANES * GROUP_BYTES
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, PANEL), np.float32)
        first_tile = ROWS * block * next_turn(counter.ctypes.data)
        while first_tile < tiles:
            groups = min(block, (tiles - first_tile + ROWS - 1) // ROWS)
            for g in range(groups):
                target = group_inputs.ctypes.data + g * inputs_stride
                first = first_tile + g * ROWS
                for m in range(len(inputs)):
                    _transform_input_group(inputs[m], first, min(ROWS, tiles - first), tiles_across, target)
                    target += (inputs[m].channels + LANES - 1) // LANES * GROUP_BYTES
            multiply_elements(
                TILE_ELEMENTS,
                group_inputs.ctypes.data,
                inputs_stride,
                groups,
                transformed.ctypes.data,
                transformed.strides[0],
                depth,
                operand.out.channels,
                group_sums.ctypes.data,
                sums_stride,
                GROUP_BYTES,
            )
            for g in range(groups):
                first = first_tile + g * ROWS
                for t in range(min(ROWS, tiles - first)):
                    row = (first + t) // tiles_across * OUTPUT_TILE
                    column = (first + t) % tiles_across * OUTPUT_TILE
                    source = group_sums.ctypes.data + g * sums_stride + 4 * LANES * t
                    _write_output_tile(operands, row, column, source, panel_count, pixels)
            first_tile = ROWS * block * next_turn(counter.ctypes.data)


@njit(inline="always")
def _transform_kernel(
    inputs: np.ndarray, kernel: np.ndarray, depth: int, transformed: np.ndarray, worker: int, workers: int
) -> None:
    """G g G' of this worker's share of the channels; zeros for those that fill up the vectors of an input map."""
    zeros = np.zeros(PANEL, np.float32)
    plane, tap = transformed.strides[0], kernel.strides[2]
    first_channel, position = 0, 0
    for m in range(len(inputs)):
        channels = inputs[m].channels
        padded = (channels + LANES - 1) // LANES * LANES
        for c in range(padded * worker // workers, padded * (worker + 1) // workers):
            for panel in range(len(kernel)):
                target = transformed.ctypes.data + 4 * (panel * depth + position + c) * PANEL
                for n in range(0, PANEL, LANES):
                    if c < channels:
                        source = kernel[panel, 0, 0, first_channel + c, n:].ctypes.data
                        transform_kernel(source, tap, target + 4 * n, plane)
                    else:
                        transform_kernel(zeros.ctypes.data, 0, target + 4 * n, plane)
        first_channel += channels
        position += padded


@njit(inline="always")
def _transform_input_group(x: np.record, first_tile: int, tiles: int, tiles_across: int, target: int) -> None:
    """B' d B of the input tiles d of up to ROWS output tiles, of all channels of x, to the address `target`."""
    for t in range(tiles):
        row = (first_tile + t) // tiles_across * OUTPUT_TILE
        column = (first_tile + t) % tiles_across * OUTPUT_TILE
        pixels = address(x, row - 1, column - 1)
        piece = target + 4 * LANES * t
        for c in range(0, x.channels, LANES):
            if c + LANES <= x.channels:
                transform_input(pixels + 4 * c, x.row_stride, x.pixel_stride, piece)
            else:
                transform_input_part(pixels + 4 * c, x.row_stride, x.pixel_stride, piece, x.channels - c)
            piece += GROUP_BYTES


@njit(inline="always")
def _write_output_tile(
    operands: np.ndarray, row: int, column: int, sums: int, panel_count: int, pixels: np.ndarray
) -> None:
    """Write what of the output tile at (row, column), whose sums begin at the address `sums`, lies in the picture."""
    out = operands[0].out
    rows, columns = min(OUTPUT_TILE, out.height - row), min(OUTPUT_TILE, out.width - column)
    for panel in range(panel_count):
        first_channel = panel * PANEL
        inside = rows == OUTPUT_TILE and columns == OUTPUT_TILE and first_channel + PANEL <= out.channels
        for n in range(first_channel, min(first_channel + PANEL, out.channels), LANES):
            source = sums + n // LANES * GROUP_BYTES
            if inside:
                write_output(source, operands.ctypes.data, row, column, n)
            else:
                transform_output(source, pixels.ctypes.data + 4 * (n - first_channel))
        if not inside:
            for i in range(rows):
                apply_epilogue(pixels[i].ctypes.data, 4 * PANEL, operands, row + i, column, columns, first_channel)


def _emit_transform_input(
    builder: IRBuilder,
    pixels: Value,
    row_stride: Value,
    pixel_stride: Value,
    target: Value,
    count: Value | None = None,
) -> None:
    """B' d B of one tile for LANES channels, or the first `count`: 8 x 8 pixels to 64 pieces."""

    def column(j: int) -> list[Vector]:
        top = strided(builder, pixels, pixel_stride, j)
        return [simd.load(builder, strided(builder, top, row_stride, i), count=count) for i in range(INPUT_TILE)]

    # a column is transformed as soon as it is loaded: 64 values at once are more than there are registers
    columns = [times_b(column(j)) for j in range(INPUT_TILE)]
    for i, row in enumerate(zip(*columns, strict=True)):
        for j, value in enumerate(times_b(row)):
            simd.store(builder, value, target, (INPUT_TILE * i + j) * ROWS * LANES)


transform_input = simd.instructions(intp, intp, intp, intp)(_emit_transform_input)
transform_input_part = simd.instructions(intp, intp, intp, intp, intp)(_emit_transform_input)


@simd.instructions(intp, intp, intp, intp)
def transform_kernel(builder: IRBuilder, kernel: Value, tap: Value, target: Value, plane: Value) -> None:
    """G g G' for LANES output channels: 3 x 3 taps, `tap` bytes apart, to 64 elements, `plane` bytes apart."""

    def column(j: int) -> list[Vector]:
        return [simd.load(builder, strided(builder, kernel, tap, 3 * i + j)) for i in range(3)]

    columns = [times_g(column(j)) for j in range(3)]
    for i, row in enumerate(zip(*columns, strict=True)):
        for j, value in enumerate(times_g(row)):
            simd.store(builder, value, strided(builder, target, plane, INPUT_TILE * i + j))


def _output_columns(builder: IRBuilder, sums: Value) -> list[list[Vector]]:
    """A' sums A for LANES channels of one tile: 64 pieces to 6 columns of 6 pixels."""

    def row(i: int) -> list[Vector]:
        return [simd.load(builder, sums, (INPUT_TILE * i + j) * ROWS * LANES) for j in range(INPUT_TILE)]

    rows = [times_a(row(i)) for i in range(INPUT_TILE)]
    return [times_a(column) for column in zip(*rows, strict=True)]


@simd.instructions(intp, intp)
def transform_output(builder: IRBuilder, sums: Value, target: Value) -> None:
    """A' sums A for LANES channels of one tile, to 6 x 6 pixels of PANEL channels."""
    for j, column in enumerate(_output_columns(builder, sums)):
        for i, value in enumerate(column):
            simd.store(builder, value, target, (OUTPUT_TILE * i + j) * PANEL)


@simd.instructions(intp, intp, intp, intp, intp)
def write_output(builder: IRBuilder, sums: Value, operand: Value, row: Value, column: Value, channel: Value) -> None:
    """A' sums A for LANES channels of one tile that lies in the picture, through the epilogue to where it belongs."""
    ends = Ends(builder, operand, row, column, channel)
    for j, values in enumerate(_output_columns(builder, sums)):
        ends.write(values, [(i, column.type(j)) for i in range(OUTPUT_TILE)])
