"""One tile of a picture: its channels through the network, and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.network.channels import alpha_of, passes
from lowrank_sr.network.manner import PLAIN, Manner, enlarged
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.tiles import Tile
from lowrank_sr.network.transparency import carried_outwards, enlarged_alpha

_CHUNK = 2**20  # values that are rounded at a time

Progress = Callable[[float], object]
"""progress(share): called after each step with the share of the work that was done in it; together about 1."""


@dataclass(frozen=True)
class TileInput:
    """A tile with its pixels: all that a process needs besides the network to compute it.

    `values` are the (h, w, C) pixels of `tile.computed`; the result is of `dtype`.
    """

    tile: Tile
    values: np.ndarray
    dtype: np.dtype
    manner: Manner = PLAIN


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
    out = np.empty((height, width, values.shape[2]), given.dtype)
    for call in calls:
        result = cache(partial(enlarged, net, call.given(shown), manner, report))
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
