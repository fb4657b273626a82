"""The SVD pair by Winograd's F(6, 3) in each of its two directions: 4/9 of the multiplications of `separable.py`.

F(6, 3), its matrices G, B', A' and its transforms are those of `toom_cook.py`, in one dimension each: the vertical half
along y with elements u = 0 ... 7, the horizontal half along x with elements v = 0 ... 7:

    V[u, k, c] = sum over i of G[u, i] vertical[k, c, i]      i = 0, 1, 2
    H[v, n, k] = sum over j of G[v, j] horizontal[n, k, j]    j = 0, 1, 2

Then for each block of T tiles of 6 x 6 pixels side by side, whose first pixel is (y0, x0):

    columns[u, x, c]     = sum over i of B'[u, i] in[y0 + i - 1, x0 + x - 1, c]    i = 0 ... 7, x = 0 ... 6 T + 1
    products[u, x, k]    = sum over c of columns[u, x, c] V[u, k, c]
    M[m, x, k]           = sum over u of A'[m, u] products[u, x, k]                row m = 0 ... 5, column x0 + x - 1
    middle[v, t, m, k]   = sum over j of B'[v, j] M[m, 6 t + j, k]                 j = 0 ... 7, tile t = 0 ... T - 1
    sums[v, t, m, n]     = sum over k of middle[v, t, m, k] H[v, n, k]
    out[y0 + m, x0 + 6 t + q, n] = sum over v of A'[q, v] sums[v, t, m, n]         q = 0 ... 5

M is the middle of `separable.py`. It exists in registers only: columns 6 t to 6 t + 7 of it at a time.

The other four are the buffers of a thread, allocated once and used for one block after another. The rows of a product
are the columns x, or the rows (t, m) of all tiles; ROWS of them are a group, and groups are stored as in `winograd.py`:

    buffer     order, last index contiguous                written by              read by
    columns    [group][c // LANES][u][x of the group, c]   _transform_columns      multiply_elements, first call
    products   [group][k // LANES][u][x of the group, k]   multiply_elements       _transform_middle
    middle     [group][k // LANES][v][(t, m), k]           _transform_middle       multiply_elements, second call
    sums       [group][n // LANES][v][(t, m), n]           multiply_elements       _write_tile

Low rank and Winograd save in different places, so they add up. In one dimension F(6, 3) takes 8 multiplications for 6
outputs instead of 18, and its transforms touch 8 values for 6 outputs, where the two-dimensional ones of `winograd.py`
touch 64 for 36: they cost less, and round less. Both halves are products of matrices, (pixels, C) @ (C, K) and
(pixels, K) @ (K, N), for each of 8 elements.

The blocks' buffers fit the second-level cache, where that holds those of one tile. Neighbouring blocks both compute the
two columns of M between them. Every thread transforms the factors for itself: they are small, and no thread waits for
another.

Extra memory: 8 (C + 2 K + N) floats for each column of one block and 8/3 of the factors in whole panels, a thread.

The tour's chapter :doc:`/auto_tour/13_svd_winograd` computes it in plain NumPy.
"""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp
from numba.extending import register_jitable

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.output_tile import Place, tile_writer
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.conv.tile import PIECE_BYTES, cut_panels, list_pieces, multiply_elements
from lowrank_sr.conv.toom_cook import INPUT_TILE, needed_elements, times_a, times_b, times_g
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.conv.winograd import TURNS_A_THREAD
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

assert ROWS % OUTPUT_TILE == 0, "a tile's rows must not be cut by the end of a group"
GROUP_BYTES = INPUT_TILE * PIECE_BYTES + CACHE_LINE  # of LANES channels; a power of two would share few cache sets


class Factors(NamedTuple):
    """The factors as the loops read them, float32, K rounded up to whole vectors with zeros.

    `vertical` (panels of K, 3, C, PANEL), `horizontal` (panels of N, 3, K, PANEL), and which elements of each do not
    vanish, (8,).
    """

    vertical: np.ndarray
    vertical_needed: np.ndarray
    horizontal: np.ndarray
    horizontal_needed: np.ndarray


def prepare(vertical: np.ndarray, horizontal: np.ndarray) -> Factors:
    """Order `vertical` (K, C, 3) and `horizontal` (N, K, 3) for `convolve`."""
    needed = (needed_elements(factor.any((0, 1))) for factor in (vertical, horizontal))
    padded = np.pad(horizontal, ((0, 0), (0, -horizontal.shape[1] % LANES), (0, 0)))
    panels = (cut_panels(factor.transpose(2, 1, 0)) for factor in (vertical, padded))
    return Factors(*chain.from_iterable(zip(panels, needed, strict=True)))


