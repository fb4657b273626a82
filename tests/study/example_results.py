"""Results as a small study would have them, made up: for tests of the report that need no measurement."""

from lowrank_sr.study.measure.crops import Crop, Panel
from lowrank_sr.study.measure.full_size import FullSize
from lowrank_sr.study.measure.layers import LayerRow, LayerTime, LayerTimes, Rate, Sgemm
from lowrank_sr.study.measure.networks import (
    Memory,
    MemoryAt,
    Peak,
    PictureQuality,
    Quality,
    Speed,
    SpeedAndSize,
    Times,
    Timing,
)
from lowrank_sr.study.measure.spectra import ConditionNumbers, LayerSpectrum, Network
from lowrank_sr.study.measure.sweeps import (
    LowRankNetwork,
    PointTimings,
    SpeedupPoint,
    ThresholdPoint,
    TruncationPoint,
)
from lowrank_sr.study.record import Results
from lowrank_sr.study.technique import (
    CP_KERNEL,
    REFERENCE,
    SVD_KERNEL,
    SVD_KERNEL_WINOGRAD,
    Technique,
    compared,
)

METHODS = ("direct", "im2col", "winograd", "svd", "cp")
SIDE = 48


def quality(psnr, ssim=0.8):
    pictures = tuple(PictureQuality(name, psnr + 1, ssim, psnr, ssim) for name in ("eye", "nose"))
    return Quality(psnr, ssim, psnr + 1, ssim, pictures)


def timing(speedup):
    return Timing(1 / speedup, 0.9 / speedup, 1.1 / speedup, speedup, 0.95 * speedup, 1.05 * speedup, 100 * speedup)


def network(psnr, speedup):
    timings = PointTimings(timing(speedup), timing(1.5 * speedup))
    return LowRankNetwork(10, 1000, quality(psnr), 1 / speedup, speedup, timings)


def layer(n, c):
    rank = round(n * c / (n + c))
    rows = [
        LayerRow(REFERENCE, None, 1.0, 1.0, LayerTime(0.01, 1.0, 100.0)),
        LayerRow(SVD_KERNEL, 24, 0.5, 2.0, LayerTime(0.006, 1.7, 80.0)),
        LayerRow(SVD_KERNEL_WINOGRAD, 24, 0.5, 2.0, LayerTime(0.004, 2.5, 120.0)),
        LayerRow(CP_KERNEL, rank, 0.125, 8.0, LayerTime(0.002, 5.0, 60.0), poster_bound=True, error=0.9),
    ]
    return LayerTimes((n, c, 3), SIDE, tuple(rows))


def example(methods=METHODS):
    techniques = compared(methods)
    speedup = {technique: 1.25 if technique.form is None else 2.0 for technique in techniques} | {REFERENCE: 1.0}
    rows = {
        technique: SpeedAndSize(1 / value, value, timing(value), 1000, 0.004) for technique, value in speedup.items()
    }
    spectra = (
        LayerSpectrum("conv_first", (8, 3, 3), 10.0, False, 3, 9, 100 / 3),
        LayerSpectrum("trunk_conv", (8, 8, 3), 1000.0, True, 12, 24, 50.0),
    )
    panels = (Panel("ground truth", "crops/ground-truth.png"), Panel("svd", "crops/svd.png", 27.5, 0.8))
    return Results(
        network=Network(4, 8, 1, 4, 21, 1000, 2e6),
        condition_numbers=ConditionNumbers(100.0, ("trunk_conv",), spectra),
        speedups=(
            SpeedupPoint(technique=SVD_KERNEL, speedup=2.0, network=network(27.0, 2.0)),
            SpeedupPoint(technique=SVD_KERNEL, speedup=9.0, refused="too fast"),
            SpeedupPoint(technique=Technique("cp", fitted=True), speedup=2.0, network=network(27.8, 2.0)),
        ),
        thresholds=tuple(
            ThresholdPoint(threshold=kappa, marked=marked, energy=0.9, network=network(27.5, speed))
            for kappa, marked, speed in ((100.0, 2, 1.2), (10.0, 20, 1.6))
        ),
        truncations=tuple(
            TruncationPoint(condition=kappa, network=network(psnr, speed))
            for kappa, psnr, speed in ((4.0, 20.0, 3.0), (16.0, 26.0, 1.5))
        ),
        bicubic=quality(26.0),
        quality={technique: quality(28.0 if technique.form is None else 27.0) for technique in techniques},
        times=Times(SIDE, rows),
        memory={technique: Memory((MemoryAt(SIDE, Peak(30.0)), MemoryAt(96, Peak(120.0)))) for technique in techniques},
        crop=Crop("eye", 4, 8, 32, panels),
        sgemm=Sgemm(1536, Rate(200.0)),
        layers={"RRDB_trunk.0.RDB1.conv5": layer(64, 192)},
        full_size=FullSize(
            32, 23, 4, {REFERENCE: Speed(10.0, 1.0, timing(1.0)), SVD_KERNEL_WINOGRAD: Speed(4.0, 2.5, timing(2.0))}
        ),
    )
