"""The register tile: a block of sums that stays in vector registers while products are added to it.

    sums[p, n] (+)= sum over c of rows[p, c] * panel[c, n],    p < ROWS, n < PANEL or n < LANES

Each step of c loads PANEL weights, broadcasts one value of each of ROWS rows and does ROWS x PANEL multiply-adds:
more arithmetic for each load than the processor has execution units for, so that it runs at the peak. Every GEMM
library is built on such a tile (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication").
Where no more than LANES columns are wanted, the tile is half as wide and does half the arithmetic.

That peak is lost where the rows come from memory: each is a short stream, and the processor waits at its beginning. For
products whose rows are computed and not read from a picture there is therefore a second form, whose rows lie in pieces,

    piece[c // LANES][p, c % LANES] = rows[p, c]

so that ROWS rows are one stream, which is fetched while the one before it is multiplied. A list of addresses says where
each piece lies: the channels of a product come from several maps.

Extra memory: none.

The tour's chapter :doc:`/auto_tour/04_tile_and_roofline` computes it in plain NumPy.
"""

from collections.abc import Callable

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.machine import aligned
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

PIECE_BYTES = 4 * ROWS * LANES
ADDRESS_BYTES = 8

Cell = tuple[int, int]
"""Which of the tile's registers: (row p, vector of LANES columns v)."""


def cut_panels(matrix: np.ndarray) -> np.ndarray:
    """Cut (..., C, N) matrices into panels of PANEL columns, zeros after the last: float32 (panels, ..., C, PANEL)."""
    *rest, n = matrix.shape
    panels = aligned.zeros((-(-n // PANEL), *rest, PANEL))
    for panel, start in zip(panels, range(0, n, PANEL), strict=True):
        panel[..., : n - start] = matrix[..., start : start + PANEL]
    return panels


def _emit_tile(
    builder: IRBuilder,
    sums: Value,
    sums_stride: Value,
    rows: Value,
    row_stride: Value,
    panel: Value,
    depth: Value,
    vectors: int,
    initial_sum: Callable[[Cell], Vector],
) -> None:
    """Emit the loop over c for `vectors` x LANES columns, whose sums begin with `initial_sum(cell)`."""
    cells = _cells(vectors)
    row = [simd.pointer(builder, strided(builder, rows, row_stride, p)) for p in range(ROWS)]

    def step(c: Value, before: list[Vector]) -> list[Vector]:
        first_weight = builder.mul(c, c.type(PANEL))
        weights = [simd.load(builder, panel, builder.add(first_weight, c.type(v * LANES))) for v in range(vectors)]
        return _add_products(before, weights, [builder.gep(first, [c]) for first in row])

    totals = simd.loop(builder, depth, 1, [initial_sum(cell) for cell in cells], step)
    for (p, v), total in zip(cells, totals, strict=True):
        simd.store(builder, total, strided(builder, sums, sums_stride, p), v * LANES)


def _cells(vectors: int) -> list[Cell]:
    return [(p, v) for p in range(ROWS) for v in range(vectors)]


def _add_products(sums: list[Vector], weights: list[Vector], row: list[Value]) -> list[Vector]:
    """Each cell's sum and the product of the value at the pointer row[p] and weights[v]."""
    after = []
    for p, source in enumerate(row):
        value = simd.broadcast(sums[0].builder, source)
        after += [value * weight + sums[p * len(weights) + v] for v, weight in enumerate(weights)]
    return after


def _emit_wide_or_half(builder: IRBuilder, columns: Value, emit: Callable[[int], None]) -> None:
    """emit(vectors): the whole tile, or half of it for at most LANES columns."""
    with builder.if_else(builder.icmp_signed(">", columns, columns.type(LANES))) as (wide, half):
        with wide:
            emit(2)
        with half:
            emit(1)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp)
def multiply(
    builder: IRBuilder,
    sums: Value,
    sums_stride: Value,
    rows: Value,
    row_stride: Value,
    panel: Value,
    depth: Value,
    columns: Value,
) -> None:
    """sums = rows @ panel: (ROWS, PANEL) = (ROWS, depth) @ (depth, PANEL), depth >= 1; the strides are in bytes.

    Of at most LANES `columns` that are wanted, only LANES are computed and written.
    """
    zero = Vector(builder, simd.constant(0))

    def emit(vectors: int) -> None:
        _emit_tile(builder, sums, sums_stride, rows, row_stride, panel, depth, vectors, lambda cell: zero)

    _emit_wide_or_half(builder, columns, emit)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp)
def accumulate(
    builder: IRBuilder,
    sums: Value,
    sums_stride: Value,
    rows: Value,
    row_stride: Value,
    panel: Value,
    depth: Value,
    columns: Value,
) -> None:
    """sums += rows @ panel, with the arguments of `multiply`."""

    def sum_so_far(cell: Cell) -> Vector:
        p, v = cell
        return simd.load(builder, strided(builder, sums, sums_stride, p), v * LANES)

    def emit(vectors: int) -> None:
        _emit_tile(builder, sums, sums_stride, rows, row_stride, panel, depth, vectors, sum_so_far)

    _emit_wide_or_half(builder, columns, emit)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp, intp, intp, intp)
