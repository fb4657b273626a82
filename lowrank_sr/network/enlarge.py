"""Enlarge a picture in the memory that there is: whole where it fits, in overlapping tiles where it does not.

A picture here is an (H, W, C) array: the channels that the network takes, or those that picture files store, which
pass through it as `channels.py` says.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.machine.memory import free_bytes, size_text
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.channels import alpha_of, check_image, coloured, is_grey
from lowrank_sr.network.enlarge_tile import Progress, TileInput, enlarge_tile
from lowrank_sr.network.footprint import alignment, call_bytes
from lowrank_sr.network.manner import PLAIN, Manner
from lowrank_sr.network.overlap import overlap_of
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.tiles import Tile, TilePlan, cheapest_plan, least_plan
from lowrank_sr.network.transparency import NETWORK

MEMORY = 2 * 10**9  # bytes that a call may take by default
SHARE = 0.8  # of what is free: others on the machine may want more meanwhile
_ALPHA_BYTES = 40, 56  # a pixel of a tile, and of what becomes of it, while alpha is enlarged
_YIELDED_BYTES = 2**20  # of rows at a time, copied: whoever holds them does not hold a whole row of tiles

TileProgress = Callable[[Tile, float], object]
"""progress(tile, share): called after each step with the share of the tile that was done in it; together about 1."""


Compute = Callable[[RRDBNet, Iterable[TileInput], TileProgress], Iterable[np.ndarray]]
"""compute(net, inputs, progress): `enlarge_tile` of each, in order, wherever that happens; they are read as taken."""


def enlarge(
    net: RRDBNet,
    image: np.ndarray,
    memory: int | None = None,
    overlap: int | None = None,
    progress: Progress | None = None,
    alpha: str = NETWORK,
    blend: float = 1.0,
    tta: bool = False,
) -> np.ndarray:
    """Enlarge an image in at most `memory` bytes in addition to itself and the result.

    Parameters
    ----------
    net : RRDBNet
        The network.
    image : (H, W, C) array of floats, 0..1, or of uint8 or uint16
        The channels that the network takes, or 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha.
    memory : int, optional
        Bytes. By default 2 GB, or 80% of what is free where that is less. An image that does not fit is cut into
        overlapping tiles, as large as fit.
    overlap : int, optional
        Pixels of context around a tile. By default as many as the network needs for no tile to be seen, by
        `overlap.overlap_of`, which measures that once.
    progress : function of float, optional
        Called after each step with the share of the work that was done in it.
    alpha : "network" or "bicubic"
        By what transparency is enlarged.
    blend : float
        0 to 1: how much of the network's picture is mixed with the bicubic one.
    tta : bool
        Whether the result is the mean over the image flipped and turned in all eight ways, in eight times the time.

    Returns
    -------
    (scale H, scale W, C) array
        float32, not clipped, for floats; else of the image's dtype, clipped and rounded to nearest.

    Raises
    ------
    InputError
        Where the image has another shape or dtype, not even the smallest tile fits into `memory`, or `alpha` or `blend`
        is not as above.
    """
    image, manner = np.asarray(image), Manner(alpha, blend, tta)
    return enlarge_in_tiles(net, image, plan_image(net, image, memory, overlap, manner), progress, manner)


def plan_image(
    net: RRDBNet, image: np.ndarray, memory: int | None = None, overlap: int | None = None, manner: Manner = PLAIN
) -> TilePlan:
    """The tiles in which `enlarge` computes an image; raises InputError as it does."""
    dtype = _dtype_of_result(image)
    if image.ndim != 3 or 0 in image.shape or dtype not in (np.float32, np.uint8, np.uint16):
        raise InputError(
            f"image of {image.dtype} of shape {image.shape}: expected (height, width, channels) floats, uint8 or uint16"
        )
    height, width, channels = image.shape
    check_image(channels, net.architecture)
    needs = partial(needed_bytes, channels, dtype, 0, manner=manner)
    return plan_picture(net, height, width, needs, memory_to_use(memory), overlap)


def enlarge_in_tiles(
    net: RRDBNet, image: np.ndarray, plan: TilePlan, progress: Progress | None = None, manner: Manner = PLAIN
) -> np.ndarray:
    """Enlarge an image by a plan that `plan_image` has made for it."""
    height, width, channels = image.shape
    if image.shape[2] in (3, 4) and is_grey(image):
        image = image[:, :, 2:]
    dtype = _dtype_of_result(image)
    out = np.empty((net.scale * height, net.scale * width, channels), dtype)
    start = 0
    for rows in enlarged_rows(net, plan, lambda top, bottom: image[top:bottom], dtype, progress, manner=manner):
        rows = coloured(rows, channels)
        out[start : start + len(rows)] = rows
        start += len(rows)
    return out


def _dtype_of_result(image: np.ndarray) -> np.dtype:
    return np.dtype(np.float32) if image.dtype.kind == "f" else image.dtype


def memory_to_use(memory: int | None) -> int:
    """Bytes that may be needed now: `memory`, by default MEMORY, but no more than SHARE of what is free."""
    return min(MEMORY if memory is None else memory, int(SHARE * free_bytes()))


def needed_bytes(
    channels: int, dtype: np.dtype, source_bytes: int, net: RRDBNet, plan: TilePlan, manner: Manner = PLAIN
) -> int:
    """The most memory that `enlarged_rows` needs by `plan`, for a picture of `channels` and a result of `dtype`.

    That is one tile's `call_bytes`; the picture's rows that a row of tiles is computed from, `source_bytes` a value (0
    where the picture is in memory anyway); what they become; and the rows that were yielded last.
    """
    read = 2 * source_bytes * plan.computed_height * plan.width * channels  # the next rows meet those before
    row = net.scale * plan.width * channels * dtype.itemsize
    finished = row * net.scale * plan.tile_height
    yielded = min(finished, max(row, _YIELDED_BYTES))
    sides, pixels = (plan.computed_height, plan.computed_width), plan.computed_height * plan.computed_width
    turned = {sides, sides[::-1]} if manner.tta else {sides}
    call = max(call_bytes(net, *each, thread_count()) for each in turned)
    tile = manner.needed_bytes(net.scale**2 * net.architecture.out_channels * pixels, call)
    if alpha_of(channels, net.architecture) is not None:
        here, there = _ALPHA_BYTES
        tile += pixels * (here + there * net.scale**2)
    return read + finished + yielded + tile


def plan_picture(
    net: RRDBNet,
    height: int,
    width: int,
    needs: Callable[[RRDBNet, TilePlan], int],
    budget: int,
    overlap: int | None = None,
    held: int = 0,
) -> TilePlan:
    """Of the plans that need at most `budget` bytes in addition to those already `held`, the one that computes least.

    `needs(net, plan)` is by which network how many.

    Raises InputError for a negative `overlap`, and, saying how much would be enough, where the smallest tiles do not
    fit.
    """
    if overlap is not None and overlap < 0:
        raise InputError(f"an overlap of {overlap} pixels: expected 0 or more")
    step = alignment(net.architecture)
    smallest = least_plan(height, width, overlap or 0, step)
    least = needs(net.with_method("direct"), smallest)  # the method that needs least, whose choice takes no time
    if least <= budget:  # else no method would do, and none need be timed
        whole = TilePlan(height, width, height, width, 0)
        if needs(net, whole) <= budget:
            return whole
        least = needs(net, smallest)
    if least <= budget:  # else no overlap would do, and none need be measured
        chosen = overlap_of(net) if overlap is None else overlap
        plan = cheapest_plan(height, width, chosen, step, partial(needs, net), budget)
        if plan is not None:
            return plan
        least = needs(net, least_plan(height, width, chosen, step))
    raise InputError(
        f"{width} x {height} pixels need {size_text(held + least)} of memory even in small tiles:"
        f" {size_text(max(held + budget, 0))} can be used"
    )


def enlarged_rows(
    net: RRDBNet,
    plan: TilePlan,
    read: Callable[[int, int], np.ndarray],
    dtype: np.dtype,
    progress: Progress | None = None,
    compute: Compute | None = None,
    manner: Manner = PLAIN,
) -> Iterator[np.ndarray]:
    """Yield the enlarged picture from the top: rows of about a megabyte at a time, (h, W, C) of `dtype`.

    `read(top, bottom)` gives the rows of the picture, (h, W, C); `top` does not decrease. `compute` computes the tiles,
    by default this process.
    """
    tile_rows = list(plan.rows())

    def inputs() -> Iterator[TileInput]:
        for tiles in tile_rows:
            rows = read(tiles[0].computed.top, tiles[0].computed.bottom)
            for tile in tiles:
                yield TileInput(tile, rows[:, tile.computed.left : tile.computed.right], dtype, manner)

    def report(tile: Tile, share: float) -> None:
        if progress is not None:
            progress(share * tile.computed.height * tile.computed.width / plan.computed_pixels)

    results = iter((compute or _compute_here)(net, inputs(), report))
    for tiles in tile_rows:
        done = None
        for tile, values in zip(tiles, results, strict=False):
            if done is None:
                done = np.empty((len(values), net.scale * plan.width, values.shape[2]), dtype)
            done[:, net.scale * tile.kept.left : net.scale * tile.kept.right] = values
        assert done is not None
        rows = max(1, _YIELDED_BYTES // done[0].nbytes)
        for top in range(0, len(done), rows):
            yield done[top : top + rows].copy()


def _compute_here(net: RRDBNet, inputs: Iterable[TileInput], progress: TileProgress) -> Iterator[np.ndarray]:
    return (enlarge_tile(net, given, partial(progress, given.tile)) for given in inputs)
