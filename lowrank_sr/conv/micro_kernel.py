"""The micro-kernel: MR x NR sums stay in vector registers while products are added to them.

    sums[p, n] (+)= sum over c of rows[p, c] * panel[c, n],    p < MR, n < NR or n < LANES

Each step of c loads NR weights, which lie in a packed panel, broadcasts one value of each of MR rows and does MR x NR
multiply-adds: more arithmetic for each load than the processor has execution units for, so that it runs at the peak.
Every GEMM library is built on such a kernel (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
multiplication"); the words are those of BLIS (Van Zee and van de Geijn 2015). Where no more than LANES columns are
wanted, it is half as wide and does half the arithmetic.

That peak is lost where the rows come from memory: each is a short stream, and the processor waits at its beginning. For
products whose rows are computed and not read from a picture there is therefore a second form. Its rows are packed too,
in pieces of MR rows x LANES channels,

    piece[c // LANES][p, c % LANES] = rows[p, c]

so that MR rows are one stream, which is fetched while the one before it is multiplied. A list of addresses says where
each piece lies: the channels of a product come from several maps.

Extra memory: none.

The tour's chapter :doc:`/auto_tour/04_micro_kernel_and_roofline` computes it in plain NumPy.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.machine import aligned
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import ceil_div

PIECE_BYTES = 4 * MR * LANES
ADDRESS_BYTES = 8

Cell = tuple[int, int]
"""Which of the registers with sums: (row p, vector of LANES columns v)."""


def pack_panels(matrix: np.ndarray) -> np.ndarray:
    """Cut (..., C, N) matrices into panels of NR columns, zeros after the last: float32 (panels, ..., C, NR)."""
    *rest, n = matrix.shape
    panels = aligned.zeros((ceil_div(n, NR), *rest, NR))
    for panel, start in zip(panels, range(0, n, NR), strict=True):
        panel[..., : n - start] = matrix[..., start : start + NR]
    return panels


def _emit_rows(
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
    row = [simd.pointer(builder, strided(builder, rows, row_stride, p)) for p in range(MR)]

    def step(c: Value, before: list[Vector]) -> list[Vector]:
        first_weight = builder.mul(c, c.type(NR))
        weights = [simd.load(builder, panel, builder.add(first_weight, c.type(v * LANES))) for v in range(vectors)]
        return _add_products(before, weights, [builder.gep(first, [c]) for first in row])

    totals = simd.loop(builder, depth, 1, [initial_sum(cell) for cell in cells], step)
    for (p, v), total in zip(cells, totals, strict=True):
        simd.store(builder, total, strided(builder, sums, sums_stride, p), v * LANES)


def _cells(vectors: int) -> list[Cell]:
    return [(p, v) for p in range(MR) for v in range(vectors)]


def _add_products(sums: list[Vector], weights: list[Vector], row: list[Value]) -> list[Vector]:
    """Each cell's sum and the product of the value at the pointer row[p] and weights[v]."""
    after = []
    for p, source in enumerate(row):
        value = simd.broadcast(sums[0].builder, source)
        after += [value * weight + sums[p * len(weights) + v] for v, weight in enumerate(weights)]
    return after


def _emit_wide_or_half(builder: IRBuilder, columns: Value, emit: Callable[[int], None]) -> None:
    """emit(vectors): all NR columns, or half of them where at most LANES are wanted."""
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
    """sums = rows @ panel: (MR, NR) = (MR, depth) @ (depth, NR), depth >= 1; the strides are in bytes.

    Of at most LANES `columns` that are wanted, only LANES are computed and written.
    """
    zero = Vector(builder, simd.constant(0))

    def emit(vectors: int) -> None:
        _emit_rows(builder, sums, sums_stride, rows, row_stride, panel, depth, vectors, lambda cell: zero)

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
        _emit_rows(builder, sums, sums_stride, rows, row_stride, panel, depth, vectors, sum_so_far)

    _emit_wide_or_half(builder, columns, emit)


class Product(NamedTuple):
    """The operands of `multiply_pieces`: addresses, and distances in bytes."""

    sums: int
    row_stride: int
    """From the sums of a row to those of the next."""
    vector_stride: int
    """From the sums of LANES columns to those of the next LANES."""
    pieces: int
    """The address of a list of addresses of pieces, intp, one for each LANES channels."""
    offset: int
    """Added to every address in the list."""
    panel: int
    depth: int
    """How many channels are summed, a multiple of LANES."""
    columns: int
    """Columns wanted; where there are at most LANES, only LANES are computed and written."""
    next_pieces: int
    next_offset: int
    """As `pieces` and `offset`, of the product that follows."""


