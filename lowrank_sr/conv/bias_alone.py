"""A layer of rank 0, whatever its form: no channel lies between its factors, and its bias is all that it gives.

    out[y, x, n] = bias[n], through the epilogue

Extra memory: MR NR floats a thread.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Scratch
from lowrank_sr.conv.epilogue import Epilogue, apply_epilogue
from lowrank_sr.conv.epilogue import operands as operands_of
from lowrank_sr.conv.feature_map import VALUES_A_THREAD, FeatureMap
from lowrank_sr.layers import CP, Separable
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import MR, NR
from lowrank_sr.machine.threads import parallel_region, thread_count


def write_bias(out: FeatureMap, epilogue: Epilogue) -> None:
    """Write what `epilogue` makes of sums of zero into `out`, which may be the map that it adds."""
    threads = min(thread_count(), 1 + out.height * out.width * out.channels // VALUES_A_THREAD)
    with parallel_region(threads):
        _bias_loops(operands_of([out], [epilogue]), threads)


@compiled(parallel=True, error_model="numpy")
def _bias_loops(operands: np.ndarray, workers: int) -> None:
    for worker in prange(workers):
        out = operands[0].out
        sums = np.zeros((MR, NR), np.float32)
        for row in range(worker, out.height, workers):
            for column in range(0, out.width, MR):
                count = min(MR, out.width - column)
                for channel in range(0, out.channels, NR):
                    apply_epilogue(sums.ctypes.data, 4 * NR, operands, row, column, count, channel)


def _algorithm(form: type[Separable] | type[CP]) -> Algorithm[Separable | CP, None]:
    return Algorithm(
        name="direct",
        form=form,
        prepare=lambda layer, keep_transformed: None,
        convolve=lambda inputs, operands, prepared, workers: _bias_loops(operands, workers),
        scratch=lambda layer, call, keep_transformed: Scratch(call.workers * 4 * MR * NR),
        multiplications=lambda layer: 0.0,
    )


BY_FORM = {form: _algorithm(form) for form in (Separable, CP)}