def multiply_pieces(
    builder: IRBuilder,
    sums: Value,
    row_stride: Value,
    vector_stride: Value,
    pieces: Value,
    offset: Value,
    panel: Value,
    depth: Value,
    next_pieces: Value,
    next_offset: Value,
    columns: Value,
) -> None:
    """`multiply` for rows in pieces: (ROWS, LANES), LANES channels of ROWS rows, wherever each of them lies.

    `pieces` is the address of a list of addresses, intp, one for each LANES channels; the pieces begin `offset` bytes
    after them. `depth` is a multiple of LANES. Sums of neighbouring rows lie `row_stride` bytes apart, those of
    neighbouring vectors of LANES columns `vector_stride`: 4 LANES and the stride of pieces where they are to be the
    rows of another product. A product reads its pieces once, from whichever cache holds them; those that `next_pieces`
    and `next_offset` lead to are fetched meanwhile.
    """

    def emit(vectors: int) -> None:
        _emit_pieces(
            builder,
            sums,
            row_stride,
            vector_stride,
            (pieces, offset),
            panel,
            depth,
            (next_pieces, next_offset),
            vectors,
        )

    _emit_wide_or_half(builder, columns, emit)


def _emit_pieces(
    builder: IRBuilder,
    sums: Value,
    row_stride: Value,
    vector_stride: Value,
    pieces: tuple[Value, Value],
    panel: Value,
    depth: Value,
    next_pieces: tuple[Value, Value],
    vectors: int,
) -> None:
    """Emit the loop over pieces for `vectors` x LANES columns."""
    cells = _cells(vectors)

    def place(of: tuple[Value, Value], c: Value) -> Value:
        """Where the piece of channels c to c + LANES begins."""
        addresses, offset = of
        entry = builder.add(addresses, builder.mul(builder.sdiv(c, c.type(LANES)), c.type(ADDRESS_BYTES)))
        return builder.add(simd.load_scalar(builder, entry, intp), offset)

    def step(c: Value, totals: list[Vector]) -> list[Vector]:
        piece, next_piece = place(pieces, c), place(next_pieces, c)
        weights = builder.add(panel, builder.mul(c, c.type(4 * PANEL)))
        for lane in range(LANES):
            for line in range(PIECE_BYTES * lane // LANES, PIECE_BYTES * (lane + 1) // LANES):
                if line % CACHE_LINE == 0:
                    simd.prefetch(builder, builder.add(next_piece, c.type(line)))
            weight = [simd.load(builder, weights, lane * PANEL + v * LANES) for v in range(vectors)]
            row = [simd.pointer(builder, piece, p * LANES + lane) for p in range(ROWS)]
            totals = _add_products(totals, weight, row)
        return totals

    zero = Vector(builder, simd.constant(0))
    totals = simd.loop(builder, depth, LANES, [zero] * len(cells), step)
    for (p, v), total in zip(cells, totals, strict=True):
        simd.store(builder, total, strided(builder, strided(builder, sums, row_stride, p), vector_stride, v))


@njit(inline="always")
def multiply_maps(
    sums: int,
    sums_stride: int,
    inputs: np.ndarray,
    row: int,
    column: int,
    panel: int,
    columns: int,
    so_far: bool,
) -> None:
    """sums (+)= rows @ panel, the rows being ROWS pixels side by side from (row, column), of all maps in `inputs`.

    `so_far`: whether there are sums already, to which the products are added.
    """
    for m in range(len(inputs)):
        x = inputs[m]
        pixels = address(x, row, column)
        if so_far or m > 0:
            accumulate(sums, sums_stride, pixels, x.pixel_stride, panel, x.channels, columns)
        else:
            multiply(sums, sums_stride, pixels, x.pixel_stride, panel, x.channels, columns)
        panel += 4 * PANEL * x.channels


@njit(inline="always")
def list_pieces(pieces: np.ndarray, start: int, stride: int) -> None:
    """Write the addresses `start`, `start` + `stride`, ... to `pieces`, (vectors of channels,) intp."""
    for v in range(len(pieces)):
        pieces[v] = start + v * stride


@njit(inline="always")
def multiply_elements(
    needed: np.ndarray,
    pieces: np.ndarray,
    weights: int,
    weights_stride: int,
    depth: int,
    columns: int,
    sums: int,
    sums_stride: int,
    stride: int,
) -> None:
    """sums[g, e] = rows[g, e] @ weights[e] for groups g of ROWS rows and each element e.

    Where `needed[e]` is false the sums are zeros. `pieces`, (groups, vectors of channels) intp, are the addresses of
    the rows' pieces (see `multiply_pieces`) for element 0, which the others follow. `weights` is the address of panels,
    (panels of `columns`, depth, PANEL), `weights_stride` bytes from an element to the next. Sums are pieces, too: of
    one vector of columns those of all elements follow each other, those of the next vector lie `stride` bytes further,
    those of the next group `sums_stride`.
    """
    groups = len(pieces)
    for element in range(len(needed)):
        offset = element * PIECE_BYTES
        for panel in range((columns + PANEL - 1) // PANEL):
            panel_weights = weights + element * weights_stride + 4 * panel * depth * PANEL
            remaining_columns = columns - panel * PANEL
            for g in range(groups):
                source = pieces[g:].ctypes.data
                following, next_offset = source + pieces.strides[0], offset
                if g == groups - 1:
                    following, next_offset = pieces.ctypes.data, offset + PIECE_BYTES
                target = sums + offset + g * sums_stride + panel * PANEL // LANES * stride
                if needed[element]:
                    multiply_pieces(
                        target,
                        4 * LANES,
                        stride,
                        source,
                        offset,
                        panel_weights,
                        depth,
                        following,
                        next_offset,
                        remaining_columns,
                    )
                else:
                    for column in range(0, min(PANEL, remaining_columns), LANES):
                        simd.clear(target + column // LANES * stride, ROWS)
