import itertools
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.network.tiles import LEAST_SIDE, TilePlan, cheapest_plan, least_plan, least_side

STEPS = st.sampled_from([6, 12, 24])


@st.composite
def plans(draw):
    step = draw(STEPS)
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    sides = [draw(st.integers(1, 12)) * step for _ in range(2)]
    return step, TilePlan(height, width, *sides, step * draw(st.integers(0, 4)))


@given(plans())
@settings(deadline=None)
def test_every_pixel_is_kept_once_and_seen_with_its_context(step_and_plan):
    step, plan = step_and_plan
    covered = np.zeros((plan.height, plan.width), int)
    tiles = list(itertools.chain(*plan.rows()))
    for computed, kept in tiles:
        covered[kept.top : kept.bottom, kept.left : kept.right] += 1
        assert computed.top == max(0, kept.top - plan.overlap)
        assert computed.bottom == min(plan.height, kept.bottom + plan.overlap)
        assert computed.left == max(0, kept.left - plan.overlap)
        assert computed.right == min(plan.width, kept.right + plan.overlap)
        assert computed.top % step == computed.left % step == kept.top % step == kept.left % step == 0
        assert computed.height <= plan.computed_height
        assert computed.width <= plan.computed_width
    assert (covered == 1).all()
    assert len(tiles) == plan.count
    assert plan.computed_pixels == sum(computed.height * computed.width for computed, _ in tiles)


def test_rows_of_tiles_come_one_after_the_other():
    plan = TilePlan(50, 70, 20, 32, 4)
    rows = list(plan.rows())
    assert [[tile.kept for tile in row] for row in rows][1] == [(20, 40, 0, 32), (20, 40, 32, 64), (20, 40, 64, 70)]
    assert [row[0].computed.top for row in rows] == [0, 16, 36]
    assert pickle.loads(pickle.dumps(plan)) == plan


def pixels(plan):
    return plan.computed_height * plan.computed_width


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 60), STEPS, st.integers(1, 4_000_000))
@settings(deadline=None)
def test_the_cheapest_plan_fits(height, width, overlap, step, budget):
    plan = cheapest_plan(height, width, overlap, step, pixels, budget)
    if plan is None:
        assert pixels(least_plan(height, width, overlap, step)) > budget
        return
    assert pixels(plan) <= budget
    assert overlap <= plan.overlap < overlap + step
    if height * width <= budget:
        assert plan.count == 1
    for side, whole in ((plan.tile_height, height), (plan.tile_width, width)):
        # 33 pixels in two tiles, not 32 and 1
        assert side == whole or (side % step == 0 and side > least_side(plan.overlap) / 2)


def test_no_plan_of_even_tiles_is_cheaper():
    def needs(plan):
        return pixels(plan) + 100 * plan.computed_height

    best = cheapest_plan(900, 1300, 16, 4, needs, 150_000)
    others = [TilePlan(900, 1300, h, w, 16) for h in range(32, 901, 4) for w in range(32, 1301, 4)]
    cheapest = min(plan.computed_pixels for plan in others if needs(plan) <= 150_000)
    assert best.computed_pixels <= 1.05 * cheapest  # uneven tiles may be a little cheaper


def test_the_smallest_tiles_are_as_large_as_their_context():
    assert least_side(0) == least_side(LEAST_SIDE) == LEAST_SIDE
    assert least_side(78) == 78
    plan = least_plan(900, 1300, 75, 6)
    assert (plan.overlap, plan.tile_height, plan.tile_width) == (78, 78, 78)
    assert least_plan(50, 1300, 75, 6).tile_height == 50


def test_a_budget_of_nothing():
    assert cheapest_plan(900, 1300, 16, 4, pixels, 64 * 64 - 1) is None
    assert cheapest_plan(900, 1300, 16, 4, pixels, 64 * 64 + 1000) is not None
