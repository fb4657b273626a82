"""The SVD pair by Winograd's F(4, 3) in each of its two directions: half the multiplications of `separable.py`.

F(4, 3), its matrices G, B', A' and its transforms are those of `winograd.py`, in one dimension each: the vertical half
along y with elements u = 0 ... 5, the horizontal half along x with elements v = 0 ... 5. Once for each layer:

    V[u, k, c] = sum over i of G[u, i] vertical[k, c, i]      i = 0, 1, 2
    H[v, n, k] = sum over j of G[v, j] horizontal[n, k, j]    j = 0, 1, 2

Then for each block of T tiles of 4 x 4 pixels side by side, whose first pixel is (y0, x0):

    inputs[u, x, c]      = sum over i of B'[u, i] in[y0 + i - 1, x0 + x - 1, c]    i = 0 ... 5, x = 0 ... 4 T + 1
    products[u, x, k]    = sum over c of inputs[u, x, c] V[u, k, c]
    M[m, x, k]           = sum over u of A'[m, u] products[u, x, k]                row m = 0 ... 3, column x0 + x - 1
    middle[v, m, t, k]   = sum over j of B'[v, j] M[m, 4 t + j, k]                 j = 0 ... 5, tile t = 0 ... T - 1
    sums[v, m, t, n]     = sum over k of middle[v, m, t, k] H[v, n, k]
    out[y0 + m, x0 + 4 t + q, n] = sum over v of A'[q, v] sums[v, m, t, n]         q = 0 ... 3

M is the middle of `separable.py`. It exists in registers only: columns 4 t to 4 t + 5 of it at a time.

The other four are the buffers of a thread, allocated once and used for one block after another. Each holds 6 planes,
one for each element, C-contiguous and a cache line further apart than they are long. Within a plane:

    buffer     order, last index contiguous     written by                  read by
    inputs     [x, c]                           _transform_input_column     _multiply_elements, first call
    products   [x, k]                           _multiply_elements          _transform_middle
    middle     [m, t, k]                        _transform_middle           _multiply_elements, second call
    sums       [panel of n, (m, t), n]          _multiply_elements          _write_outputs

Low rank and Winograd save in different places, so they add up. In one dimension F(4, 3) takes 6 multiplications for 4
outputs instead of 12, and its transforms touch 6 values for 4 outputs, where the two-dimensional ones of `winograd.py`
touch 36 for 16: they cost less, and round less. Both halves are products of matrices, (pixels, C) @ (C, K) and
(pixels, K) @ (K, N), for each of 6 elements.

The blocks' buffers fit the second-level cache. Neighbouring blocks both compute the two columns of M between them.

Extra memory: 6 (C + 2 K + N) floats for each column of one block a thread; the prepared factors are twice the size of
the factors.

The tour's chapter :doc:`/auto_tour/13_svd_winograd` computes it in plain NumPy.
"""

from typing import NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.simd import next_turn, strided
from lowrank_sr.conv.tile import cut_panels, multiply
from lowrank_sr.conv.winograd import BLOCKS_A_THREAD, INPUT_TILE, PLANE_PADDING, G, times_a, times_b
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

PREFETCH_COLUMNS = 2  # how many columns ahead of the one that is transformed pixels are fetched


class Factors(NamedTuple):
    """V and H as the loops read them, float32, K rounded up to whole vectors with zeros.

    `vertical` (panels of K, 6, C, PANEL), `horizontal` (panels of N, 6, K, PANEL).
    """

    vertical: np.ndarray
    horizontal: np.ndarray


def prepare(vertical: np.ndarray, horizontal: np.ndarray) -> Factors:
    """Transform `vertical` (K, C, 3) and `horizontal` (N, K, 3), in float64, for `convolve`."""
    padded = np.pad(horizontal, ((0, 0), (0, -horizontal.shape[1] % LANES), (0, 0)))
    return Factors(*(cut_panels(np.einsum("ui,nci->ucn", G, factor.astype(float))) for factor in (vertical, padded)))


