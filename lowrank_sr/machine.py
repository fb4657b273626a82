"""What this machine is: what measured figures are to be read with."""

import functools
import os
import platform
from pathlib import Path

import numba
import numpy as np

from lowrank_sr import __version__


@functools.cache
def cpu_model() -> str:
    """The processor's name as its maker gives it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe() -> dict:
    """Processor, cores, threads in use, vector width, cache and versions."""
    from lowrank_sr.conv.cache import l2_bytes
    from lowrank_sr.conv.simd import LANES

    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": numba.get_num_threads(),
        "simd_bits": 32 * LANES,
        "l2_bytes": l2_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "lowrank_sr": __version__,
    }
