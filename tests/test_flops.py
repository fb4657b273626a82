"""The paper's cost formulas and the ranks at which they meet the dense layer's."""

import pytest

from lowrank_sr import flops
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
