"""The benchmarks' networks of noise in low rank."""

import sys
from pathlib import Path

import pytest

import lowrank_sr as lsr
from lowrank_sr.compression.prices import RANK_STEP

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import noise_factors


def test_the_dense_blocks_are_factorised():
    net = noise_factors.factorised(lsr.RRDBNet.random(num_feat=16, num_block=1, num_grow_ch=8), "cp", 4, "direct")
    for name, layer in net.layers.items():
        assert isinstance(layer, lsr.CP if name.startswith("RRDB_trunk.") else lsr.Dense)


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_all_but_the_first_and_the_last_layer_get_ranks_that_compress_knows(form):
    dense = lsr.RRDBNet.random(num_block=1)
    net = noise_factors.wholly_factorised(dense, form, 4)
    assert {name for name, layer in net.layers.items() if layer.rank is None} == {"conv_first", "conv_last"}
    ranks = [layer.rank for layer in net.layers.values() if layer.rank is not None]
    assert all(rank % RANK_STEP == 0 for rank in ranks)
    assert dense.flops(8, 8) / net.flops(8, 8) > 4
