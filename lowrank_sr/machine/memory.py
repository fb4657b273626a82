"""Memory: how much is free, how much the process holds, and how people write sizes."""

import ctypes
import ctypes.util
import gc
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from lowrank_sr.errors import InputError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # see proc(5)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def free_bytes() -> int:
    """Memory that can still be had: what the system has available, and what the process's control groups allow."""
    return min([psutil.virtual_memory().available, *_left_in_control_groups(Path("/"))])


def resident_bytes() -> int:
    """Memory that this process holds now."""
    resident: int = psutil.Process().memory_info().rss
    return resident


def parse_size(text: str) -> int:
    """Bytes from a size such as 1GB, 1.5 GB, 512MB or 2GiB; KB, MB, GB and TB are powers of 1000, KiB ... of 1024.

    Raises InputError for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([KMGT]I?)?B?)\s*", text, re.IGNORECASE)
    size = float(match[1]) * _UNITS[(match[2] or "").upper()] if match else 0
    if not 1 <= size < math.inf:
        raise InputError(f"size {text!r}: expected a number and a unit, such as 800MB, 1.5GB or 2GiB")
    return int(size)


def size_text(size: float) -> str:
    """A number of bytes for people: two digits or more, rounded up, in the largest unit of 1000 that it reaches."""
    unit = next((unit for unit in ("G", "M", "K") if size >= _UNITS[unit]), "")
    number = size / _UNITS[unit]
    rounded = math.ceil(10 * number) / 10 if number < 10 and unit else math.ceil(number)
    return f"{rounded:g} {unit}B"


def _left_in_control_groups(root: Path) -> Iterator[int]:
    """Bytes that each of Linux's control groups around this process has left, where it has a limit.

    Page cache that the kernel would drop before it refuses memory (`inactive_file`) does not count as used. Version 2:
    https://docs.kernel.org/admin-guide/cgroup-v2.html, version 1: .../cgroup-v1/memory.html. In a container the path
    in /proc/self/cgroup may be the host's; then only the root of what is mounted is found, which is the container's.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounted, limit, used, prefix = root / "sys/fs/cgroup", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            mounted, prefix = root / "sys/fs/cgroup/memory", "total_"
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = mounted / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mounted):
                break
            with suppress(OSError, ValueError):  # no such file, or no limit: "max"
                held = int((folder / used).read_text()) - _dropped_first(folder, f"{prefix}inactive_file")
                yield max(0, int((folder / limit).read_text()) - held)


def _dropped_first(folder: Path, field: str) -> int:
    match = re.search(rf"^{field} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


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
