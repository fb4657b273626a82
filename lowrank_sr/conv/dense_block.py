"""A dense block by Winograd's F(6 x 6, 3 x 3) as one operator: every feature map is transformed once.

The layers of a dense block (Huang et al. 2017) read what all layers before them read and wrote, maps 0 to k:

    map k + 1 = layer k (map 0, ..., map k),    k = 0 ... n - 1

Layer by layer, as in `winograd.py`, map m is transformed n - m times: in ESRGAN's blocks, 64 channels and four times
32, 640 channels instead of 192. Here the transform of a map is kept until the last layer has used it, which pays only
where it is kept in a cache. The layers therefore follow each other through the picture instead of one after the other.
Groups of ROWS tiles are numbered along its tile rows, T tiles each. What group g of layer k reads reaches into the
tiles around it, the last of which is T + 1 tiles further on, in group g + S:

    group g of layer k needs groups g - S to g + S of layer k - 1,    S = 1 + T // ROWS

so that layer k may follow S groups behind layer k - 1, and step s consists of B groups of each layer,

    step s:    groups s B - k S to s B - k S + B - 1 of layer k,      k = 0 ... n - 1

First, group g of layer k transforms map k there, the one that no layer before it reads. It then multiplies the
transforms of maps 0 to k by its kernel, as `winograd.py` does, in the same order: the result is the same to the bit.
Of map m, B + (n - 1 - m) S groups are kept, in a ring: layer m writes group g over the one that layer n - 1 has just
used. Threads take turns in the order of steps, layers and groups. A turn depends on earlier ones only, and waits for
those that are not done; with B two for each thread that is rare.

Extra memory: 64 floats for each channel of map m and each tile of B + (n - 1 - m) S groups, for ESRGAN's blocks 10 MB
where the picture is 192 pixels wide; the transformed kernels of all layers, 7 times their size; 64 N floats for each
tile of one group a thread.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit, prange
from numba.extending import register_jitable

from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.tile import list_pieces, multiply_elements
from lowrank_sr.conv.turns import await_flag, load_sleep, next_turn, set_flag
from lowrank_sr.conv.winograd import GROUP_BYTES, Kernels, transform_input_group, transformed_kernels, write_group
from lowrank_sr.machine import aligned
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

GROUPS_A_THREAD = (
    2  # of a layer in a step: fewer, and threads wait for each other; more, and transforms leave the cache
)
CACHE_SETS_BYTES = 4096  # addresses so far apart share a set of the first-level cache

# A layer's transformed kernel: its address, the bytes from one element to the next, its channels in whole vectors.
KERNEL = np.dtype([(name, np.intp) for name in ("weights", "stride", "depth")])

# The transforms of a map: the address of the first, how many groups are kept, the bytes from one to the next.
RING = np.dtype([(name, np.intp) for name in ("start", "groups", "stride")])


def convolve(inputs: np.ndarray, operands: np.ndarray, kernels: Sequence[Kernels], workers: int) -> None:
    """Compute the layers with `kernels` on `workers` threads.

    `inputs` are the records of maps 0 to n - 1, of which all but the first are also written to: `operands[k]` says
    where the sums of layer k go and what is added to them.
    """
    load_sleep()
    channels, out = inputs["channels"], operands["out"][0]
    depths = LANES * np.cumsum(_vectors(channels))
    transformed = [
        transformed_kernels(kernel, channels[: k + 1].copy(), int(depths[k]), workers)
        for k, kernel in enumerate(kernels)
    ]
    layers = np.array(
        [(each.ctypes.data, each.strides[0], depth) for each, depth in zip(transformed, depths, strict=True)], KERNEL
    )
    needed = np.concatenate([each.needed for each in kernels])
    rings = _rings(int(out["height"]), int(out["width"]), channels, workers)
    transforms = aligned.empty((_size(rings) // 4,))
    rings["start"] += transforms.ctypes.data
    _dense_block_loops(inputs, operands, layers, needed, rings, workers)


def transforms_bytes(height: int, width: int, channels: Sequence[int], workers: int) -> int:
    """What `convolve` keeps the transforms of maps of `channels` channels in."""
    return _size(_rings(height, width, np.array(channels), workers))


def _rings(height: int, width: int, channels: np.ndarray, workers: int) -> np.ndarray:
    """The RING of each map, its start counted from 0.

    A product reads the pieces of all maps at a time. They lie as if those of a map followed those of the one before it
    in memory, modulo the cache's sets: else they would push each other out of the few sets that they share.
    """
    vectors, n = _vectors(channels), len(channels)
    rings = np.zeros(n, RING)
    behind = np.arange(n)[::-1]  # by how many layers the last one to use a map follows the first
    rings["groups"] = np.minimum(
        groups_of(height, width), GROUPS_A_THREAD * workers + behind * groups_between_layers(width)
    )
    rings["stride"] = -(-vectors * GROUP_BYTES // CACHE_SETS_BYTES) * CACHE_SETS_BYTES
    sizes = rings["groups"] * rings["stride"]
    rings["start"] = np.cumsum(sizes) - sizes + (np.cumsum(vectors) - vectors) * (GROUP_BYTES % CACHE_SETS_BYTES)
    return rings


def _size(rings: np.ndarray) -> int:
    last = rings[-1]
    return int(last["start"] + last["groups"] * last["stride"] + CACHE_LINE)


def _vectors(channels: np.ndarray) -> np.ndarray:
    return -(-channels // LANES)


@register_jitable
def groups_of(height: int, width: int) -> int:
    """How many groups a picture of `height` x `width` pixels has."""
    tiles = ((height + OUTPUT_TILE - 1) // OUTPUT_TILE) * ((width + OUTPUT_TILE - 1) // OUTPUT_TILE)
    return (tiles + ROWS - 1) // ROWS


@register_jitable
def groups_between_layers(width: int) -> int:
    """S, by how many groups a layer follows the one before it where the picture is `width` pixels wide."""
    return 1 + (width + OUTPUT_TILE - 1) // OUTPUT_TILE // ROWS


@compiled(parallel=True, error_model="numpy")
def _dense_block_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    layers: np.ndarray,
    needed: np.ndarray,
    rings: np.ndarray,
    workers: int,
) -> None:
    """`layers` (n,) KERNEL, `needed` (n, 64) bool, `rings` (n,) RING."""
    n = len(layers)
    height, width = operands[0].out.height, operands[0].out.width
    groups, behind = groups_of(height, width), groups_between_layers(width)
    step = GROUPS_A_THREAD * workers
    steps = (groups + (n - 1) * behind + step - 1) // step
    widest = 0
    for k in range(n):
        widest = max(widest, _panels(operands[k].out.channels))
    done = np.zeros((n, groups), np.int64)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        sums = np.empty(widest * PANEL // LANES * GROUP_BYTES // 4, np.float32)
        pieces = np.empty((1, layers[n - 1].depth // LANES), np.intp)
        pixels = np.empty((OUTPUT_TILE, OUTPUT_TILE, PANEL), np.float32)
        turn = next_turn(counter.ctypes.data)
        while turn < steps * n * step:
            k = turn // step % n
            g = turn // (n * step) * step + turn % step - k * behind
            if 0 <= g < groups:
                _await_groups(done, rings[k].groups, k, g, behind)
                _compute_group(inputs, operands, layers, needed[k], rings, k, g, pieces, sums.ctypes.data, pixels)
                set_flag(done[k, g:].ctypes.data)
            turn = next_turn(counter.ctypes.data)


@njit(inline="always")
def _await_groups(done: np.ndarray, kept: int, k: int, g: int, behind: int) -> None:
    """Wait for what group g of layer k reads of map k, and until its place among the `kept` groups of it is free."""
    n, groups = done.shape
    if k > 0:
        for before in range(max(0, g - behind), min(groups, g + behind + 1)):
            await_flag(done[k - 1, before:].ctypes.data)
    if g >= kept:
        await_flag(done[n - 1, g - kept :].ctypes.data)


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
    across = (operand.out.width + OUTPUT_TILE - 1) // OUTPUT_TILE
    tiles = min(ROWS, across * ((operand.out.height + OUTPUT_TILE - 1) // OUTPUT_TILE) - g * ROWS)
    start, first = 0, 0
    for m in range(k + 1):
        vectors = (inputs[m].channels + LANES - 1) // LANES
        start = rings[m].start + g % rings[m].groups * rings[m].stride
        list_pieces(pieces[0, first : first + vectors], start, GROUP_BYTES)
        first += vectors
    transform_input_group(inputs[k], g * ROWS, tiles, across, start)
    panel_count = _panels(operand.out.channels)
    multiply_elements(
        needed,
        pieces,
        weights=layer.weights,
        weights_stride=layer.stride,
        depth=layer.depth,
        columns=operand.out.channels,
        sums=sums,
        sums_stride=0,
        stride=GROUP_BYTES,
    )
    write_group(operands[k : k + 1], g * ROWS, tiles, across, sums, panel_count, pixels)


@register_jitable
def _panels(channels: int) -> int:
    return (channels + PANEL - 1) // PANEL
