"""A dense block of SVD pairs by Winograd's F(6, 3) as one operator: the columns of every feature map transformed once.

Its layers follow each other through the picture (`wavefront.py`) in blocks of tiles side by side, `across` of them in a
strip of tiles. What block b reads reaches into the blocks around it, the last of which is the one below on the right:

    behind = across + 1

A block of layer k transforms the columns of map k, and multiplies those of maps 0 to k by its vertical factor and goes
on as `separable_winograd.py` does, in the same order: the result is the same to the bit.

Extra memory: 8 floats for each channel of map m and each column of step + (n - 1 - m) behind blocks; 8 (2 K + N)
floats for each column of one block, a thread; the transformed factors of all layers, 8/3 of them in whole panels, which
are kept.
"""

from collections.abc import Sequence

import numpy as np
from numba import prange

from lowrank_sr.conv import separable_winograd, wavefront
from lowrank_sr.conv.algorithm import Call, DenseBlockAlgorithm, Scratch
from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.separable_winograd import (
    FACTORS,
    GROUP_BYTES,
    Factors,
    block_bytes,
    column_groups,
    floats_of_column,
    multiply_factors,
    room_floats,
    tiles_of_block,
    transform_columns,
    transformed_bytes,
    transformed_factors,
)
from lowrank_sr.conv.turns import next_turn, set_flag
from lowrank_sr.layers import Separable
from lowrank_sr.machine import aligned
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, NR
from lowrank_sr.machine.rounding import ceil_div, round_up


def convolve(inputs: np.ndarray, operands: np.ndarray, factors: Sequence[Factors], workers: int) -> None:
    """Compute the layers with `factors` on `workers` threads.

    `inputs` are the records of maps 0 to n - 1, of which all but the first are also written to: `operands[k]` says
    where the sums of layer k go and what is added to them.
    """
    channels, out = inputs["channels"], operands["out"][0]
    layers = np.array([transformed_factors(each, channels[: k + 1]) for k, each in enumerate(factors)], FACTORS)
    needed = np.array([each.needed for each in factors])
    column = floats_of_column(layers, operands["out"]["channels"])
    block = tiles_of_block(column, out["height"], out["width"], workers)
    blocks, behind = _blocks(int(out["height"]), int(out["width"]), block)
    rings = _rings(blocks, behind, block, channels, workers)
    transforms = aligned.empty((wavefront.rings_bytes(rings) // 4,))
    rings["start"] += transforms.ctypes.data
    _separable_dense_block_loops(inputs, operands, layers, needed, rings, block, blocks, behind, workers)


def _blocks(height: int, width: int, block: int) -> tuple[int, int]:
    """How many blocks of at most `block` tiles a picture has, and how many of them a layer follows behind the last."""
    across = ceil_div(width, OUTPUT_TILE * block)
    return ceil_div(height, OUTPUT_TILE) * across, across + 1


def _rings(blocks: int, behind: int, block: int, channels: np.ndarray, workers: int) -> np.ndarray:
    vectors = ceil_div(channels, LANES)
    before = np.cumsum(vectors) - vectors
    return wavefront.rings(blocks, behind, workers, column_groups(block) * vectors * GROUP_BYTES, before * GROUP_BYTES)


@compiled(parallel=True, error_model="numpy")
def _separable_dense_block_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    layers: np.ndarray,
    needed: np.ndarray,
    rings: np.ndarray,
    block: int,
    blocks: int,
    behind: int,
    workers: int,
) -> None:
    """`blocks` of at most `block` tiles; `layers` (n,) FACTORS, `needed` (n, 2, 8) bool, `rings` (n,) RING."""
    n = len(layers)
    tiles_across = ceil_div(operands[0].out.width, OUTPUT_TILE)
    across = ceil_div(tiles_across, block)
    most_groups, most_rank = column_groups(block), 0
    for k in range(n):
        most_rank = max(most_rank, layers[k].rank)
    done = np.zeros((n, blocks), np.int64)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        column_pieces = np.empty((most_groups, layers[n - 1].depth // LANES), np.intp)
        room = np.empty(room_floats(operands, layers, block), np.float32)
        middle_pieces = np.empty((most_groups, most_rank // LANES), np.intp)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, NR), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < wavefront.turn_count(blocks, behind, n, workers):
            k, b = wavefront.place(turn, behind, n, workers)
            if 0 <= b < blocks:
                wavefront.await_parts(done, rings[k].slots, k, b, behind)
                strip, first_tile = b // across, b % across * block
                tiles = min(block, tiles_across - first_tile)
                wavefront.list_maps(inputs[: k + 1], rings, b, column_pieces, GROUP_BYTES)
                stride = ceil_div(inputs[k].channels, LANES) * GROUP_BYTES
                target = wavefront.slot_address(rings[k], b)
                transform_columns(inputs[k], strip, first_tile, tiles, target, stride)
                multiply_factors(
                    operands[k : k + 1],
                    layers[k],
                    needed[k],
                    column_pieces,
                    strip,
                    first_tile,
                    tiles,
                    room,
                    middle_pieces,
                    pixels,
                )
                set_flag(done[k, b:].ctypes.data)
            turn = next_turn(counter.ctypes.data)


def _scratch(layers: Sequence[Separable], call: Call) -> Scratch:
    channels = np.array(call.channels)
    depths = [int(depth) for depth in np.cumsum(round_up(channels, LANES))]
    sizes = np.zeros(len(layers), FACTORS)
    sizes["depth"], sizes["rank"] = depths, [round_up(layer.rank, LANES) for layer in layers]
    out_channels = np.array([layer.shape[0] for layer in layers])
    block = tiles_of_block(floats_of_column(sizes, out_channels), call.height, call.width, call.workers)
    blocks = _blocks(call.height, call.width, block)
    transforms = wavefront.rings_bytes(_rings(*blocks, block, channels, call.workers))
    sizes["depth"] = 0  # the columns are in the rings
    working = call.workers * block_bytes(floats_of_column(sizes, out_channels), block)
    kept = sum(transformed_bytes(layer, depth) for layer, depth in zip(layers, depths, strict=True))
    return Scratch(transforms + working, kept)


ALGORITHM: DenseBlockAlgorithm[Separable, Factors] = DenseBlockAlgorithm(
    separable_winograd.ALGORITHM, convolve, _scratch
)
