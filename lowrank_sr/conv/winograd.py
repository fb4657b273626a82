"""Winograd's F(6 x 6, 3 x 3): 64 multiplications for a tile of 36 outputs instead of 324 (Lavin and Gray 2016).

In one dimension F(6, 3) of `toom_cook.py` computes six outputs of a filter g of three taps from eight inputs d,
y = A' [(G g) * (B' d)], where * multiplies element by element and ' transposes: 8 multiplications instead of 18.

Nested for two dimensions (Lavin and Gray 2016, equation 8), with a 3 x 3 filter g, an 8 x 8 input tile d and a 6 x 6
output tile Y: the transforms apply to the columns, then to the rows,

    Y = A' [(G g G') * (B' d B)] A,

8 x 8 = 64 multiplications where the sum itself takes 36 x 9 = 324. Input tiles overlap by 2 pixels. The transforms are
linear, so that channels are summed before A', and for each of the 64 elements e that sum is a product of matrices:

    inputs[e, t, c]  = (B' d[t, c] B)[e]                            tile t, input channel c
    sums[e, t, n]    = sum over c of inputs[e, t, c] kernel[e, c, n],    kernel[e, c, n] = (G g[n, c] G')[e]
    out tile[t, n]   = A' sums[:, t, n] A

Rounding errors are larger than those of direct convolution: an output is a difference of numbers larger than itself.
The magnitudes in a row of B' add up to 15 and in a row of A' to 67, in two dimensions to 225 and 4,497. What is large
cancels in exact arithmetic; its roundings do not (Barabasz et al. 2020, theorem 2). Through all of ESRGAN they come to
4e-6 of the picture's range (direct convolution: 1e-6). F(4 x 4, 3 x 3) rounds half as much, but takes 36
multiplications for 16 outputs, 27% more, and 2.25 transformed values for each pixel instead of 1.78.

MR tiles are a group, the rows of the micro-kernel. What belongs to a group is stored in the order in which it is
computed and read, vectors of LANES channels outside and elements within:

    [g][c // LANES][e][t, c % LANES]    g the group, t its tile; the innermost is a piece of `micro_kernel.py`

A transform reads or writes all elements of a few cache lines, and a product runs through a list of pieces.
Groups are processed in blocks whose transforms fit the second-level cache, or one at a time.

Extra memory: 64 (C + N) floats for each tile of one block a thread; the transformed kernel, 7 times the kernel.

The tour's chapter :doc:`/auto_tour/05_winograd` computes it in plain NumPy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.micro_kernel import PIECE_BYTES, list_pieces, multiply_elements, pack_panels
from lowrank_sr.conv.output_tile import Place, tile_writer
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.conv.toom_cook import INPUT_TILE, needed_elements, times_a, times_b, times_g
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.layers import Dense
from lowrank_sr.machine import aligned
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import ceil_div, round_up

TILE_ELEMENTS = INPUT_TILE * INPUT_TILE
GROUP_BYTES = TILE_ELEMENTS * PIECE_BYTES + CACHE_LINE  # of LANES channels; a power of two would share few cache sets
TURNS_A_THREAD = 4  # at least, where the picture has the tiles: threads then end at about the same time


@dataclass
class Kernels:
    """Kernels as the loops read them: `panels` (M, panels of N, 3, 3, C, NR) float32, `needed` (M, 64) elements.

    `kept` is G g G' of them all, and the channels of the input maps that it is for.
    """

    panels: np.ndarray
    needed: np.ndarray
    keep_transformed: bool
    kept: tuple[tuple[int, ...], np.ndarray] | None = None


def prepare(layer: Dense, keep_transformed: bool) -> Kernels:
    """Order the kernel for `convolve`, which transforms it in the first call, or else in every one."""
    return Kernels(pack_panels(layer.weight.transpose(2, 3, 1, 0))[None], _needed(layer)[None], keep_transformed)


def _needed(layer: Dense) -> np.ndarray:
    """The elements of G g G' that do not vanish for all channels: (64,) bool."""
    rows, columns = (needed_elements(layer.weight.any(axes)) for axes in ((0, 1, 3), (0, 1, 2)))
    return np.outer(rows, columns).ravel()


def _join(kernels: Sequence[Kernels]) -> Kernels:
    """All kernels, for one transform of the input that they share."""
    panels, needed = (np.concatenate([getattr(each, name) for each in kernels]) for name in ("panels", "needed"))
    return Kernels(panels, needed, kernels[0].keep_transformed)


