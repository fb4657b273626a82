"""Layers that follow each other through a picture, instead of one after the other: the order, and who waits for whom.

The layers of a dense block (Huang et al. 2017) read what all layers before them read and wrote, maps 0 to k:

    map k + 1 = layer k (map 0, ..., map k),    k = 0 ... n - 1

Winograd's algorithms transform what they read. Layer by layer, map m is transformed n - m times: in ESRGAN's blocks, 64
channels and four times 32, 640 channels instead of 192. To transform each map once, its transform must be kept until
the last layer has used it, which pays only where a cache keeps it. So each layer follows close behind the one before.

The picture is computed in parts, numbered along its rows. What part p of layer k reads reaches into the parts around
it, of which the last is part p + behind. Layer k may therefore follow so many parts behind layer k - 1,

    part p of layer k needs parts p - behind to p + behind of layer k - 1

and a step consists of `step` parts of each layer: the s-th step

    of layer k, parts s step - k behind to s step - k behind + step - 1,      k = 0 ... n - 1

First, part p of layer k transforms map k there, the one that no layer before it reads. Of map m, step + (n - 1 - m)
behind parts are kept, in a ring of as many slots: layer m writes part p over the one that layer n - 1 has just used.
Threads take turns in the order of steps, layers and parts. A turn depends on earlier ones only, and waits for those
that are not done. `step` is two for each thread, so that waiting is rare.

Part p of layer k awaits parts p - behind to p + behind of layer k - 1, and where its slot of the ring holds the
transform of part q, part q of layer n - 1. By induction over the layers that is enough. Part p of layer k - 1 has
awaited part p of layer k - 2, and so on: when it is done, so is part p of every layer before, and the transforms of
maps 0 to k - 1 are there. In the same way, when part q of layer n - 1 is done, so is part q of every layer, and nobody
reads transforms of part q any more; until then nobody writes over them. A flag is set after what its turn has written;
a thread that has read the flag also sees that, and all that its turn had seen. No turn waits for ever: the first one
that is not done awaits only what is done.
"""

import numpy as np
from numba import njit

from lowrank_sr.conv.micro_kernel import list_pieces
from lowrank_sr.conv.turns import await_flag
from lowrank_sr.machine.aligned import CACHE_LINE
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.rounding import ceil_div, round_up

PARTS_A_THREAD = 2  # of a layer in a step; with fewer, threads wait for each other, with more, caches hold too little
CACHE_SETS_BYTES = 4096  # addresses so far apart share a set of the first-level cache

# Where the transforms of a map are kept: the address of the first part's, for how many parts there is room, the bytes
# from one to the next.
RING = np.dtype([(name, np.intp) for name in ("start", "slots", "stride")])


def rings(parts: int, behind: int, workers: int, part_bytes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The RING of each of n maps, of whose transforms a part takes `part_bytes[m]`; starts are counted from 0.

    A product reads the transforms of all maps at a time. Those of map m begin at `offsets[m]` modulo the
    cache's sets: else they would push each other out of the few sets that they share.
    """
    n = len(part_bytes)
    result, start = np.zeros(n, RING), 0
    for m in range(n):
        slots = min(parts, PARTS_A_THREAD * workers + (n - 1 - m) * behind)
        stride = round_up(part_bytes[m], CACHE_SETS_BYTES)
        start += (offsets[m] - start) % CACHE_SETS_BYTES
        result[m] = start, slots, stride
        start += slots * stride
    return result


def rings_bytes(counted: np.ndarray) -> int:
    """How much memory the rings lie in, whose starts are counted from 0."""
    last = counted[-1]
    return int(last["start"] + last["slots"] * last["stride"] + CACHE_LINE)


@njit(inline="always")
def turn_count(parts: int, behind: int, n: int, workers: int) -> int:
    """How many turns there are, those included that fall outside the picture."""
    step = PARTS_A_THREAD * workers
    total: int = ceil_div(parts + (n - 1) * behind, step) * n * step
    return total


@njit(inline="always")
def place(turn: int, behind: int, n: int, workers: int) -> tuple[int, int]:
    """(layer, part) of a turn; the part may be outside the picture."""
    step = PARTS_A_THREAD * workers
    layer = turn // step % n
    return layer, turn // (n * step) * step + turn % step - layer * behind


@njit(inline="always")
def await_parts(done: np.ndarray, slots: int, layer: int, part: int, behind: int) -> None:
    """Wait for what `part` of `layer` reads, and until one of the `slots` of its own map is free for it.

    For the layer before, and for the last that reads the slot: all others are done by then, as the module's text says.
    `done` (n, parts) int64 are flags, which are set when a part of a layer is computed.
    """
    n, parts = done.shape
    if layer > 0:
        for before in range(max(0, part - behind), min(parts, part + behind + 1)):
            await_flag(done[layer - 1, before:].ctypes.data)
    if part >= slots:
        await_flag(done[n - 1, part - slots :].ctypes.data)


@njit(inline="always")
def slot_address(ring: np.record, part: int) -> int:
    """The address of the transform of a map in `part`, in its ring."""
    address: int = ring.start + part % ring.slots * ring.stride
    return address


@njit(inline="always")
def list_maps(inputs: np.ndarray, rings: np.ndarray, part: int, pieces: np.ndarray, stride: int) -> None:
    """Write where the pieces of all `inputs` are kept for `part` to `pieces`, (groups, vectors of channels) intp.

    Pieces of neighbouring vectors lie `stride` bytes apart, in each map those of the next group after them.
    """
    first = 0
    for m in range(len(inputs)):
        vectors = ceil_div(inputs[m].channels, LANES)
        start = slot_address(rings[m], part)
        for g in range(len(pieces)):
            list_pieces(pieces[g, first : first + vectors], start + g * vectors * stride, stride)
        first += vectors
