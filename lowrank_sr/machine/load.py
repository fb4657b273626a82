"""What else the machine does while something is timed on it."""

import time
from dataclasses import dataclass
from typing import Any

import psutil

from lowrank_sr.machine.threads import thread_count

SAMPLE_SECONDS = 0.1  # ten of the ticks in which Linux counts the time of a processor: a tenth of a core
CONTENDED = 0.25  # of a core: with more of it taken, a time is of two programs


@dataclass(frozen=True)
class Load:
    """How many cores other processes kept busy `before` and `after`, and how many this one leaves to them."""

    before: float
    after: float
    spare: float

    @property
    def contended(self) -> bool:
        """Whether other processes needed cores that this one was to have for itself."""
        return max(self.before, self.after) > self.spare + CONTENDED


def spare_cores() -> float:
    """The cores that this process may run on, less the threads that it computes on."""
    return float(max(0, len(_cores()) - thread_count()))


def busy_elsewhere() -> float:
    """How many of the cores that this process may run on other processes keep busy now, over SAMPLE_SECONDS."""
    process, cores = psutil.Process(), _cores()
    begin, busy, own = time.perf_counter(), _busy(cores), _own(process)
    time.sleep(SAMPLE_SECONDS)
    seconds = time.perf_counter() - begin
    elsewhere = (_busy(cores) - busy) - (_own(process) - own)
    return min(max(0.0, elsewhere / seconds), float(len(cores)))


def _cores() -> list[int]:
    process: Any = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return list(process.cpu_affinity())
    return list(range(psutil.cpu_count() or 1))


def _busy(cores: list[int]) -> float:
    """Seconds that these cores have worked since the system started."""
    times: Any = psutil.cpu_times(percpu=True)
    rows = [times[core] for core in cores if core < len(times)]
    return float(sum(sum(row) - row.idle - getattr(row, "iowait", 0) - _twice(row) for row in rows))


def _twice(row: Any) -> float:
    """What Linux counts under `user` and `nice` as well."""
    return float(getattr(row, "guest", 0) + getattr(row, "guest_nice", 0))


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
