"""The SVD pair by Winograd's F(4, 3) in each of its two directions: half the multiplications of `separable.py`.

    middle columns of 4 = A' [ (B' in columns of 6) summed over c with G vertical[k, c] ]
    out rows of 4       = A' [ (B' middle rows of 6) summed over k with G horizontal[n, k] ]

Low rank and Winograd save in different places, so they add up. In one dimension F(4, 3) takes 6 multiplications for 4
outputs instead of 12, and its transforms touch 6 values for 4 outputs, where the two-dimensional ones of `winograd.py`
touch 36 for 16: they cost less, and round less. Both halves are products of matrices, (pixels, C) @ (C, K) and
(pixels, K) @ (K, N), for each of 6 elements.

Strips of 4 rows are processed in blocks of columns whose transforms fit the second-level cache. Neighbouring blocks
both compute the two columns of the middle between them.

Extra memory: 6 (C + K) floats for each column of one block a thread, 24 (K + N) for each 4 of them; the prepared
factors are twice the size of the factors.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numba.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import TILE, address
from lowrank_sr.conv.simd import strided, take
from lowrank_sr.conv.tile import multiply, panels
from lowrank_sr.conv.winograd import SIDE, SKEW, G, times_a, times_b
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

AHEAD = 2  # columns: which one is fetched while one is transformed


class Pair(NamedTuple):
    """The transformed factors as the loops read them, float32, K rounded up to whole vectors with zeros.

    `vertical` (panels of K, 6, C, PANEL), `horizontal` (panels of N, 6, K, PANEL).
    """

    vertical: np.ndarray
    horizontal: np.ndarray


def prepare(vertical: np.ndarray, horizontal: np.ndarray) -> Pair:
    """Transform `vertical` (K, C, 3) and `horizontal` (N, K, 3), in float64, for `convolve`."""
    padded = np.pad(horizontal, ((0, 0), (0, -horizontal.shape[1] % LANES), (0, 0)))
    return Pair(*(panels(np.einsum("ki,nci->kcn", G, factor.astype(float))) for factor in (vertical, padded)))


def _transform_column(builder, pixels, row, ahead, target, plane, count=None):
    for i in range(SIDE):
        simd.prefetch(builder, strided(builder, builder.add(pixels, ahead), row, i))
    column = [simd.load(builder, strided(builder, pixels, row, i), count=count) for i in range(SIDE)]
    for k, value in enumerate(times_b(column)):
        simd.store(builder, value, strided(builder, target, plane, k), count=count)


transform_column = simd.instructions(intp, intp, intp, intp, intp)(_transform_column)
transform_part = simd.instructions(intp, intp, intp, intp, intp, intp)(_transform_column)


@simd.instructions(intp, intp, intp, intp, intp, intp)
def transform_middle(builder, products, pixel, plane, target, target_row, target_plane):
    """A' of 6 columns' products, then B' along the rows: LANES channels of 4 rows of 6 elements."""
    columns = [strided(builder, products, pixel, j) for j in range(SIDE)]
    middle = [
        times_a([simd.load(builder, strided(builder, column, plane, k)) for k in range(SIDE)]) for column in columns
    ]
    for m, row in enumerate(zip(*middle, strict=True)):
        start = strided(builder, target, target_row, m)
        for k, value in enumerate(times_b(row)):
            simd.store(builder, value, strided(builder, start, target_plane, k))


@simd.instructions(intp, intp, intp)
def transform_output(builder, sums, plane, target):
    """A' sums for LANES channels: 6 planes, `plane` bytes apart, to 4 pixels of PANEL sums."""
    values = [simd.load(builder, strided(builder, sums, plane, k)) for k in range(SIDE)]
    for j, value in enumerate(times_a(values)):
        simd.store(builder, value, target, j * PANEL)


