"""The seconds of networks on one picture, and how much faster they are than the dense one by direct convolution."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from lowrank_sr.conv import algorithms
from lowrank_sr.conv.upsampled import upsampled_multiplications
from lowrank_sr.machine.load import Load, busy_elsewhere, spare_cores
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.measure import networks
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import REFERENCE, Technique, stages

SAMPLE_SECONDS = 0.04  # of a time, at least: ten of the 4 ms that Linux's scheduler gives to one process at a time


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of the seconds and of the speed-up; effective GFLOP/s; what else the machine did."""

    seconds: float
    seconds_low: float
    seconds_high: float
    speedup: float
    speedup_low: float
    speedup_high: float
    gflops: float
    rounds: int
    load: Load


@dataclass(frozen=True)
class Speed:
    """A network's GFLOP and theoretical speed-up, by the paper's formulas, the multiplications done, in 10^9, and time.

    For a picture of `side` x `side` pixels. `multiplications` are fewer than half the FLOPs where Winograd's algorithm
    computes a layer.
    """

    side: int
    gflop: float
    theoretical_speedup: float
    multiplications: float
    measured: Timing


@dataclass(frozen=True)
class SpeedAndSize(Speed):
    """The same, and how large the network is in float32."""

    parameters: int
    size_mb: float


@dataclass(frozen=True)
class StageTimes:
    """Every fine-tuned network and what it was before, all timed in turn, so that their seconds compare."""

    techniques: dict[Technique, Speed]


def of_technique(study: Study, technique: Technique) -> SpeedAndSize:
    """The time of a technique beside that of direct convolution, and how large its network is.

    Direct convolution itself is timed beside another copy of it: how far from 1 that is says how good the clock is.
    """
    net = networks.network(study, technique)
    speed = compare(study, {technique: net})[technique]
    return SpeedAndSize(**vars(speed), parameters=net.parameters, size_mb=4 * net.parameters / 1e6)


def again(study: Study, technique: Technique) -> Speed:
    """The same network timed again, at the end of the study."""
    return compare(study, {technique: networks.network(study, technique)})[technique]


def stage_times(study: Study) -> StageTimes:
    """The times of every fine-tuned network and of what it was before."""
    every = [stage for technique in study.finetuned for stage in stages(technique)]
    return StageTimes(compare(study, {technique: networks.network(study, technique) for technique in every}))


def compare(study: Study, networks: Mapping[Technique, RRDBNet]) -> dict[Technique, Speed]:
    """The speed of each of `networks` over the study's network by direct convolution."""
    dense = study.net.with_method(REFERENCE.method)
    return compare_with(dense, networks, study.extent.side, study.extent.rounds)


def compare_with(
    dense: RRDBNet, networks: Mapping[Technique, RRDBNet], side: int, rounds: int
) -> dict[Technique, Speed]:
    """The speed of each of `networks` over that of `dense`, in turn on a picture of `side` x `side` pixels.

    A speed-up is the median of the ratios within each round: what slows the machine for a while slows both.
    """
    image = noise(side)
    runs = {"": partial(dense, image)} | {technique.name: partial(net, image) for technique, net in networks.items()}
    seconds, load = in_turn(runs, rounds)
    work = dense.flops(side, side)
    speeds = {}
    for technique, net in networks.items():
        measured = timing(seconds[technique.name], seconds[""], work, load)
        own = net.flops(side, side)
        speeds[technique] = Speed(side, own / 1e9, work / own, multiplications(net, side) / 1e9, measured)
    return speeds


def in_turn(runs: Mapping[str, Callable[[], object]], rounds: int) -> tuple[dict[str, list[float]], Load]:
    """The seconds of each run, in turn, and what else the machine did before and after."""
    before = busy_elsewhere()
    seconds = interleaved(runs, rounds, sample=SAMPLE_SECONDS)
    return seconds, Load(before, busy_elsewhere(), spare_cores())


def timing(seconds: list[float], reference: list[float], flops: float, load: Load) -> Timing:
    """Medians and quartiles of `seconds` and of the speed-up over `reference` in the same rounds; rate of `flops`."""
    median, low, high = quartiles(seconds)
    return Timing(median, low, high, *quartiles(ratios(reference, seconds)), flops / median / 1e9, len(seconds), load)


def ratios(reference: list[float], seconds: list[float]) -> list[float]:
    """How many times as fast as the reference, round by round."""
    return [before / after for before, after in zip(reference, seconds, strict=True)]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The median, the lower and the upper quartile."""
    low, median, high = map(float, np.quantile(values, (0.25, 0.5, 0.75)))
    return median, low, high


def multiplications(net: RRDBNet, side: int) -> float:
    """Multiplications that a network does on a picture of `side` x `side` pixels."""
    total = 0.0
    for name, layer in net.layers.items():
        method = net.methods[name]
        count = upsampled_multiplications if net.architecture.enlarges(name) else algorithms.multiplications
        total += count(layer, method) * net.architecture.area(name) * side * side
    return total


def noise(side: int) -> np.ndarray:
    """A square picture of noise, (side, side, 3) float32: what a convolution computes does not change its time."""
    return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
