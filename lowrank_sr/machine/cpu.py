"""What this processor is: the width of its vectors, and what measured figures are to be read with.

Numba may be told to compile for another one, by NUMBA_CPU_NAME and NUMBA_CPU_FEATURES; the vectors are then as wide as
that one's. `NUMBA_CPU_NAME=generic` gives the narrowest.
"""

import functools
import os
import platform
from pathlib import Path

import numba
import numpy as np
import scipy
from llvmlite import binding
from numba import config
from numba.core import codegen

from lowrank_sr._version import __version__
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import kernels_digest
from lowrank_sr.machine.threads import thread_count


def _has(feature: str) -> bool:
    """Whether code may use what LLVM calls `feature`."""
    told: str | None = config.CPU_FEATURES  # type: ignore[attr-defined]  # such as "+avx,-avx512f"
    signs = {
        word[1:]: word[0] for word in (codegen.get_host_cpu_features() if told is None else told).split(",") if word
    }
    if feature in signs:
        return signs[feature] == "+"
    # of a processor that goes by its name alone it is not known here what it has: nothing that is not said
    return config.CPU_NAME is None and bool(_HOST.get(feature))  # type: ignore[attr-defined]


_HOST = binding.get_host_cpu_features()
LANES = 16 if _has("avx512f") else 8 if _has("avx") else 4  # float32 values in a vector
# The MR x NR sums of the micro-kernel fill the vector registers: 24 of 32, or 12 of 16, the rest hold operands.
MR = 6 if "sse2" in _HOST and not _has("avx512f") else 12
NR = 2 * LANES


@functools.cache
def cpu_model() -> str:
    """The processor's name as its maker gives it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe() -> dict:
    """Processor, cores, threads in use, vector width, cache, versions and the digest of the kernels' sources."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": thread_count(),
        "simd_bits": 32 * LANES,
        "l2_bytes": l2_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "lowrank_sr": __version__,
        "kernels": kernels_digest(),
    }