def convolve(operands, pair, workers):
    """Convolve `operands` (see `epilogue.py`) with a prepared pair on `workers` threads."""
    channels, rank = pair.vertical.shape[2], pair.horizontal.shape[2]
    strips, across = (-(-int(operands["out"][0][side]) // TILE) for side in ("height", "width"))
    column_bytes = 4 * SIDE * (channels + 2 * rank + len(pair.horizontal) * PANEL)
    most = min(l2_bytes() // (TILE * column_bytes), -(-across * strips // (4 * workers)))
    _convolve(operands, pair.vertical, pair.horizontal, _block(across, max(1, most)), workers)


def _block(across, most):
    """How many tiles to take at a time, of `across` in a strip: register tiles are whole, and halos computed twice."""

    def register_tiles(tiles):
        return -(-(TILE * tiles + 2) // ROWS) if tiles else 0

    def cost(tiles):
        return across // tiles * register_tiles(tiles) + register_tiles(across % tiles)

    return min(range(min(most, across), 0, -1), key=cost)


@compiled(parallel=True, error_model="numpy")
def _convolve(operands, vertical, horizontal, block, workers):
    """At most `block` tiles of 4 rows x 4 columns at a time."""
    channels, rank, out_panels = vertical.shape[2], horizontal.shape[2], len(horizontal)
    room = TILE * block + ROWS  # pixels
    turn = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        across = (operand.out.width + TILE - 1) // TILE
        blocks = (across + block - 1) // block
        strips = (operand.out.height + TILE - 1) // TILE
        inputs = np.zeros((SIDE, (room + 2) * channels + SKEW), np.float32)
        products = np.empty((SIDE, (room + 2) * rank + SKEW), np.float32)
        middle = np.zeros((SIDE, room * rank + SKEW), np.float32)
        sums = np.empty((SIDE, room * out_panels * PANEL + SKEW), np.float32)
        place = take(turn.ctypes.data)
        while place < strips * blocks:
            row, left = place // blocks * TILE, place % blocks * block * TILE
            tiles = min(block, across - left // TILE)
            for column in range(TILE * tiles + 2):
                _gather(operand.x, row, left + column, inputs, column * channels)
            _multiply(inputs, channels, vertical, TILE * tiles + 2, rank, products, rank, PANEL)
            _transform(products, tiles, rank, middle)
            _multiply(middle, rank, horizontal, TILE * tiles, operand.out.channels, sums, PANEL, room * PANEL)
            _scatter(operand, row, left, tiles, sums, out_panels, room * PANEL)
            place = take(turn.ctypes.data)


@njit(inline="always")
def _gather(x, row, column, inputs, start):
    """Transform the input of one column of the middle, rows `row` to `row` + 3, into inputs[:, start : start + C]."""
    pixels, target = address(x, row - 1, column - 1), inputs.ctypes.data + 4 * start
    whole, ahead = x.channels // LANES * LANES, AHEAD * x.pixel
    for c in range(0, whole, LANES):
        transform_column(pixels + 4 * c, x.row, ahead, target + 4 * c, inputs.strides[0])
    if whole < x.channels:
        transform_part(pixels + 4 * whole, x.row, ahead, target + 4 * whole, inputs.strides[0], x.channels - whole)


@njit(inline="always")
def _multiply(inputs, depth, factor, pixels, columns, sums, pixel_step, panel_step):
    """Each of the 6 elements of sums = inputs @ factor, (pixels, depth) @ (depth, columns); steps are in floats."""
    for k in range(SIDE):
        for panel in range(len(factor)):
            for i in range(0, pixels, ROWS):
                target = sums[k, panel * panel_step + i * pixel_step :].ctypes.data
                rows, weights = inputs[k, i * depth :].ctypes.data, factor[panel, k].ctypes.data
                multiply(target, 4 * pixel_step, rows, 4 * depth, weights, depth, columns - panel * PANEL)


@njit(inline="always")
def _transform(products, tiles, rank, middle):
    """From the products of a block's columns to the input of its rows: 4 rows, each of `tiles` tiles."""
    for t in range(tiles):
        for r in range(0, rank, LANES):
            source, target = products[0, t * TILE * rank + r :].ctypes.data, middle[0, t * rank + r :].ctypes.data
            transform_middle(source, 4 * rank, products.strides[0], target, 4 * tiles * rank, middle.strides[0])


@njit(inline="always")
def _scatter(operand, row, left, tiles, sums, panels, panel_step):
    """Write what of a block, `tiles` tiles in each of 4 rows, lies in the picture."""
    out, pixels = operand.out, np.empty((TILE, PANEL), np.float32)
    for i in range(TILE * tiles):
        y, column = row + i // tiles, left + i % tiles * TILE
        if y < out.height:
            for panel in range(panels):
                source = sums[0, panel * panel_step + i * PANEL :].ctypes.data
                for v in range(0, min(PANEL, out.channels - panel * PANEL), LANES):
                    transform_output(source + 4 * v, sums.strides[0], pixels.ctypes.data + 4 * v)
                count = min(TILE, out.width - column)
                finish(pixels.ctypes.data, 4 * PANEL, operand, y, column, count, panel * PANEL)