def convolve(inputs: np.ndarray, operands: np.ndarray, factors: Factors, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with prepared factors on `workers` threads."""
    vectors, rank = int((-(-inputs["channels"] // LANES)).sum()), factors.horizontal.shape[2]
    strips, tiles_across = (-(-int(operands["out"][0][side]) // OUTPUT_TILE) for side in ("height", "width"))
    column_bytes = 4 * INPUT_TILE * (vectors * LANES + 2 * rank + len(factors.horizontal) * PANEL)
    fitting = (l2_bytes() // column_bytes // ROWS * ROWS - 2) // OUTPUT_TILE
    most = min(fitting, -(-tiles_across * strips // (TURNS_A_THREAD * workers)))
    block = _block_tiles(tiles_across, max(1, most))
    _separable_winograd_loops(inputs, operands, *factors, vectors * LANES, block, workers)


def _block_tiles(tiles_across: int, most: int) -> int:
    """How many of the `tiles_across` tiles of a strip to take at a time, at most `most`: those that cost least.

    The cost of a block is its columns of M, the two that its neighbour computes too included, in whole register tiles.
    """

    def cost(tiles: int) -> int:
        remaining = tiles_across % tiles
        return tiles_across // tiles * _column_groups(tiles) + (_column_groups(remaining) if remaining else 0)

    return min(range(min(most, tiles_across), 0, -1), key=cost)


@register_jitable
def _column_groups(tiles: int) -> int:
    """Groups of ROWS columns of M under `tiles` tiles side by side."""
    return (OUTPUT_TILE * tiles + 2 + ROWS - 1) // ROWS


def _pixels(builder: IRBuilder, sums: Value) -> Iterator[tuple[list[Vector], list[Place]]]:
    """A' sums for LANES channels of one tile: 8 pieces of 6 rows to 6 x 6 pixels, a row at a time."""
    for i in range(OUTPUT_TILE):
        pieces = [simd.load(builder, sums, (element * ROWS + i) * LANES) for element in range(INPUT_TILE)]
        yield times_a(pieces), [(i, j) for j in range(OUTPUT_TILE)]


_write_tile = tile_writer(_pixels, GROUP_BYTES)


@compiled(parallel=True, error_model="numpy")
def _separable_winograd_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    vertical: np.ndarray,
    vertical_needed: np.ndarray,
    horizontal: np.ndarray,
    horizontal_needed: np.ndarray,
    depth: int,
    block: int,
    workers: int,
) -> None:
    """At most `block` tiles at a time; `depth` is the number of input channels in whole vectors for each map."""
    rank, out_panels = horizontal.shape[2], len(horizontal)
    most_groups = _column_groups(block)
    columns_stride = depth // LANES * GROUP_BYTES
    middle_stride = rank // LANES * GROUP_BYTES
    sums_stride = out_panels * PANEL // LANES * GROUP_BYTES
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        tiles_across = (operand.out.width + OUTPUT_TILE - 1) // OUTPUT_TILE
        blocks = (tiles_across + block - 1) // block
        strips = (operand.out.height + OUTPUT_TILE - 1) // OUTPUT_TILE
        v = np.empty((INPUT_TILE, len(vertical), depth, PANEL), np.float32)
        h = np.empty((INPUT_TILE, out_panels, rank, PANEL), np.float32)
        _transform_vertical(inputs, vertical, v)
        _transform_factor(horizontal, 0, rank, h, 0)
        columns = np.empty(most_groups * columns_stride // 4, np.float32)
        products = np.empty(most_groups * middle_stride // 4, np.float32)
        middle = np.empty(most_groups * middle_stride // 4, np.float32)
        sums = np.empty(most_groups * sums_stride // 4, np.float32)
        column_pieces = np.empty((most_groups, depth // LANES), np.intp)
        middle_pieces = np.empty((most_groups, rank // LANES), np.intp)
        for g in range(most_groups):
            list_pieces(column_pieces[g], columns.ctypes.data + g * columns_stride, GROUP_BYTES)
            list_pieces(middle_pieces[g], middle.ctypes.data + g * middle_stride, GROUP_BYTES)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, PANEL), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < strips * blocks:
            first_tile = turn % blocks * block
            y0, x0 = turn // blocks * OUTPUT_TILE, first_tile * OUTPUT_TILE
            tiles = min(block, tiles_across - first_tile)
            target = columns.ctypes.data
            for m in range(len(inputs)):
                _transform_columns(inputs[m], y0, x0, OUTPUT_TILE * tiles + 2, target, columns_stride)
                target += (inputs[m].channels + LANES - 1) // LANES * GROUP_BYTES
            multiply_elements(
                vertical_needed,
                column_pieces[: _column_groups(tiles)],
                weights=v.ctypes.data,
                weights_stride=v.strides[0],
                depth=depth,
                columns=rank,
                sums=products.ctypes.data,
                sums_stride=middle_stride,
                stride=GROUP_BYTES,
            )
            for t in range(tiles):
                _transform_middle(products.ctypes.data, middle.ctypes.data, t, rank, middle_stride)
            multiply_elements(
                horizontal_needed,
                middle_pieces[: (OUTPUT_TILE * tiles + ROWS - 1) // ROWS],
                weights=h.ctypes.data,
                weights_stride=h.strides[0],
                depth=rank,
                columns=operand.out.channels,
                sums=sums.ctypes.data,
                sums_stride=sums_stride,
                stride=GROUP_BYTES,
            )
            for t in range(tiles):
                source = sums.ctypes.data + _piece(OUTPUT_TILE * t, sums_stride)
                _write_tile(operands, y0, x0 + OUTPUT_TILE * t, source, out_panels, pixels)
            turn = next_turn(counter.ctypes.data)


@njit(inline="always")
def _piece(row: int, stride: int) -> int:
    """Where row `row` of a product lies from its first, in bytes; groups of ROWS rows lie `stride` bytes apart."""
    return row // ROWS * stride + row % ROWS * 4 * LANES


@njit(inline="always")
def _transform_vertical(inputs: np.ndarray, vertical: np.ndarray, v: np.ndarray) -> None:
    """V, with zeros for the channels that fill up the vectors of an input map."""
    v[:] = 0
    first_channel, position = 0, 0
    for m in range(len(inputs)):
        channels = inputs[m].channels
        _transform_factor(vertical, first_channel, channels, v, position)
        first_channel += channels
        position += (channels + LANES - 1) // LANES * LANES


@njit(inline="always")
def _transform_factor(
    factor: np.ndarray, first_channel: int, channels: int, transformed: np.ndarray, position: int
) -> None:
    """G of a factor's taps, `channels` channels from `first_channel`, into `transformed` from channel `position`."""
    for panel in range(len(factor)):
        for c in range(channels):
            for n in range(0, PANEL, LANES):
                transform_taps(
                    factor[panel, 0, first_channel + c, n:].ctypes.data,
                    factor.strides[1],
                    transformed[0, panel, position + c, n:].ctypes.data,
                    transformed.strides[0],
                )


@njit(inline="always")
def _transform_columns(x: np.record, row: int, column: int, count: int, target: int, stride: int) -> None:
    """B' of 8 pixels of `count` columns, from column `column` - 1 and row `row` - 1, for all channels of x."""
    for i in range(count):
        pixels = address(x, row - 1, column - 1 + i)
        piece = target + _piece(i, stride)
        for c in range(0, x.channels, LANES):
            if c + LANES <= x.channels:
                transform_column(pixels + 4 * c, x.row_stride, piece)
            else:
                transform_column_part(pixels + 4 * c, x.row_stride, piece, x.channels - c)
            piece += GROUP_BYTES


@njit(inline="always")
def _transform_middle(products: int, middle: int, t: int, rank: int, stride: int) -> None:
    """From the products of the columns of tile t to the input of its rows."""
    first = products + _piece(OUTPUT_TILE * t, stride)  # a tile's first six columns are in one group
    last = products + _piece(OUTPUT_TILE * (t + 1), stride)
    target = middle + _piece(OUTPUT_TILE * t, stride)
    for k in range(rank // LANES):
        transform_middle(first + k * GROUP_BYTES, last + k * GROUP_BYTES, target + k * GROUP_BYTES)


@simd.instructions(intp, intp, intp, intp)
def transform_taps(builder: IRBuilder, taps: Value, tap: Value, target: Value, plane: Value) -> None:
    """G of three taps, `tap` bytes apart, for LANES channels, to 8 elements, `plane` bytes apart."""
    for element, value in enumerate(times_g([simd.load(builder, strided(builder, taps, tap, i)) for i in range(3)])):
        simd.store(builder, value, strided(builder, target, plane, element))


def _emit_transform_column(
    builder: IRBuilder, pixels: Value, row_stride: Value, target: Value, count: Value | None = None
) -> None:
    """B' of one column for LANES channels, or the first `count`: 8 pixels to 8 pieces."""
    column = [simd.load(builder, strided(builder, pixels, row_stride, i), count=count) for i in range(INPUT_TILE)]
    for element, value in enumerate(times_b(column)):
        simd.store(builder, value, target, element * ROWS * LANES)


transform_column = simd.instructions(intp, intp, intp)(_emit_transform_column)
transform_column_part = simd.instructions(intp, intp, intp, intp)(_emit_transform_column)


@simd.instructions(intp, intp, intp)
def transform_middle(builder: IRBuilder, first: Value, last: Value, middle: Value) -> None:
    """A' of 8 columns' products, then B' along the rows: LANES channels of 6 rows of 8 elements.

    The pieces of the first 6 columns begin at `first`, those of the last 2 at `last`.
    """

    def column(j: int) -> list[Vector]:
        start, p = (first, j) if j < OUTPUT_TILE else (last, j - OUTPUT_TILE)
        return [simd.load(builder, start, (element * ROWS + p) * LANES) for element in range(INPUT_TILE)]

    columns = [times_a(column(j)) for j in range(INPUT_TILE)]
    for m, row in enumerate(zip(*columns, strict=True)):
        for element, value in enumerate(times_b(row)):
            simd.store(builder, value, middle, (element * ROWS + m) * LANES)
