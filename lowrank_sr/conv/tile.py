"""The register tile: a block of sums that stays in vector registers while products are added to it.

    sums[p, n] (+)= sum over c of rows[p, c] * panel[c, n],    p < ROWS, n < PANEL or n < LANES

Each step of c loads PANEL weights, broadcasts one value of each of ROWS rows and does ROWS x PANEL multiply-adds:
more arithmetic for each load than the processor has execution units for, so that it runs at the peak. Every GEMM
library is built on such a tile (Goto and van de Geijn 2008). Where no more than LANES columns are wanted, the tile is
half as wide: half the work, in somewhat more than half the time.
"""

import numpy as np
from numba.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.simd import strided
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS


def panels(matrix: np.ndarray) -> np.ndarray:
    """Cut (..., C, N) matrices into panels of PANEL columns, zeros after the last: float32 (panels, ..., C, PANEL)."""
    *rest, n = matrix.shape
    cut = np.zeros((-(-n // PANEL), *rest, PANEL), np.float32)
    for panel, start in zip(cut, range(0, n, PANEL), strict=True):
        panel[..., : n - start] = matrix[..., start : start + PANEL]
    return cut


def _products(builder, sums, sums_stride, rows, stride, panel, depth, vectors, start):
    """Emit the loop over c for `vectors` x LANES columns; `start`(cell) is the value a sum begins with."""
    index = stride.type
    cells = [(p, v) for p in range(ROWS) for v in range(vectors)]
    row = [simd.pointer(builder, strided(builder, rows, stride, p)) for p in range(ROWS)]
    begin = {cell: start(cell) for cell in cells}

    entry = builder.block
    loop, done = builder.append_basic_block("step"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    c = builder.phi(index)
    before = {cell: builder.phi(begin[cell].value.type) for cell in cells}
    at = builder.mul(c, index(PANEL))
    weights = [simd.load(builder, panel, builder.add(at, index(v * LANES))) for v in range(vectors)]
    after = {}
    for p in range(ROWS):
        value = simd.broadcast(builder, builder.gep(row[p], [c]))
        for v in range(vectors):
            after[p, v] = value * weights[v] + simd.Vector(builder, before[p, v])
    following = builder.add(c, index(1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)

    c.add_incoming(index(0), entry)
    c.add_incoming(following, loop)
    for cell in cells:
        before[cell].add_incoming(begin[cell].value, entry)
        before[cell].add_incoming(after[cell].value, loop)
    builder.position_at_end(done)
    for p, v in cells:
        simd.store(builder, after[p, v], strided(builder, sums, sums_stride, p), v * LANES)


def _wide_or_half(builder, columns, emit):
    """emit(vectors): the whole tile, or half of it for at most LANES columns."""
    with builder.if_else(builder.icmp_signed(">", columns, columns.type(LANES))) as (wide, half):
        with wide:
            emit(2)
        with half:
            emit(1)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp)
def multiply(builder, sums, sums_stride, rows, stride, panel, depth, columns):
    """sums = rows @ panel: (ROWS, PANEL) = (ROWS, depth) @ (depth, PANEL), depth >= 1; the strides are in bytes.

    Of at most LANES `columns` that are wanted, only LANES are computed and written.
    """
    zero = simd.Vector(builder, simd.constant(0))

    def emit(vectors):
        _products(builder, sums, sums_stride, rows, stride, panel, depth, vectors, lambda cell: zero)

    _wide_or_half(builder, columns, emit)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp)
def accumulate(builder, sums, sums_stride, rows, stride, panel, depth, columns):
    """sums += rows @ panel, as `multiply`."""

    def start(cell):
        p, v = cell
        return simd.load(builder, strided(builder, sums, sums_stride, p), v * LANES)

    def emit(vectors):
        _products(builder, sums, sums_stride, rows, stride, panel, depth, vectors, start)

    _wide_or_half(builder, columns, emit)
