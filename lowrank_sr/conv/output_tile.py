"""From the sums of a Winograd algorithm to pixels: a tile of 6 x 6, through the epilogue, cut at the picture's end.

`winograd.py` and `separable_winograd.py` differ in how pixels follow from sums, and in nothing after that.

Extra memory: none but the tile that is given.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import Writer, apply_epilogue
from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.simd import Vector
from lowrank_sr.machine.cpu import LANES, NR

Place = tuple[int, int]
"""A pixel of a tile: (row, column)."""

Pixels = Callable[[IRBuilder, Value], Iterator[tuple[list[Vector], list[Place]]]]
"""pixels(builder, sums): LANES channels of a tile, a few pixels at a time, from the sums at that address."""


def tile_writer(pixels_of: Pixels, stride: int) -> Callable[..., Any]:
    """The compiled function that writes a tile of an algorithm whose pixels are `pixels_of` its sums.

    The sums of neighbouring vectors of LANES channels lie `stride` bytes apart.
    """

    @simd.instructions(intp, intp)
    def transform(builder: IRBuilder, sums: Value, target: Value) -> None:
        for values, places in pixels_of(builder, sums):
            for value, (i, j) in zip(values, places, strict=True):
                simd.store(builder, value, target, (OUTPUT_TILE * i + j) * NR)

    @simd.instructions(intp, intp, intp, intp, intp)
    def transform_and_finish(
        builder: IRBuilder, sums: Value, operand: Value, row: Value, column: Value, channel: Value
    ) -> None:
        writer = Writer(builder, operand, row, column, channel)
        for values, places in pixels_of(builder, sums):
            writer.write(values, [(i, column.type(j)) for i, j in places])

    @njit(inline="always")
    def write_tile(operands: np.ndarray, row: int, column: int, sums: int, panel_count: int, tile: np.ndarray) -> None:
        """Write what of the tile at (row, column), whose sums begin at the address `sums`, lies in the picture.

        `tile` is room for (6, 6, NR) float32.
        """
        out = operands[0].out
        rows, columns = min(OUTPUT_TILE, out.height - row), min(OUTPUT_TILE, out.width - column)
        for panel in range(panel_count):
            first_channel = panel * NR
            inside = rows == OUTPUT_TILE and columns == OUTPUT_TILE and first_channel + NR <= out.channels
            for n in range(first_channel, min(first_channel + NR, out.channels), LANES):
                source = sums + n // LANES * stride
                if inside:
                    transform_and_finish(source, operands.ctypes.data, row, column, n)
                else:
                    transform(source, tile.ctypes.data + 4 * (n - first_channel))
            if not inside:
                for i in range(rows):
                    apply_epilogue(tile[i].ctypes.data, 4 * NR, operands, row + i, column, columns, first_channel)

    return write_tile