def convolve(operands: np.ndarray, factors: Factors, workers: int) -> None:
    """Convolve `operands` (see `epilogue.py`) with prepared factors on `workers` threads."""
    channels, rank = factors.vertical.shape[2], factors.horizontal.shape[2]
    strips, tiles_across = (-(-int(operands["out"][0][side]) // OUTPUT_TILE) for side in ("height", "width"))
    column_bytes = 4 * INPUT_TILE * (channels + 2 * rank + len(factors.horizontal) * PANEL)
    fitting = l2_bytes() // (OUTPUT_TILE * column_bytes)
    most = min(fitting, -(-tiles_across * strips // (BLOCKS_A_THREAD * workers)))
    block = _block_tiles(tiles_across, max(1, most))
    _separable_winograd_loops(operands, factors.vertical, factors.horizontal, block, workers)


def _block_tiles(tiles_across: int, most: int) -> int:
    """How many of the `tiles_across` tiles of a strip to take at a time, at most `most`: those that cost least.

    The cost of a block is its columns of M, the two that its neighbour computes too included, in whole register tiles.
    """

    def register_tiles(tiles: int) -> int:
        return -(-(OUTPUT_TILE * tiles + 2) // ROWS) if tiles else 0

    def cost(tiles: int) -> int:
        return tiles_across // tiles * register_tiles(tiles) + register_tiles(tiles_across % tiles)

    return min(range(min(most, tiles_across), 0, -1), key=cost)


@compiled(parallel=True, error_model="numpy")
def _separable_winograd_loops(
    operands: np.ndarray, vertical: np.ndarray, horizontal: np.ndarray, block: int, workers: int
) -> None:
    """At most `block` tiles of 4 rows x 4 columns at a time."""
    channels, rank, out_panels = vertical.shape[2], horizontal.shape[2], len(horizontal)
    room = OUTPUT_TILE * block + ROWS  # pixels: `multiply` computes and writes whole register tiles
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        tiles_across = (operand.out.width + OUTPUT_TILE - 1) // OUTPUT_TILE
        blocks = (tiles_across + block - 1) // block
        strips = (operand.out.height + OUTPUT_TILE - 1) // OUTPUT_TILE
        inputs = np.zeros((INPUT_TILE, (room + 2) * channels + PLANE_PADDING), np.float32)
        products = np.empty((INPUT_TILE, (room + 2) * rank + PLANE_PADDING), np.float32)
        middle = np.zeros((INPUT_TILE, room * rank + PLANE_PADDING), np.float32)
        sums = np.empty((INPUT_TILE, room * out_panels * PANEL + PLANE_PADDING), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < strips * blocks:
            first_tile = turn % blocks * block
            y0, x0 = turn // blocks * OUTPUT_TILE, first_tile * OUTPUT_TILE
            tiles = min(block, tiles_across - first_tile)
            pixels = OUTPUT_TILE * tiles
            columns = pixels + 2
            for column in range(columns):
                _transform_input_column(operand.x, y0, x0 + column, inputs, column * channels)
            _multiply_elements(inputs, channels, vertical, columns, rank, products, rank, PANEL)
            _transform_middle(products, tiles, rank, middle)
            _multiply_elements(middle, rank, horizontal, pixels, operand.out.channels, sums, PANEL, room * PANEL)
            _write_outputs(operand, y0, x0, tiles, sums, out_panels, room * PANEL)
            turn = next_turn(counter.ctypes.data)


@njit(inline="always")
def _transform_input_column(x: np.record, row: int, column: int, inputs: np.ndarray, start: int) -> None:
    """B' of 6 pixels of one column, for column `column` - 1 of M from row `row`, into inputs[:, start : start + C]."""
    pixels = address(x, row - 1, column - 1)
    target = inputs.ctypes.data + 4 * start
    plane = inputs.strides[0]
    ahead = PREFETCH_COLUMNS * x.pixel_stride
    whole = x.channels // LANES * LANES
    for c in range(0, whole, LANES):
        transform_column(pixels + 4 * c, x.row_stride, ahead, target + 4 * c, plane)
    if whole < x.channels:
        remaining_channels = x.channels - whole
        transform_column_part(pixels + 4 * whole, x.row_stride, ahead, target + 4 * whole, plane, remaining_channels)


@njit(inline="always")
def _multiply_elements(
    inputs: np.ndarray,
    depth: int,
    factor: np.ndarray,
    pixels: int,
    columns: int,
    sums: np.ndarray,
    pixel_step: int,
    panel_step: int,
) -> None:
    """sums[e] = inputs[e] @ factor[e] for each of the 6 elements e: (pixels, depth) @ (depth, columns).

    In `sums` neighbouring pixels lie `pixel_step` floats apart, neighbouring panels of columns `panel_step` floats.
    """
    for element in range(INPUT_TILE):
        for panel in range(len(factor)):
            weights = factor[panel, element].ctypes.data
            remaining_columns = columns - panel * PANEL
            for pixel in range(0, pixels, ROWS):
                target = sums[element, panel * panel_step + pixel * pixel_step :].ctypes.data
                rows = inputs[element, pixel * depth :].ctypes.data
                multiply(target, 4 * pixel_step, rows, 4 * depth, weights, depth, remaining_columns)


@njit(inline="always")
def _transform_middle(products: np.ndarray, tiles: int, rank: int, middle: np.ndarray) -> None:
    """From the products of a block's columns to the input of its rows: 4 rows, each of `tiles` tiles."""
    for t in range(tiles):
        for k in range(0, rank, LANES):
            source = products[0, t * OUTPUT_TILE * rank + k :].ctypes.data
            target = middle[0, t * rank + k :].ctypes.data
            transform_middle(source, 4 * rank, products.strides[0], target, 4 * tiles * rank, middle.strides[0])


@njit(inline="always")
def _write_outputs(
    operand: np.record, y0: int, x0: int, tiles: int, sums: np.ndarray, out_panels: int, panel_step: int
) -> None:
    """Write what of the block at (y0, x0), `tiles` tiles in each of 4 rows, lies in the picture."""
    out = operand.out
    pixels = np.empty((OUTPUT_TILE, PANEL), np.float32)
    for i in range(OUTPUT_TILE * tiles):
        row = y0 + i // tiles
        column = x0 + i % tiles * OUTPUT_TILE
        if row < out.height:
            for panel in range(out_panels):
                source = sums[0, panel * panel_step + i * PANEL :].ctypes.data
                for n in range(0, min(PANEL, out.channels - panel * PANEL), LANES):
                    transform_output(source + 4 * n, sums.strides[0], pixels.ctypes.data + 4 * n)
                count = min(OUTPUT_TILE, out.width - column)
                apply_epilogue(pixels.ctypes.data, 4 * PANEL, operand, row, column, count, panel * PANEL)


def _emit_transform_column(
    builder: IRBuilder,
    pixels: Value,
    row_stride: Value,
    ahead: Value,
    target: Value,
    plane: Value,
    count: Value | None = None,
) -> None:
    """B' of one column for LANES channels, or the first `count`: 6 pixels to 6 planes, `plane` bytes apart."""
    for i in range(INPUT_TILE):
        simd.prefetch(builder, strided(builder, builder.add(pixels, ahead), row_stride, i))
    column = [simd.load(builder, strided(builder, pixels, row_stride, i), count=count) for i in range(INPUT_TILE)]
    for element, value in enumerate(times_b(column)):
        simd.store(builder, value, strided(builder, target, plane, element), count=count)


transform_column = simd.instructions(intp, intp, intp, intp, intp)(_emit_transform_column)
transform_column_part = simd.instructions(intp, intp, intp, intp, intp, intp)(_emit_transform_column)


@simd.instructions(intp, intp, intp, intp, intp, intp)
def transform_middle(
    builder: IRBuilder, products: Value, pixel: Value, plane: Value, middle: Value, row: Value, middle_plane: Value
) -> None:
    """A' of 6 columns' products, then B' along the rows: LANES channels of 4 rows of 6 elements; strides in bytes."""
    columns = []
    for j in range(INPUT_TILE):
        start = strided(builder, products, pixel, j)
        elements = [simd.load(builder, strided(builder, start, plane, u)) for u in range(INPUT_TILE)]
        columns.append(times_a(elements))
    for m, values in enumerate(zip(*columns, strict=True)):
        start = strided(builder, middle, row, m)
        for v, value in enumerate(times_b(values)):
            simd.store(builder, value, strided(builder, start, middle_plane, v))


@simd.instructions(intp, intp, intp)
def transform_output(builder: IRBuilder, sums: Value, plane: Value, target: Value) -> None:
    """A' sums for LANES channels: 6 planes, `plane` bytes apart, to 4 pixels of PANEL sums."""
    values = [simd.load(builder, strided(builder, sums, plane, element)) for element in range(INPUT_TILE)]
    for q, value in enumerate(times_a(values)):
        simd.store(builder, value, target, q * PANEL)
