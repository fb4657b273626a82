"""The tiles of a picture that memory does not let be enlarged whole: what of it each computes, and what it keeps.

A tile is computed with `overlap` pixels of context on each side and kept without them, so that tiles meet where each of
them saw what the whole picture would have shown. They lie in rows, which are finished one after the other.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lowrank_sr.machine.rounding import ceil_div, round_up

LEAST_SIDE = 32  # pixels kept; smaller tiles would be mostly context


class Rectangle(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of an image, the ends not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """How many rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """How many columns."""
        return self.right - self.left


class Tile(NamedTuple):
    """What is computed, context included, and what of it is kept: both in pixels of the image."""

    computed: Rectangle
    kept: Rectangle


@dataclass(frozen=True)
class TilePlan:
    """An image of `height` x `width` pixels in tiles that keep `tile_height` x `tile_width`, fewer at the end.

    If these two and `overlap` are multiples of `alignment`, all tiles begin at such multiples, with their context too.
    """

    height: int
    width: int
    tile_height: int
    tile_width: int
    overlap: int

    def rows(self) -> Iterator[list[Tile]]:
        """The tiles, a row of them at a time, from the top and from the left."""
        across = list(_spans(self.width, self.tile_width, self.overlap))
        for (top, bottom), (kept_top, kept_bottom) in _spans(self.height, self.tile_height, self.overlap):
            yield [
                Tile(Rectangle(top, bottom, left, right), Rectangle(kept_top, kept_bottom, kept_left, kept_right))
                for (left, right), (kept_left, kept_right) in across
            ]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return ceil_div(self.height, self.tile_height) * ceil_div(self.width, self.tile_width)

    @property
    def computed_height(self) -> int:
        """Rows of the highest tile, context included."""
        return min(self.height, self.tile_height + 2 * self.overlap)

    @property
    def computed_width(self) -> int:
        """Columns of the widest tile, context included."""
        return min(self.width, self.tile_width + 2 * self.overlap)

    @property
    def computed_pixels(self) -> int:
        """Pixels that are computed, those of the context included: height x width where there is one tile."""
        rows = sum(bottom - top for (top, bottom), _ in _spans(self.height, self.tile_height, self.overlap))
        columns = sum(right - left for (left, right), _ in _spans(self.width, self.tile_width, self.overlap))
        return rows * columns


def _spans(length: int, kept: int, overlap: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(computed, kept) intervals along one side."""
    for start in range(0, length, kept):
        end = min(start + kept, length)
        yield (max(0, start - overlap), min(length, end + overlap)), (start, end)


def cheapest_plan(
    height: int, width: int, overlap: int, alignment: int, needs: Callable[[TilePlan], int], budget: int
) -> TilePlan | None:
    """The plan that computes the fewest pixels of those that need at most `budget` bytes; None where there is none.

    Plans with lower tiles must not need more. `overlap` is rounded up to a multiple of `alignment`.
    """
    overlap = round_up(overlap, alignment)
    best = None
    for columns in range(1, ceil_div(width, least_side(overlap)) + 1):
        tile_width = _side(width, columns, alignment)
        if best and columns > 1 and height * (width + 2 * overlap * (columns - 1)) >= best.computed_pixels:
            break  # even tiles as high as the picture would cost more
        plan = _highest(TilePlan(height, width, height, tile_width, overlap), alignment, needs, budget)
        if plan and (best is None or plan.computed_pixels < best.computed_pixels):
            best = plan
    return best


def least_side(overlap: int) -> int:
    """The side of the smallest tiles: as much as the overlap, of which nine times what is kept is computed."""
    return max(LEAST_SIDE, overlap)


def least_plan(height: int, width: int, overlap: int, alignment: int) -> TilePlan:
    """The plan with the smallest tiles."""
    overlap = round_up(overlap, alignment)
    tile_height, tile_width = (
        _side(length, ceil_div(length, least_side(overlap)), alignment) for length in (height, width)
    )
    return TilePlan(height, width, tile_height, tile_width, overlap)


def _highest(plan: TilePlan, alignment: int, needs: Callable[[TilePlan], int], budget: int) -> TilePlan | None:
    """`plan` with tiles as high as `budget` allows, all about the same; None where not even the lowest fit."""

    def with_rows(count: int) -> TilePlan:
        return TilePlan(plan.height, plan.width, _side(plan.height, count, alignment), plan.tile_width, plan.overlap)

    fewest, most = 1, max(1, ceil_div(plan.height, least_side(plan.overlap)))
    if needs(with_rows(most)) > budget:
        return None
    while fewest < most:
        middle = (fewest + most) // 2
        if needs(with_rows(middle)) <= budget:
            most = middle
        else:
            fewest = middle + 1
    return with_rows(most)


def _side(length: int, count: int, alignment: int) -> int:
    """The side of `count` tiles, or fewer, along `length`: a multiple of `alignment`, or all of it."""
    return min(length, math.ceil(length / count / alignment) * alignment)
