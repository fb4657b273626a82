"""A dense block by Winograd's F(6 x 6, 3 x 3) as one operator: every feature map is transformed once.

Its layers follow each other through the picture (`wavefront.py`) in groups of MR tiles, numbered along the rows of
tiles, of which each has `tiles_across`. The input tiles of group g reach into the output tiles around it, the last of
which is tiles_across + 1 tiles further on, in group g + behind:

    behind = 1 + tiles_across // MR

A group of layer k transforms map k, and multiplies the transforms of maps 0 to k by its kernel as `winograd.py` does,
in the same order: the result is the same to the bit.

Extra memory: 64 floats for each channel of map m and each tile of step + (n - 1 - m) behind groups, for ESRGAN's blocks
6 MB where the picture is 192 pixels wide and two threads compute; the transformed kernels of all layers, 7 times their
size; 64 N floats for each tile of one group a thread.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from lowrank_sr.conv import wavefront, winograd
from lowrank_sr.conv.algorithm import Call, DenseBlockAlgorithm, Scratch
from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.micro_kernel import multiply_elements
from lowrank_sr.conv.turns import next_turn, set_flag
from lowrank_sr.conv.winograd import (
    GROUP_BYTES,
    Kernels,
    transform_input_group,
    transformed_bytes,
    transformed_kernels,
    write_group,
)
from lowrank_sr.layers import Dense
from lowrank_sr.machine import aligned
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import ceil_div, round_up

# A layer's transformed kernel: its address, the bytes from one element to the next, its channels in whole vectors.
KERNEL = np.dtype([(name, np.intp) for name in ("weights", "stride", "depth")])


def convolve(inputs: np.ndarray, operands: np.ndarray, kernels: Sequence[Kernels], workers: int) -> None:
    """Compute the layers with `kernels` on `workers` threads.

    `inputs` are the records of maps 0 to n - 1, of which all but the first are also written to: `operands[k]` says
    where the sums of layer k go and what is added to them.
    """
    channels, out = inputs["channels"], operands["out"][0]
    depths = np.cumsum(round_up(channels, LANES))
    transformed = [
        transformed_kernels(kernel, channels[: k + 1].copy(), int(depths[k]), workers)
        for k, kernel in enumerate(kernels)
    ]
    layers = np.array(
        [(each.ctypes.data, each.strides[0], depth) for each, depth in zip(transformed, depths, strict=True)], KERNEL
    )
    needed = np.concatenate([each.needed for each in kernels])
    groups, behind = _groups(int(out["height"]), int(out["width"])), _behind(int(out["width"]))
    rings = _rings(groups, behind, channels, workers)
    transforms = aligned.empty((wavefront.rings_bytes(rings) // 4,))
    rings["start"] += transforms.ctypes.data
    _dense_block_loops(inputs, operands, layers, needed, rings, groups, behind, workers)


def transforms_bytes(height: int, width: int, channels: Sequence[int], workers: int) -> int:
    """What `convolve` keeps the transforms of maps of `channels` channels in."""
    return wavefront.rings_bytes(_rings(_groups(height, width), _behind(width), np.array(channels), workers))


def _rings(groups: int, behind: int, channels: np.ndarray, workers: int) -> np.ndarray:
    vectors = ceil_div(channels, LANES)
    before = np.cumsum(vectors) - vectors
    return wavefront.rings(groups, behind, workers, vectors * GROUP_BYTES, before * GROUP_BYTES)


def _groups(height: int, width: int) -> int:
    """Groups of MR tiles in a picture of `height` x `width` pixels."""
    return ceil_div(ceil_div(height, OUTPUT_TILE) * ceil_div(width, OUTPUT_TILE), MR)


def _behind(width: int) -> int:
    """How many groups a layer follows behind the one before, where the picture is `width` pixels wide."""
    return 1 + ceil_div(width, OUTPUT_TILE) // MR


@compiled(parallel=True, error_model="numpy")
def _dense_block_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    layers: np.ndarray,
    needed: np.ndarray,
    rings: np.ndarray,
    groups: int,
    behind: int,
    workers: int,
) -> None:
    """`layers` (n,) KERNEL, `needed` (n, 64) bool, `rings` (n,) RING."""
    n, widest = len(layers), 0
    for k in range(n):
        widest = max(widest, _panels(operands[k].out.channels))
    done = np.zeros((n, groups), np.int64)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        sums = np.empty(widest * NR // LANES * GROUP_BYTES // 4, np.float32)
        pieces = np.empty((1, layers[n - 1].depth // LANES), np.intp)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, NR), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < wavefront.turn_count(groups, behind, n, workers):
            k, g = wavefront.place(turn, behind, n, workers)
            if 0 <= g < groups:
                wavefront.await_parts(done, rings[k].slots, k, g, behind)
                _compute_group(inputs, operands, layers, needed[k], rings, k, g, pieces, sums.ctypes.data, pixels)
                set_flag(done[k, g:].ctypes.data)
            turn = next_turn(counter.ctypes.data)


@njit(inline="always")
def _compute_group(
    inputs: np.ndarray,
    operands: np.ndarray,
    layers: np.ndarray,
    needed: np.ndarray,
    rings: np.ndarray,
    k: int,
    g: int,
    pieces: np.ndarray,
    sums: int,
    pixels: np.ndarray,
) -> None:
    """Transform group g of map k and compute it for layer k.

    `pieces` (1, vectors of channels), the memory at the address `sums` and `pixels` are room to work in.
    """
    operand, layer = operands[k], layers[k]
    tiles_across = ceil_div(operand.out.width, OUTPUT_TILE)
    tiles = min(MR, tiles_across * ceil_div(operand.out.height, OUTPUT_TILE) - g * MR)
    wavefront.list_maps(inputs[: k + 1], rings, g, pieces, GROUP_BYTES)
    transform_input_group(inputs[k], g * MR, tiles, tiles_across, wavefront.slot_address(rings[k], g))
    multiply_elements(
        needed,
        pieces,
        weights=layer.weights,
        weights_stride=layer.stride,
        depth=layer.depth,
        columns=operand.out.channels,
        sums=sums,
        sums_stride=0,  # there is one group
        stride=GROUP_BYTES,
    )
    write_group(operands[k : k + 1], g * MR, tiles, tiles_across, sums, _panels(operand.out.channels), pixels)


@register_jitable
def _panels(channels: int) -> int:
    return ceil_div(channels, NR)


def _scratch(layers: Sequence[Dense], call: Call) -> Scratch:
    depths = np.cumsum(round_up(np.array(call.channels), LANES))
    panel_counts = [ceil_div(layer.shape[0], NR) for layer in layers]
    kernels = sum(transformed_bytes(each, int(depth)) for each, depth in zip(panel_counts, depths, strict=True))
    sums = call.workers * max(panel_counts) * NR // LANES * GROUP_BYTES
    return Scratch(transforms_bytes(call.height, call.width, call.channels, call.workers) + kernels + sums)


ALGORITHM: DenseBlockAlgorithm[Dense, Kernels] = DenseBlockAlgorithm(winograd.ALGORITHM, convolve, _scratch)
