"""Peak memory of a technique, by the side of the picture."""

from dataclasses import dataclass
from functools import partial

from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.study.measure import low_rank
from lowrank_sr.study.measure.speed import noise
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import Technique

WARM_UP_SIDE = 16  # pixels: of the picture that prepares kernels and compiles loops before memory is measured


@dataclass(frozen=True)
class Peak:
    """Peak memory in MB; None where the system does not report it."""

    peak_mb: float | None


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
    net = low_rank.network(study, technique)
    net(noise(WARM_UP_SIDE))
    rows = []
    for side in study.extent.memory_sides:
        peak = peak_extra_bytes(partial(net, noise(side)))
        rows.append(MemoryAt(side, Peak(None if peak is None else peak / 1e6)))
    return Memory(tuple(rows))
