"""How a picture is computed: by which tiles, in the memory that there is."""

from collections.abc import Callable
from functools import partial

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.machine.memory import free_bytes, size_text
from lowrank_sr.machine.threads import thread_count
from lowrank_sr.network.channels import alpha_of
from lowrank_sr.network.footprint import alignment, call_bytes
from lowrank_sr.network.manner import PLAIN, Manner
from lowrank_sr.network.overlap import overlap_of
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.tiles import TilePlan, cheapest_plan, least_plan

MEMORY = 2 * 10**9  # bytes that a call may take by default
SHARE = 0.8  # of what is free: others on the machine may want more meanwhile
_ALPHA_BYTES = 40, 56  # a pixel of a tile, and of what becomes of it, while alpha is enlarged
YIELDED_BYTES = 2**20  # of rows at a time, copied: whoever holds them does not hold a whole row of tiles


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
    yielded = min(finished, max(row, YIELDED_BYTES))
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
