"""The register tile: a block of sums that stays in vector registers while products are added to it.

    sums[p, n] (+)= sum over c of rows[p, c] * panel[c, n],    p < ROWS, n < PANEL or n < LANES

Each step of c loads PANEL weights, broadcasts one value of each of ROWS rows and does ROWS x PANEL multiply-adds:
more arithmetic for each load than the processor has execution units for, so that it runs at the peak. Every GEMM
library is built on such a tile (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication").
Where no more than LANES columns are wanted, the tile is half as wide and does half the arithmetic.

That peak is lost where the rows come from memory: each is a short stream, and the processor waits at its beginning. For
products whose rows are computed and not read from a picture there is therefore a second form, whose rows lie in pieces,

    piece[c // LANES][p, c % LANES] = rows[p, c]

so that ROWS rows are one stream, which is fetched while the one before it is multiplied.

Extra memory: none.

The tour's chapter :doc:`/auto_tour/04_tile_and_roofline` computes it in plain NumPy.
"""

from collections.abc import Callable

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

CACHE_LINE = 64  # bytes
PIECE_BYTES = 4 * ROWS * LANES

Cell = tuple[int, int]
"""Which of the tile's registers: (row p, vector of LANES columns v)."""


def cut_panels(matrix: np.ndarray) -> np.ndarray:
    """Cut (..., C, N) matrices into panels of PANEL columns, zeros after the last: float32 (panels, ..., C, PANEL)."""
    *rest, n = matrix.shape
    panels = np.zeros((-(-n // PANEL), *rest, PANEL), np.float32)
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
    index = row_stride.type
    cells = [(p, v) for p in range(ROWS) for v in range(vectors)]
    row = [simd.pointer(builder, strided(builder, rows, row_stride, p)) for p in range(ROWS)]
    initial = {cell: initial_sum(cell) for cell in cells}

    entry = builder.block
    loop = builder.append_basic_block("step")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    c = builder.phi(index)
    before = {cell: builder.phi(initial[cell].value.type) for cell in cells}
    first_weight = builder.mul(c, index(PANEL))
    weights = [simd.load(builder, panel, builder.add(first_weight, index(v * LANES))) for v in range(vectors)]
    after = {}
    for p in range(ROWS):
        value = simd.broadcast(builder, builder.gep(row[p], [c]))
        for v in range(vectors):
            after[p, v] = value * weights[v] + Vector(builder, before[p, v])
    next_c = builder.add(c, index(1))
    builder.cbranch(builder.icmp_signed("<", next_c, depth), loop, done)

    c.add_incoming(index(0), entry)
    c.add_incoming(next_c, loop)
    for cell in cells:
        before[cell].add_incoming(initial[cell].value, entry)
        before[cell].add_incoming(after[cell].value, loop)
    builder.position_at_end(done)
    for p, v in cells:
        simd.store(builder, after[p, v], strided(builder, sums, sums_stride, p), v * LANES)


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


@simd.instructions(intp, intp, intp, intp, intp, intp, intp, intp, intp)
def multiply_pieces(
    builder: IRBuilder,
    sums: Value,
    row_stride: Value,
    vector_stride: Value,
    pieces: Value,
    piece_stride: Value,
    panel: Value,
    depth: Value,
    next_pieces: Value,
    columns: Value,
) -> None:
    """`multiply` for rows in pieces: LANES channels of ROWS rows, (ROWS, LANES), `piece_stride` bytes apart.

    `depth` is a multiple of LANES. Sums of neighbouring rows lie `row_stride` bytes apart, those of neighbouring
    vectors of LANES columns `vector_stride`: 4 LANES and the stride of pieces where they are to be the rows of another
    product. A product reads its pieces once, from whichever cache holds them; those at `next_pieces` are fetched
    meanwhile.
    """

    def emit(vectors: int) -> None:
        _emit_pieces(builder, sums, row_stride, vector_stride, pieces, piece_stride, panel, depth, next_pieces, vectors)

    _emit_wide_or_half(builder, columns, emit)


def _emit_pieces(
    builder: IRBuilder,
    sums: Value,
    row_stride: Value,
    vector_stride: Value,
    pieces: Value,
    piece_stride: Value,
    panel: Value,
    depth: Value,
    next_pieces: Value,
    vectors: int,
) -> None:
    """Emit the loop over pieces for `vectors` x LANES columns."""
    index = sums.type
    cells = [(p, v) for p in range(ROWS) for v in range(vectors)]
    zero = simd.constant(0)

    entry = builder.block
    loop = builder.append_basic_block("piece")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    c = builder.phi(index)
    before = {cell: builder.phi(zero.type) for cell in cells}
    offset = builder.mul(builder.sdiv(c, index(LANES)), piece_stride)
    piece, next_piece = builder.add(pieces, offset), builder.add(next_pieces, offset)
    weights = builder.add(panel, builder.mul(c, index(4 * PANEL)))
    after = {cell: Vector(builder, before[cell]) for cell in cells}
    for lane in range(LANES):
        for line in range(PIECE_BYTES * lane // LANES, PIECE_BYTES * (lane + 1) // LANES):
            if line % CACHE_LINE == 0:
                simd.prefetch(builder, builder.add(next_piece, index(line)))
        weight = [simd.load(builder, weights, lane * PANEL + v * LANES) for v in range(vectors)]
        for p in range(ROWS):
            value = simd.broadcast(builder, simd.pointer(builder, piece, p * LANES + lane))
            for v in range(vectors):
                after[p, v] = value * weight[v] + after[p, v]
    next_c = builder.add(c, index(LANES))
    builder.cbranch(builder.icmp_signed("<", next_c, depth), loop, done)

    c.add_incoming(index(0), entry)
    c.add_incoming(next_c, loop)
    for cell in cells:
        before[cell].add_incoming(zero, entry)
        before[cell].add_incoming(after[cell].value, loop)
    builder.position_at_end(done)
    for p, v in cells:
        simd.store(builder, after[p, v], strided(builder, strided(builder, sums, row_stride, p), vector_stride, v))


@njit(inline="always")
def multiply_elements(
    needed: np.ndarray,
    rows: int,
    rows_stride: int,
    groups: int,
    weights: int,
    weights_stride: int,
    depth: int,
    columns: int,
    sums: int,
    sums_stride: int,
    stride: int,
) -> None:
    """sums[g, e] = rows[g, e] @ weights[e] for `groups` groups of ROWS rows and each element e.

    Where `needed[e]` is false the sums are zeros. Everything else is an address or a stride in bytes. The pieces of a
    group (see `multiply_pieces`) of one vector of channels lie one after the other for all elements, those of the next
    vector `stride` bytes further, the next group `rows_stride` or `sums_stride`. `weights` are panels, (panels of
    `columns`, depth, PANEL), `weights_stride` bytes from an element to the next.
    """
    for element in range(len(needed)):
        for panel in range((columns + PANEL - 1) // PANEL):
            panel_weights = weights + element * weights_stride + 4 * panel * depth * PANEL
            remaining_columns = columns - panel * PANEL
            for g in range(groups):
                source = rows + element * PIECE_BYTES + g * rows_stride
                following = source + rows_stride
                if g == groups - 1:
                    following = rows + (element + 1) * PIECE_BYTES
                target = sums + element * PIECE_BYTES + g * sums_stride + panel * PANEL // LANES * stride
                if needed[element]:
                    multiply_pieces(
                        target, 4 * LANES, stride, source, stride, panel_weights, depth, following, remaining_columns
                    )
                else:
                    for column in range(0, min(PANEL, remaining_columns), LANES):
                        simd.clear(target + column // LANES * stride, ROWS)
