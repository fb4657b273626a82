"""Enlarge a picture in the memory that there is: whole where it fits, in overlapping tiles where it does not.

A picture here is an (H, W, C) array: the channels that the network takes, or those that picture files store, which
pass through it as `channels.py` says.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.channels import alpha_of, check_image, coloured, is_grey, passes
from lowrank_sr.network.manner import PLAIN, Manner, enlarged
from lowrank_sr.network.plan import YIELDED_BYTES, memory_to_use, needed_bytes, plan_picture
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.tiles import Tile, TilePlan
from lowrank_sr.network.transparency import NETWORK, carried_outwards, enlarged_alpha

_CHUNK = 2**20  # values that are rounded at a time

Progress = Callable[[float], object]
"""progress(share): called after each step with the share of the work that was done in it; together about 1."""

TileProgress = Callable[[Tile, float], object]
"""progress(tile, share): called after each step with the share of the tile that was done in it; together about 1."""


@dataclass(frozen=True)
class TileInput:
    """A tile with its pixels: all that a process needs besides the network to compute it.

    `values` are the (h, w, C) pixels of `tile.computed`; the result is of `dtype`.
    """

    tile: Tile
    values: np.ndarray
    dtype: np.dtype
    manner: Manner = PLAIN


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
        rows = max(1, YIELDED_BYTES // done[0].nbytes)
        for top in range(0, len(done), rows):
            yield done[top : top + rows].copy()


def _compute_here(net: RRDBNet, inputs: Iterable[TileInput], progress: TileProgress) -> Iterator[np.ndarray]:
    return (enlarge_tile(net, given, partial(progress, given.tile)) for given in inputs)


def enlarge_tile(net: RRDBNet, given: TileInput, progress: Progress | None = None) -> np.ndarray:
    """The enlarged pixels of `given.tile.kept`, (scale h, scale w, C) of `given.dtype`; whole numbers are rounded.

    Raises InputError where the network gives values that are not finite and whole numbers are asked for.
    """
    computed, kept = given.tile
    top, left = net.scale * (kept.top - computed.top), net.scale * (kept.left - computed.left)
    height, width = net.scale * kept.height, net.scale * kept.width
    values = _as_floats(given.values)
    calls, alpha = passes(values.shape[2], net.architecture), alpha_of(values.shape[2], net.architecture)
    manner, flops = given.manner, given.manner.calls * net.flops(computed.height, computed.width)
    report = None if progress is None else lambda done: progress(done / flops / len(calls))
    shown = values if alpha is None else _visible(values, alpha)
    run = net if manner == PLAIN else partial(enlarged, net, manner)
    out = np.empty((height, width, values.shape[2]), given.dtype)
    for call in calls:
        result = cache(partial(run, call.given(shown), report))
        for channel, made in call.made.items():
            larger = partial(_mean, result, made)
            shade = (
                larger() if channel != alpha else enlarged_alpha(values[:, :, alpha], net.scale, manner.alpha, larger)
            )
            _store(shade[top : top + height, left : left + width], out[:, :, channel])
        if report is not None and not result.cache_info().currsize:  # an alpha that took no time
            report(flops)
    return out


def _mean(result: Callable[[], np.ndarray], channels: tuple[int, ...]) -> np.ndarray:
    """Of some channels of a result."""
    mean: np.ndarray = result()[:, :, channels[0]] if len(channels) == 1 else result()[:, :, channels].mean(axis=2)
    return mean


def _visible(values: np.ndarray, alpha: int) -> np.ndarray:
    """(h, w, C) values with the colours of transparent pixels carried outwards."""
    carried = carried_outwards(values[:, :, :alpha], values[:, :, alpha])
    return np.concatenate([carried, values[:, :, alpha:]], axis=2)


def _as_floats(values: np.ndarray) -> np.ndarray:
    """float32 of 0..1."""
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    scaled: np.ndarray = values / np.float32(np.iinfo(values.dtype).max)
    return scaled


def _store(values: np.ndarray, out: np.ndarray) -> None:
    """Write float32 `values`, (h, w), into `out`: as they are, or clipped and rounded to its whole numbers."""
    if out.dtype.kind == "f":
        out[:] = values
        return
    if not np.isfinite(values).all():
        raise InputError("some enlarged values are infinite or not a number")
    most = np.iinfo(out.dtype).max
    rows = max(1, _CHUNK // values.shape[1])
    for start in range(0, len(values), rows):
        out[start : start + rows] = np.rint(np.clip(values[start : start + rows], 0, 1) * most)
