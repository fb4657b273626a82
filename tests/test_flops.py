"""The paper's cost formulas and the ranks at which they meet the dense layer's."""

import pytest

from lowrank_sr import flops
from lowrank_sr.conv import direct, separable_winograd, winograd
from lowrank_sr.conv.upsampled import merge_taps
from lowrank_sr.layers import random_layer

N, C, d = SHAPE = (64, 192, 3)


def test_break_even_is_where_the_papers_costs_meet():
    dense = d * d * N * C
    assert d * flops.break_even("svd", *SHAPE) * (C + N) == pytest.approx(dense)
    assert flops.break_even("cp", *SHAPE) * (C + 2 * d + N) == pytest.approx(dense)


def test_break_even_of_the_papers_formulas():
    assert flops.break_even("svd", *SHAPE) == d * N * C / (N + C)
    assert flops.break_even("cp", *SHAPE) == d * d * N * C / (C + 2 * d + N)


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_flops_are_multiply_adds_of_the_factors_twice(form):
    """Each number of a kernel is used once a pixel: without the bias, parameters are multiply-adds."""
    layer = random_layer(SHAPE, form, 5)
    assert flops.per_pixel(layer) == flops.factorised(form, *SHAPE, 5) == 2 * (layer.parameters - N)
    assert flops.per_pixel(random_layer(SHAPE)) == flops.dense(*SHAPE) == 2 * d * d * N * C


def test_multiplications_are_half_the_flops_but_for_winograd():
    dense, pair, cp = random_layer((8, 4, 3)), random_layer((8, 4, 3), "svd", 5), random_layer((8, 4, 3), "cp", 5)
    for layer in (dense, pair, cp):
        assert flops.multiplications(layer, "direct") == flops.per_pixel(layer) / 2
    # a tile's elements for its pixels
    assert flops.multiplications(dense, "winograd") == pytest.approx(64 / 36 * 8 * 4)
    assert flops.multiplications(pair, "winograd") == pytest.approx(8 / 6 * 5 * (4 + 8))
    assert flops.multiplications(cp, "winograd") == flops.per_pixel(cp) / 2


@pytest.mark.parametrize("form", [None, "svd", "cp"])
def test_the_share_over_an_enlarged_map_is_that_of_the_taps_and_elements_that_are_left(form):
    layer = random_layer((8, 4, 3), form, 5)
    phases = [merge_taps(layer, a, b) for a in (0, 1) for b in (0, 1)]
    if form is None:
        taps = sum(len(direct.prepare(phase.weight).taps) for phase in phases)
        assert flops.upsampled_share(layer, "direct") == pytest.approx(taps / (4 * 9))
        needed = winograd.prepare([phase.weight for phase in phases], True).needed
        assert flops.upsampled_share(layer, "winograd") == pytest.approx(needed.sum() / (4 * 64))
    elif form == "svd":
        for phase in phases:
            factors = separable_winograd.prepare(phase.vertical, phase.horizontal)
            share = flops.upsampled_share(layer, "winograd")
            assert (factors.needed.sum(1) / 8 == share).all()
        assert flops.upsampled_share(layer, "direct") == 1
    else:
        assert flops.upsampled_share(layer, "winograd") == flops.upsampled_share(layer, "direct") == 1
    assert flops.upsampled_share(layer, "kn2row") == 1
