"""The network by each technique, and what Table 1 shows of it: PSNR and SSIM, seconds, size, memory."""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lowrank_sr.compression import calibration
from lowrank_sr.compression.network import compress
from lowrank_sr.errors import InputError
from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image, enlarge
from lowrank_sr.pictures.quality import enlarge_bicubic, measure_quality
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import WINOGRAD, Technique

TABLE1_SPEEDUP = 2  # theoretical, of the low-rank networks in Table 1 and the figures
WARM_UP_SIDE = 16  # pixels: of the picture that prepares kernels and compiles loops before memory is measured


@dataclass(frozen=True)
class PictureQuality:
    """PSNR in dB and SSIM of one picture."""

    picture: str
    psnr_y: float
    ssim_y: float
    psnr_rgb: float
    ssim_rgb: float


@dataclass(frozen=True)
class Quality:
    """PSNR in dB and SSIM: the means, and each picture's."""

    psnr_rgb: float
    ssim_rgb: float
    psnr_y: float
    ssim_y: float
    pictures: tuple[PictureQuality, ...]


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of the seconds and of the speed-up; effective GFLOP/s."""

    seconds: float
    seconds_low: float
    seconds_high: float
    speedup: float
    speedup_low: float
    speedup_high: float
    gflops: float


@dataclass(frozen=True)
class Speed:
    """A network's GFLOP and theoretical speed-up, by the paper's formulas, and its time."""

    gflop: float
    theoretical_speedup: float
    measured: Timing


@dataclass(frozen=True)
class SpeedAndSize(Speed):
    """The same, and how large the network is in float32."""

    parameters: int
    size_mb: float


@dataclass(frozen=True)
class Times:
    """Every technique on the same picture of `side` x `side` pixels."""

    side: int
    techniques: dict[Technique, SpeedAndSize]

    def fastest_dense(self) -> Technique:
        """The fastest technique that computes the network as it is."""
        dense = [technique for technique in self.techniques if technique.form is None]
        return max(dense, key=lambda technique: self.techniques[technique].measured.speedup)


@dataclass(frozen=True)
class Peak:
    """Memory in MB beyond what the process held before; None where the system does not report it."""

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


def network(study: Study, technique: Technique) -> RRDBNet:
    """The network of a technique; a low-rank one at TABLE1_SPEEDUP, from networks/ where this study has written it."""
    if technique.form is None:
        return study.net.with_method(technique.method)
    path = study.folder / "networks" / f"{Technique(technique.form, technique.fitted).name.replace(' ', '-')}.npz"
    try:
        kept = load(path, technique.method)
        if kept.meta.get("study") == study.fingerprint:
            return kept
    except InputError:  # not there yet, or damaged
        pass
    small = compressed(study, technique, speedup=TABLE1_SPEEDUP)
    small.meta["study"] = study.fingerprint
    path.parent.mkdir(exist_ok=True)
    small.save(path)
    return small


def compressed(study: Study, technique: Technique, **rule: Any) -> RRDBNet:
    """The network in the form of `technique`, compressed by `rule`, one of `compress`'s.

    The fit runs by Winograd's algorithm rather than `auto`, so that every run with the same seed gives the same.
    """
    assert technique.form is not None
    pictures = calibration.read_pictures()[: study.extent.calibration] if technique.fitted else ()
    dense = study.net.with_method(WINOGRAD)
    small = compress(dense, technique.form, images=pictures, seed=study.settings.seed, **rule)
    return small.with_method(technique.method)


def bicubic_quality(study: Study) -> Quality:
    """PSNR and SSIM of bicubic enlargement, to compare with."""
    return _quality(study, lambda low: enlarge_bicubic(low, study.net.scale))


def network_quality(study: Study, net: RRDBNet) -> Quality:
    """PSNR and SSIM of a network, as `evaluate` reports them."""
    return _quality(study, lambda low: enlarge(low, net))


def technique_quality(study: Study, technique: Technique) -> Quality:
    """PSNR and SSIM of a technique."""
    return network_quality(study, network(study, technique))


def _quality(study: Study, enlargement: Callable[[Image], Image]) -> Quality:
    rows = [
        PictureQuality(picture=name, **measure_quality(enlargement(low), high, study.net.scale))
        for name, low, high in study.pictures
    ]

    def mean(measure: str) -> float:
        return math.fsum(getattr(row, measure) for row in rows) / len(rows)

    return Quality(mean("psnr_rgb"), mean("ssim_rgb"), mean("psnr_y"), mean("ssim_y"), tuple(rows))


def times(study: Study) -> Times:
    """Every technique on one picture, in turn, and how large its network is."""
    networks = {technique: network(study, technique) for technique in study.techniques}
    speeds = compare_networks(networks, study.extent.side, study.extent.rounds)
    rows = {}
    for technique, speed in speeds.items():
        parameters = networks[technique].parameters
        size_mb = 4 * parameters / 1e6
        rows[technique] = SpeedAndSize(speed.gflop, speed.theoretical_speedup, speed.measured, parameters, size_mb)
    return Times(study.extent.side, rows)


def compare_networks(networks: Mapping[Technique, RRDBNet], side: int, rounds: int) -> dict[Technique, Speed]:
    """The speed of each of `networks` on a picture of `side` x `side` pixels, over the first, which is dense.

    A speed-up is the median of the ratios within each round: what slows the machine for a while slows both.
    """
    image = noise(side)
    runs = {technique.name: partial(net, image) for technique, net in networks.items()}
    seconds = interleaved(runs, rounds)
    reference = next(iter(networks))
    dense = networks[reference].flops(side, side)
    speeds = {}
    for technique, net in networks.items():
        spent = seconds[technique.name]
        ratios = [before / after for before, after in zip(seconds[reference.name], spent, strict=True)]
        median, low, high = _quartiles(spent)
        timing = Timing(median, low, high, *_quartiles(ratios), gflops=dense / median / 1e9)
        work = net.flops(side, side)
        speeds[technique] = Speed(work / 1e9, dense / work, timing)
    return speeds


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    """The median, the lower and the upper quartile."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def noise(side: int) -> np.ndarray:
    """A square picture of noise, (side, side, 3) float32: what a convolution computes does not change its time."""
    return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)


def memory(study: Study, technique: Technique) -> Memory:
    """Peak memory above what the process held before, by the side of the picture."""
    net = network(study, technique)
    net(noise(WARM_UP_SIDE))
    rows = []
    for side in study.extent.memory_sides:
        peak = peak_extra_bytes(partial(net, noise(side)))
        rows.append(MemoryAt(side, Peak(None if peak is None else peak / 1e6)))
    return Memory(tuple(rows))