@simd.instructions_of_record(Product)
def multiply_pieces(builder: IRBuilder, product: Product) -> None:
    """`multiply` for rows in pieces: (MR, LANES), LANES channels of MR rows, wherever each of them lies.

    Strides of 4 LANES and that of pieces make the sums the rows of another product. A product reads its pieces once,
    from whichever cache holds them; those of the product that follows are fetched meanwhile.
    """
    _emit_wide_or_half(builder, product.columns, lambda vectors: _emit_pieces(builder, product, vectors))


def _emit_pieces(builder: IRBuilder, product: Any, vectors: int) -> None:
    """Emit the loop over pieces for `vectors` x LANES columns; the fields of `product` are LLVM values here."""
    cells = _cells(vectors)

    def place(addresses: Value, offset: Value, c: Value) -> Value:
        """Where the piece of channels c to c + LANES begins."""
        entry = builder.add(addresses, builder.mul(builder.sdiv(c, c.type(LANES)), c.type(ADDRESS_BYTES)))
        return builder.add(simd.load_scalar(builder, entry, intp), offset)

    def step(c: Value, totals: list[Vector]) -> list[Vector]:
        piece = place(product.pieces, product.offset, c)
        next_piece = place(product.next_pieces, product.next_offset, c)
        weights = builder.add(product.panel, builder.mul(c, c.type(4 * NR)))
        for lane in range(LANES):
            for line in range(PIECE_BYTES * lane // LANES, PIECE_BYTES * (lane + 1) // LANES):
                if line % CACHE_LINE == 0:
                    simd.prefetch(builder, builder.add(next_piece, c.type(line)))
            weight = [simd.load(builder, weights, lane * NR + v * LANES) for v in range(vectors)]
            row = [simd.pointer(builder, piece, p * LANES + lane) for p in range(MR)]
            totals = _add_products(totals, weight, row)
        return totals

    zero = Vector(builder, simd.constant(0))
    totals = simd.loop(builder, product.depth, LANES, [zero] * len(cells), step)
    for (p, v), total in zip(cells, totals, strict=True):
        row = strided(builder, product.sums, product.row_stride, p)
        simd.store(builder, total, strided(builder, row, product.vector_stride, v))


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
    """sums (+)= rows @ panel, the rows being MR pixels side by side from (row, column), of all maps in `inputs`.

    `so_far`: whether there are sums already, to which the products are added.
    """
    for m in range(len(inputs)):
        x = inputs[m]
        pixels = address(x, row, column)
        if so_far or m > 0:
            accumulate(sums, sums_stride, pixels, x.pixel_stride, panel, x.channels, columns)
        else:
            multiply(sums, sums_stride, pixels, x.pixel_stride, panel, x.channels, columns)
        panel += 4 * NR * x.channels


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
    """sums[g, e] = rows[g, e] @ weights[e] for groups g of MR rows and each element e.

    Where `needed[e]` is false the sums are zeros. `pieces`, (groups, vectors of channels) intp, are the addresses of
    the rows' pieces (see `multiply_pieces`) for element 0, which the others follow. `weights` is the address of panels,
    (panels of `columns`, depth, NR), `weights_stride` bytes from an element to the next. Sums are pieces, too: of
    one vector of columns those of all elements follow each other, those of the next vector lie `stride` bytes further,
    those of the next group `sums_stride`, which is ignored where there is only one.
    """
    groups = len(pieces)
    for element in range(len(needed)):
        offset = element * PIECE_BYTES
        for panel in range(ceil_div(columns, NR)):
            panel_weights = weights + element * weights_stride + 4 * panel * depth * NR
            remaining_columns = columns - panel * NR
            for g in range(groups):
                source = pieces[g:].ctypes.data
                following, next_offset = source + pieces.strides[0], offset
                if g == groups - 1:
                    following, next_offset = pieces.ctypes.data, offset + PIECE_BYTES
                target = sums + offset + g * sums_stride + panel * NR // LANES * stride
                if needed[element]:
                    product = Product(
                        sums=target,
                        row_stride=4 * LANES,
                        vector_stride=stride,
                        pieces=source,
                        offset=offset,
                        panel=panel_weights,
                        depth=depth,
                        columns=remaining_columns,
                        next_pieces=following,
                        next_offset=next_offset,
                    )
                    multiply_pieces(product)
                else:
                    for column in range(0, min(NR, remaining_columns), LANES):
                        simd.clear(target + column // LANES * stride, MR)
