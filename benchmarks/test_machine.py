"""The machine's limits, which the roofline draws: what its memory moves, and what a matrix product computes."""

from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import numpy as np

from lowrank_sr.machine.threads import blas_threads, thread_count

ARRAY_BYTES = 2**28  # of each of three arrays: far beyond the caches
SGEMM_SIDE = 1536


def add(pool, a, b, out):
    """STREAM's "add", out = a + b, a part on each thread: NumPy lets other threads run meanwhile."""
    parts = (np.array_split(array, thread_count()) for array in (a, b, out))
    wait([pool.submit(np.add, x, y, out=z) for x, y, z in zip(*parts, strict=True)])


def test_bandwidth(report):
    def contestants():
        a, b, out = (np.ones(ARRAY_BYTES // 4, np.float32) for _ in range(3))
        return {"bandwidth": partial(add, ThreadPoolExecutor(thread_count()), a, b, out)}

    report("memory", "bandwidth", contestants, ARRAY_BYTES / 4, bytes=3 * ARRAY_BYTES)


def test_sgemm(report):
    def contestants():
        a = np.random.default_rng(0).random((SGEMM_SIDE, SGEMM_SIDE), dtype=np.float32)

        def multiply():
            with blas_threads(thread_count()):
                return a @ a

        return {"sgemm": multiply}

    report("matrix product", "sgemm", contestants, 2 * SGEMM_SIDE**3, bytes=3 * 4 * SGEMM_SIDE**2)