def convolve(inputs: np.ndarray, operands: np.ndarray, kernels: Kernels, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with prepared kernels on `workers` threads.

    The input is transformed once; each of the M kernels writes to the map of its own in `operands`.
    """
    out = operands["out"][0]
    depth = int(round_up(inputs["channels"], LANES).sum())
    transformed = transformed_kernels(kernels, inputs["channels"].copy(), depth, workers)
    group = _group_bytes(depth, kernels.panels.shape[1])
    block = _groups_of_block(group, int(out["height"]), int(out["width"]), workers)
    _winograd_loops(inputs, operands, transformed, kernels.needed, depth, block, workers)


def _group_bytes(depth: int, panel_count: int) -> int:
    """What the transforms of a group's tiles take, of the input and of the sums."""
    return (depth + panel_count * NR) // LANES * GROUP_BYTES


def _groups_of_block(group: int, height: int, width: int, workers: int) -> int:
    """How many groups, of `group` bytes each, are computed at a time."""
    tiles = ceil_div(height, OUTPUT_TILE) * ceil_div(width, OUTPUT_TILE)
    groups = ceil_div(tiles, MR)
    return max(1, min(l2_bytes() // group, ceil_div(groups, TURNS_A_THREAD * workers)))


def transformed_bytes(panel_count: int, depth: int) -> int:
    """What G g G' takes, for `panel_count` panels of output channels and `depth` input channels."""
    return TILE_ELEMENTS * (4 * panel_count * depth * NR + CACHE_LINE)


def _scratch(layer: Dense, call: Call, keep_transformed: bool) -> Scratch:
    depth, panel_count = sum(round_up(c, LANES) for c in call.channels), ceil_div(layer.shape[0], NR)
    group = _group_bytes(depth, panel_count)
    working = call.workers * _groups_of_block(group, call.height, call.width, call.workers) * group
    transformed = transformed_bytes(panel_count, depth)
    return Scratch(working, transformed) if keep_transformed else Scratch(working + transformed)


def transformed_kernels(kernels: Kernels, map_channels: np.ndarray, depth: int, workers: int) -> np.ndarray:
    """G g G' of all kernels, (64, M panels of N, depth, NR) float32 in rows of any length."""
    kept = kernels.kept
    if kept is not None and kept[0] == tuple(map_channels):
        return kept[1]
    count, panel_count = kernels.panels.shape[:2]
    transformed = aligned.empty((TILE_ELEMENTS, count * panel_count * depth * NR + CACHE_LINE // 4))
    panels = kernels.panels.reshape(-1, *kernels.panels.shape[2:])
    _transform_kernels(map_channels, panels, depth, transformed, workers)
    if kernels.keep_transformed:
        kernels.kept = tuple(map_channels), transformed
    return transformed


@compiled(parallel=True, error_model="numpy")
def _transform_kernels(
    map_channels: np.ndarray, panels: np.ndarray, depth: int, transformed: np.ndarray, workers: int
) -> None:
    """G g G' for maps of `map_channels` channels; zeros for the channels that fill up a map's last vector."""
    plane, tap = transformed.strides[0], panels.strides[2]
    for worker in prange(workers):
        zeros = np.zeros(NR, np.float32)
        first_channel, position = 0, 0
        for channels in map_channels:
            padded = round_up(channels, LANES)
            for c in range(padded * worker // workers, padded * (worker + 1) // workers):
                for panel in range(len(panels)):
                    target = transformed.ctypes.data + 4 * (panel * depth + position + c) * NR
                    for n in range(0, NR, LANES):
                        if c < channels:
                            source = panels[panel, 0, 0, first_channel + c, n:].ctypes.data
                            transform_taps(source, tap, target + 4 * n, plane)
                        else:
                            transform_taps(zeros.ctypes.data, 0, target + 4 * n, plane)
            first_channel += channels
            position += padded


def _pixels(builder: IRBuilder, sums: Value) -> Iterator[tuple[list[Vector], list[Place]]]:
    """A' sums A for LANES channels of one tile: 64 pieces to 6 x 6 pixels, a column at a time."""

    def row(i: int) -> list[Vector]:
        return [simd.load(builder, sums, (INPUT_TILE * i + j) * MR * LANES) for j in range(INPUT_TILE)]

    rows = [times_a(row(i)) for i in range(INPUT_TILE)]
    for j, column in enumerate(zip(*rows, strict=True)):
        yield times_a(column), [(i, j) for i in range(OUTPUT_TILE)]


_write_tile = tile_writer(_pixels, GROUP_BYTES)


@compiled(parallel=True, error_model="numpy")
def _winograd_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    transformed: np.ndarray,
    needed: np.ndarray,
    depth: int,
    block: int,
    workers: int,
) -> None:
    """`block` groups of MR tiles at a time; `depth` is the number of input channels in whole vectors for each map."""
    panel_count = ceil_div(operands[0].out.channels, NR)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand = operands[0]
        tiles_across = ceil_div(operand.out.width, OUTPUT_TILE)
        tiles = tiles_across * ceil_div(operand.out.height, OUTPUT_TILE)
        group_inputs = np.empty(block * (depth // LANES * GROUP_BYTES) // 4, np.float32)
        group_sums = np.empty(block * (panel_count * NR // LANES * GROUP_BYTES) // 4, np.float32)
        inputs_stride = depth // LANES * GROUP_BYTES
        sums_stride = panel_count * NR // LANES * GROUP_BYTES
        pieces = np.empty((block, depth // LANES), np.intp)
        for g in range(block):
            list_pieces(pieces[g], group_inputs.ctypes.data + g * inputs_stride, GROUP_BYTES)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, NR), np.float32)
        first_tile = MR * block * next_turn(counter.ctypes.data)
        while first_tile < tiles:
            groups = min(block, ceil_div(tiles - first_tile, MR))
            for g in range(groups):
                target = group_inputs.ctypes.data + g * inputs_stride
                first = first_tile + g * MR
                for m in range(len(inputs)):
                    transform_input_group(inputs[m], first, min(MR, tiles - first), tiles_across, target)
                    target += ceil_div(inputs[m].channels, LANES) * GROUP_BYTES
            for kernel in range(len(operands)):
                multiply_elements(
                    needed[kernel],
                    pieces[:groups],
                    weights=transformed.ctypes.data + 4 * kernel * panel_count * depth * NR,
                    weights_stride=transformed.strides[0],
                    depth=depth,
                    columns=operand.out.channels,
                    sums=group_sums.ctypes.data,
                    sums_stride=sums_stride,
                    stride=GROUP_BYTES,
                )
                for g in range(groups):
                    first = first_tile + g * MR
                    source = group_sums.ctypes.data + g * sums_stride
                    write_group(
                        operands[kernel : kernel + 1],
                        first,
                        min(MR, tiles - first),
                        tiles_across,
                        source,
                        panel_count,
                        pixels,
                    )
            first_tile = MR * block * next_turn(counter.ctypes.data)


@njit(inline="always")
def transform_input_group(x: np.record, first_tile: int, tiles: int, tiles_across: int, target: int) -> None:
    """B' d B of the input tiles d of up to MR output tiles, of all channels of x, to the address `target`."""
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
def write_group(
    operands: np.ndarray,
    first_tile: int,
    tiles: int,
    tiles_across: int,
    sums: int,
    panel_count: int,
    pixels: np.ndarray,
) -> None:
    """Write up to MR output tiles, whose sums begin at the address `sums`; `pixels` is room for one of them."""
    for t in range(tiles):
        row = (first_tile + t) // tiles_across * OUTPUT_TILE
        column = (first_tile + t) % tiles_across * OUTPUT_TILE
        _write_tile(operands, row, column, sums + 4 * LANES * t, panel_count, pixels)


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
            simd.store(builder, value, target, (INPUT_TILE * i + j) * MR * LANES)


transform_input = simd.instructions(intp, intp, intp, intp)(_emit_transform_input)
transform_input_part = simd.instructions(intp, intp, intp, intp, intp)(_emit_transform_input)


@simd.instructions(intp, intp, intp, intp)
def transform_taps(builder: IRBuilder, taps: Value, tap: Value, target: Value, plane: Value) -> None:
    """G g G' for LANES output channels: 3 x 3 taps, `tap` bytes apart, to 64 elements, `plane` bytes apart."""

    def column(j: int) -> list[Vector]:
        return [simd.load(builder, strided(builder, taps, tap, 3 * i + j)) for i in range(3)]

    columns = [times_g(column(j)) for j in range(3)]
    for i, row in enumerate(zip(*columns, strict=True)):
        for j, value in enumerate(times_g(row)):
            simd.store(builder, value, strided(builder, target, plane, INPUT_TILE * i + j))


ALGORITHM: Algorithm[Dense, Kernels] = Algorithm(
    name="winograd",
    form=Dense,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=lambda layer: _needed(layer).sum() / OUTPUT_TILE**2 * layer.shape[0] * layer.shape[1],
    join=_join,
)
