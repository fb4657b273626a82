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

The other four are buffers, used for one block after another (in `separable_dense_block.py` columns are kept for the
layers that follow). The rows of a product are the columns x, or the rows (t, m) of all tiles; MR of them are a group,
and groups are stored as in `winograd.py`:

    buffer     order, last index contiguous                written by              read by
    columns    [group][c // LANES][u][x of the group, c]   transform_columns       multiply_elements, first call
    products   [group][k // LANES][u][x of the group, k]   multiply_elements       _transform_middle
    middle     [group][k // LANES][v][(t, m), k]           _transform_middle       multiply_elements, second call
    sums       [group][n // LANES][v][(t, m), n]           multiply_elements       _write_tile

Low rank and Winograd save in different places, so they add up. In one dimension F(6, 3) takes 8 multiplications for 6
outputs instead of 18, and its transforms touch 8 values for 6 outputs, where the two-dimensional ones of `winograd.py`
touch 64 for 36: they cost less, and round less. Both halves are products of matrices, (pixels, C) @ (C, K) and
(pixels, K) @ (K, N), for each of 8 elements.

The blocks' buffers fit the second-level cache, where that holds those of one tile. Neighbouring blocks both compute the
two columns of M between them.

Extra memory: 8 (C + 2 K + N) floats for each column of one block, a thread; V and H, 8/3 of the factors in whole
panels, which are kept.

The tour's chapter :doc:`/auto_tour/13_svd_winograd` computes it in plain NumPy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp
from numba.extending import register_jitable

from lowrank_sr.conv import simd
from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch
from lowrank_sr.conv.feature_map import OUTPUT_TILE, address
from lowrank_sr.conv.micro_kernel import PIECE_BYTES, list_pieces, multiply_elements, pack_panels
from lowrank_sr.conv.output_tile import Place, tile_writer
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.conv.toom_cook import INPUT_TILE, needed_elements, times_a, times_b, times_g
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.conv.winograd import TURNS_A_THREAD
from lowrank_sr.layers import Separable
from lowrank_sr.machine import aligned
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import ceil_div, round_up

assert MR % OUTPUT_TILE == 0, "a tile's rows must not be cut by the end of a group"
GROUP_BYTES = INPUT_TILE * PIECE_BYTES + CACHE_LINE  # of LANES channels; a power of two would share few cache sets


@dataclass
class Factors:
    """The factors in panels, float32, K rounded up to whole vectors with zeros.

    `vertical` (panels of K, 3, C, NR), `horizontal` (panels of N, 3, K, NR), and which elements of each do not
    vanish, `needed` (2, 8). `kept` are V and H, and the channels of the input maps that they are for.
    """

    vertical: np.ndarray
    horizontal: np.ndarray
    needed: np.ndarray
    kept: tuple[tuple[int, ...], np.ndarray, np.ndarray] | None = None


# A layer's transformed factors: addresses, bytes from one element to the next; input channels in whole vectors, and K.
FACTORS = np.dtype([(name, np.intp) for name in ("v", "v_stride", "h", "h_stride", "depth", "rank")])


def prepare(layer: Separable, keep_transformed: bool) -> Factors:
    """Order the factors for `convolve`, which transforms them in the first call and always keeps the result."""
    padded = np.pad(layer.horizontal, ((0, 0), (0, -layer.rank % LANES), (0, 0)))
    vertical, horizontal = (pack_panels(factor.transpose(2, 1, 0)) for factor in (layer.vertical, padded))
    return Factors(vertical, horizontal, _needed(layer))


def _needed(layer: Separable) -> np.ndarray:
    """The elements of V and of H that do not vanish for all channels: (2, 8) bool."""
    return np.array([needed_elements(factor.any((0, 1))) for factor in (layer.vertical, layer.horizontal)])


def convolve(inputs: np.ndarray, operands: np.ndarray, factors: Factors, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with prepared factors on `workers` threads."""
    layers = np.array([transformed_factors(factors, inputs["channels"])], FACTORS)
    out = operands["out"][0]
    block = tiles_of_block(floats_of_column(layers, operands["out"]["channels"]), out["height"], out["width"], workers)
    _separable_winograd_loops(inputs, operands, layers, factors.needed, block, workers)


def transformed_factors(factors: Factors, map_channels: np.ndarray) -> tuple[int, ...]:
    """The fields of FACTORS for input maps of `map_channels` channels; `factors` must outlive their use."""
    rank = factors.horizontal.shape[2]
    depth = int(round_up(map_channels, LANES).sum())
    if factors.kept is None or factors.kept[0] != tuple(map_channels):
        v = aligned.zeros((INPUT_TILE, len(factors.vertical), depth, NR))
        h = aligned.zeros((INPUT_TILE, len(factors.horizontal), rank, NR))
        _transform_factor(factors.vertical, map_channels.copy(), v)
        _transform_factor(factors.horizontal, np.array([rank]), h)
        factors.kept = tuple(map_channels), v, h
    _, v, h = factors.kept
    return v.ctypes.data, v.strides[0], h.ctypes.data, h.strides[0], depth, rank


def floats_of_column(layers: np.ndarray, out_channels: np.ndarray) -> int:
    """What a column of a block takes of the four buffers, in floats for each of 8 elements: of `layers` the most."""
    sums = round_up(out_channels, NR)
    return int((layers["depth"] + 2 * layers["rank"] + sums).max())


def tiles_of_block(column: int, height: int, width: int, workers: int) -> int:
    """How many tiles side by side to take at a time: the second-level cache holds their buffers.

    A column of them takes 8 `column` floats.
    """
    strips, tiles_across = ceil_div(int(height), OUTPUT_TILE), ceil_div(int(width), OUTPUT_TILE)
    columns = l2_bytes() // (4 * INPUT_TILE * column)
    fitting = (columns // MR * MR - 2) // OUTPUT_TILE
    most = min(fitting, ceil_div(tiles_across * strips, TURNS_A_THREAD * workers))
    return block_tiles(tiles_across, max(1, most))


def block_bytes(column: int, tiles: int) -> int:
    """What the buffers of a block of `tiles` tiles take, where a column takes 8 `column` floats."""
    return column_groups(tiles) * column // LANES * GROUP_BYTES


def transformed_bytes(layer: Separable, depth: int) -> int:
    """What V and H take, for `depth` input channels."""
    rank_panels, out_panels = ceil_div(layer.rank, NR), ceil_div(layer.shape[0], NR)
    return 4 * INPUT_TILE * NR * (rank_panels * depth + out_panels * round_up(layer.rank, LANES))


def block_tiles(tiles_across: int, most: int) -> int:
    """How many of the `tiles_across` tiles of a strip to take at a time, at most `most`: those that cost least.

    The cost of a block is its columns of M, the two that its neighbour computes too included, in whole groups.
    """

    def cost(tiles: int) -> int:
        remaining = tiles_across % tiles
        return tiles_across // tiles * column_groups(tiles) + (column_groups(remaining) if remaining else 0)

    return min(range(min(most, tiles_across), 0, -1), key=cost)


@register_jitable
def column_groups(tiles: int) -> int:
    """Groups of MR columns of M under `tiles` tiles side by side."""
    return ceil_div(OUTPUT_TILE * tiles + 2, MR)


def _pixels(builder: IRBuilder, sums: Value) -> Iterator[tuple[list[Vector], list[Place]]]:
    """A' sums for LANES channels of one tile: 8 pieces of 6 rows to 6 x 6 pixels, a row at a time."""
    for i in range(OUTPUT_TILE):
        pieces = [simd.load(builder, sums, (element * MR + i) * LANES) for element in range(INPUT_TILE)]
        yield times_a(pieces), [(i, j) for j in range(OUTPUT_TILE)]


_write_tile = tile_writer(_pixels, GROUP_BYTES)


@compiled(parallel=True, error_model="numpy")
def _separable_winograd_loops(
    inputs: np.ndarray, operands: np.ndarray, layers: np.ndarray, needed: np.ndarray, block: int, workers: int
) -> None:
    """At most `block` tiles at a time; `layers` (1,) FACTORS."""
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        operand, layer = operands[0], layers[0]
        tiles_across = ceil_div(operand.out.width, OUTPUT_TILE)
        blocks = ceil_div(tiles_across, block)
        strips = ceil_div(operand.out.height, OUTPUT_TILE)
        most_groups = column_groups(block)
        columns_stride = layer.depth // LANES * GROUP_BYTES
        columns = np.empty(most_groups * columns_stride // 4, np.float32)
        column_pieces = np.empty((most_groups, layer.depth // LANES), np.intp)
        for g in range(most_groups):
            list_pieces(column_pieces[g], columns.ctypes.data + g * columns_stride, GROUP_BYTES)
        room = np.empty(room_floats(operands, layers, block), np.float32)
        middle_pieces = np.empty((most_groups, layer.rank // LANES), np.intp)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, NR), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < strips * blocks:
            strip, first_tile = turn // blocks, turn % blocks * block
            tiles = min(block, tiles_across - first_tile)
            target = columns.ctypes.data
            for m in range(len(inputs)):
                transform_columns(inputs[m], strip, first_tile, tiles, target, columns_stride)
                target += ceil_div(inputs[m].channels, LANES) * GROUP_BYTES
            multiply_factors(
                operands, layer, needed, column_pieces, strip, first_tile, tiles, room, middle_pieces, pixels
            )
            turn = next_turn(counter.ctypes.data)


@register_jitable
def room_floats(operands: np.ndarray, layers: np.ndarray, block: int) -> int:
    """How many floats `products`, `middle` and `sums` of any of the layers take for `block` tiles."""
    most = 0
    for k in range(len(layers)):
        sums_vectors = round_up(operands[k].out.channels, NR) // LANES
        most = max(most, 2 * layers[k].rank // LANES + sums_vectors)
    return column_groups(block) * most * GROUP_BYTES // 4


@njit(inline="always")
def multiply_factors(
    operands: np.ndarray,
    layer: np.record,
    needed: np.ndarray,
    column_pieces: np.ndarray,
    strip: int,
    first_tile: int,
    tiles: int,
    room: np.ndarray,
    middle_pieces: np.ndarray,
    pixels: np.ndarray,
) -> None:
    """From the transformed columns of `tiles` tiles of a strip, whose pieces are listed, to pixels of `operands[0]`.

    `layer` is a FACTORS, `needed` (2, 8) bool; `room`, `middle_pieces` and `pixels` are room to work in.
    """
    out = operands[0].out
    groups, middle_groups = column_groups(tiles), ceil_div(OUTPUT_TILE * tiles, MR)
    out_panels = ceil_div(out.channels, NR)
    middle_stride = layer.rank // LANES * GROUP_BYTES
    sums_stride = out_panels * NR // LANES * GROUP_BYTES
    products = room.ctypes.data
    middle = products + groups * middle_stride
    sums = middle + groups * middle_stride
    multiply_elements(
        needed[0],
        column_pieces[:groups],
        weights=layer.v,
        weights_stride=layer.v_stride,
        depth=layer.depth,
        columns=layer.rank,
        sums=products,
        sums_stride=middle_stride,
        stride=GROUP_BYTES,
    )
    for t in range(tiles):
        _transform_middle(products, middle, t, layer.rank, middle_stride)
    for g in range(middle_groups):
        list_pieces(middle_pieces[g, : layer.rank // LANES], middle + g * middle_stride, GROUP_BYTES)
    multiply_elements(
        needed[1],
        middle_pieces[:middle_groups],
        weights=layer.h,
        weights_stride=layer.h_stride,
        depth=layer.rank,
        columns=out.channels,
        sums=sums,
        sums_stride=sums_stride,
        stride=GROUP_BYTES,
    )
    for t in range(tiles):
        source = sums + _piece(OUTPUT_TILE * t, sums_stride)
        _write_tile(operands, OUTPUT_TILE * strip, OUTPUT_TILE * (first_tile + t), source, out_panels, pixels)


@njit(inline="always")
def _piece(row: int, stride: int) -> int:
    """Where row `row` of a product lies from its first, in bytes; groups of MR rows lie `stride` bytes apart."""
    return row // MR * stride + row % MR * 4 * LANES


@compiled(error_model="numpy")
def _transform_factor(factor: np.ndarray, map_channels: np.ndarray, transformed: np.ndarray) -> None:
    """G of a factor's taps into `transformed`, of zeros, where each map's channels fill up whole vectors."""
    first_channel, position = 0, 0
    for channels in map_channels:
        for panel in range(len(factor)):
            for c in range(channels):
                for n in range(0, NR, LANES):
                    transform_taps(
                        factor[panel, 0, first_channel + c, n:].ctypes.data,
                        factor.strides[1],
                        transformed[0, panel, position + c, n:].ctypes.data,
                        transformed.strides[0],
                    )
        first_channel += channels
        position += round_up(channels, LANES)


@njit(inline="always")
def transform_columns(x: np.record, strip: int, first_tile: int, tiles: int, target: int, stride: int) -> None:
    """B' of the columns under `tiles` tiles of a strip, for all channels of x; groups lie `stride` bytes apart."""
    for i in range(OUTPUT_TILE * tiles + 2):
        pixels = address(x, OUTPUT_TILE * strip - 1, OUTPUT_TILE * first_tile - 1 + i)
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
        simd.store(builder, value, target, element * MR * LANES)


transform_column = simd.instructions(intp, intp, intp)(_emit_transform_column)
transform_column_part = simd.instructions(intp, intp, intp, intp)(_emit_transform_column)


@simd.instructions(intp, intp, intp)
def transform_middle(builder: IRBuilder, first: Value, last: Value, middle: Value) -> None:
    """A' of 8 columns' products, then B' along the rows: LANES channels of 6 rows of 8 elements.

    The pieces of the first 6 columns begin at `first`, those of the last 2 at `last`.
    """

    def column(j: int) -> list[Vector]:
        start, p = (first, j) if j < OUTPUT_TILE else (last, j - OUTPUT_TILE)
        return [simd.load(builder, start, (element * MR + p) * LANES) for element in range(INPUT_TILE)]

    columns = [times_a(column(j)) for j in range(INPUT_TILE)]
    for m, row in enumerate(zip(*columns, strict=True)):
        for element, value in enumerate(times_b(row)):
            simd.store(builder, value, middle, (element * MR + m) * LANES)


def _scratch(layer: Separable, call: Call, keep_transformed: bool) -> Scratch:
    depth = sum(round_up(c, LANES) for c in call.channels)
    column = depth + 2 * round_up(layer.rank, LANES) + round_up(layer.shape[0], NR)
    block = tiles_of_block(column, call.height, call.width, call.workers)
    return Scratch(call.workers * block_bytes(column, block), transformed_bytes(layer, depth))


def _multiplications(layer: Separable) -> float:
    n, c, _ = layer.shape
    vertical, horizontal = _needed(layer).sum(axis=1)
    return layer.rank * (vertical * c + horizontal * n) / OUTPUT_TILE


ALGORITHM: Algorithm[Separable, Factors] = Algorithm(
    name="winograd",
    form=Separable,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=_multiplications,
)
