"""Nearest-neighbour upsampling of a feature map: out[y, x] = in[y // factor, x // factor]."""

import numpy as np
from numba import prange

from lowrank_sr.conv.feature_map import RECORD, FeatureMap, address, record
from lowrank_sr.conv.simd import copy_values
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.threads import parallel_region, thread_count


def upsample(x: FeatureMap, out: FeatureMap) -> None:
    """Fill `out`, whose sides are the same whole multiple of those of `x`."""
    threads = thread_count()
    with parallel_region(threads):
        _upsample(np.array([record(x), record(out)], RECORD), threads)


@compiled(parallel=True)
def _upsample(maps, workers):
    for worker in prange(workers):
        x, out = maps[0], maps[1]
        factor = out.width // x.width
        for row in range(worker, out.height, workers):
            for column in range(out.width):
                copy_values(address(x, row // factor, column // factor), address(out, row, column), x.channels)
