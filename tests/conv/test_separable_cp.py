"""What the SVD pair and CP have to themselves; what every layer has is in test_conv.py."""

import numpy as np
import pytest
from reference import EPS, dense_kernel, error_bound, exact_convolution, random_layer

from lowrank_sr.conv import separable_winograd
from lowrank_sr.conv.feature_map import OUTPUT_TILE
from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import Dense, Separable
from lowrank_sr.lowrank import svd
from lowrank_sr.machine.cpu import MR


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (32, 64), (64, 192)], ids=str)
def test_a_pair_of_full_rank_is_the_dense_layer(method, shape):
    rng = np.random.default_rng(2)
    n, c = shape
    weight = rng.standard_normal((n, c, 3, 3), dtype=np.float32) / np.float32(3 * c**0.5)
    dense = Dense(weight, rng.standard_normal(n, dtype=np.float32))
    factors = (factor.astype(np.float32) for factor in svd.truncate(weight, 3 * min(shape)))
    pair = Separable(*factors, dense.bias)
    x = rng.standard_normal((9, 11, c), dtype=np.float32)
    # Rounding both factors to float32 moves each product by eps: two more terms of the sums.
    bound = error_bound(x, pair, method) + EPS * exact_convolution(
        np.abs(x), dense_kernel(pair, np.abs), np.abs(dense.bias)
    )
    exact = exact_convolution(x, weight, dense.bias)
    assert (np.abs(convolve(x, pair, method) - exact) <= bound).all()


def test_blocks_of_any_size_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(7)
    layer = random_layer(Separable, rng, 24, 20, 18)
    x = rng.standard_normal((10, 27, 20), dtype=np.float32)
    whole = convolve(x, layer, "winograd")
    for block in range(1, 8):
        monkeypatch.setattr(separable_winograd, "block_tiles", lambda across, most, block=block: block)
        np.testing.assert_array_equal(convolve(x, layer, "winograd"), whole)


@pytest.mark.parametrize(("across", "most"), [(1, 1), (7, 3), (24, 24), (24, 16), (48, 13), (5, 100)])
def test_blocks_waste_little_and_fit(across, most):
    block = separable_winograd.block_tiles(across, most)
    assert 1 <= block <= min(across, most)

    def pixels(tiles):  # computed for blocks of so many: the columns of the middle, in whole groups
        sizes = [min(tiles, across - first) for first in range(0, across, tiles)]
        return sum(-(-(OUTPUT_TILE * size + 2) // MR) * MR for size in sizes)

    assert pixels(block) == min(pixels(tiles) for tiles in range(1, min(across, most) + 1))
