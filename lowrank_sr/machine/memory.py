"""What memory a call needs beyond what was held before it, measured by the operating system."""

import ctypes
import ctypes.util
import gc
import re
from collections.abc import Callable
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # see proc(5)


def peak_extra_bytes(run: Callable[[], object]) -> int | None:
    """The most memory, in bytes, that the process held during `run()` above what it held before; None but on Linux.

    Memory that was freed before is first given back to the system, so that its reuse counts.
    """
    gc.collect()
    try:
        ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)
        before = _resident("VmRSS")
        _CLEAR.write_text(_RESET_PEAK)
    except (OSError, AttributeError, TypeError):
        return None
    run()
    return max(0, _resident("VmHWM") - before)


def _resident(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    (kilobytes,) = re.findall(rf"{field}:\s+(\d+) kB", _STATUS.read_text())
    return 1024 * int(kilobytes)
