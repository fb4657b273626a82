"""Multiplications that are really done: Winograd's where there is one, and of a network the sum over its layers."""

import pytest

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.layers import random_layer
from lowrank_sr.network.multiplications import fewest_multiplications, multiplications_per_pixel


def test_the_method_that_takes_fewest():
    dense, pair, cp = random_layer((8, 4, 3)), random_layer((8, 4, 3), "svd", 5), random_layer((8, 4, 3), "cp", 5)
    assert fewest_multiplications(dense, enlarges=False) == pytest.approx(8 * 8 / 36 * 8 * 4)
    assert fewest_multiplications(dense, enlarges=True) == pytest.approx(7 * 7 / 36 * 8 * 4)  # taps that fall together
    assert fewest_multiplications(pair, enlarges=False) == pytest.approx(8 / 6 * 5 * (4 + 8))
    assert fewest_multiplications(pair, enlarges=True) == pytest.approx(7 / 6 * 5 * (4 + 8))
    assert fewest_multiplications(cp, enlarges=False) == flops.per_pixel(cp) / 2


@pytest.mark.parametrize("method", ["direct", "winograd"])
def test_those_of_a_network_do_not_depend_on_its_method(method):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=2, method=method)
    of_layer = {
        name: 64 / 36 * n * c * net.architecture.area(name) for name, (n, c, _) in net.architecture.shapes().items()
    }
    of_layer["upconv1"] *= 49 / 64
    assert multiplications_per_pixel(net) == pytest.approx(sum(of_layer.values()))
