import numpy as np

import lowrank_sr as lsr
from lowrank_sr.cluster import connection
from lowrank_sr.cluster.tiles import tiles_on
from lowrank_sr.network.enlarge import enlarged_rows
from lowrank_sr.network.tiles import TilePlan


def test_tiles_are_those_of_here(cluster):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 4), np.uint8)
    plan = TilePlan(*image.shape[:2], tile_height=24, tile_width=32, overlap=8)
    done = []

    def rows(compute=None):
        return [*enlarged_rows(net, plan, lambda top, bottom: image[top:bottom], image.dtype, done.append, compute)]

    here = rows()
    done.clear()
    with connection.connected(cluster.address) as pool:
        there = rows(tiles_on(pool, pool.send(net)))
    assert [band.shape for band in there] == [band.shape for band in here]
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))
    assert len(done) == plan.count
    assert abs(sum(done) - 1) < 1e-9
