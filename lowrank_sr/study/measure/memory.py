"""Peak memory of a technique, by the side of the picture."""

import statistics
from dataclasses import dataclass
from functools import partial

from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.study.measure import networks
from lowrank_sr.study.measure.speed import noise
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import Technique

TIMES = 3  # that each peak is measured
WARM_UP_SIDE = 16  # pixels: of the picture that prepares kernels and compiles loops before memory is measured


@dataclass(frozen=True)
class Peak:
    """Peak memory in MB: the median, the least and the most; None where the system does not report it."""

    peak_mb: float | None
    least_mb: float | None = None
    most_mb: float | None = None

    def range_mb(self) -> tuple[float, float]:
        """The least and the most; raises AssertionError where there is no peak."""
        assert self.peak_mb is not None
        return self.least_mb or self.peak_mb, self.most_mb or self.peak_mb


@dataclass(frozen=True)
class MemoryAt:
    """The peak for a picture of `side` x `side` pixels."""

    side: int
    measured: Peak


@dataclass(frozen=True)
class Memory:
    """Peak memory by the side of the picture."""

    sides: tuple[MemoryAt, ...]


def of_technique(study: Study, technique: Technique) -> Memory:
    """Peak memory above what the process held before, by the side of the picture."""
    net = networks.network(study, technique)
    net(noise(WARM_UP_SIDE))
    rows = []
    for side in study.extent.memory_sides:
        peaks = [peak_extra_bytes(partial(net, noise(side))) for _ in range(TIMES)]
        mb = [peak / 1e6 for peak in peaks if peak is not None]
        rows.append(MemoryAt(side, Peak(statistics.median(mb), min(mb), max(mb)) if mb else Peak(None)))
    return Memory(tuple(rows))
