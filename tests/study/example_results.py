"""Results as a small study would have them, made up: for tests of the report that need no measurement."""

from dataclasses import replace

from lowrank_sr.machine import cpu
from lowrank_sr.machine.load import Load
from lowrank_sr.study.encoding import encode
from lowrank_sr.study.extent import EVERY, QUICK
from lowrank_sr.study.measure.ablation import Ablated, Alone
from lowrank_sr.study.measure.crops import Crop, Panel
from lowrank_sr.study.measure.layers import LayerRow, LayerTimes, Sgemm
from lowrank_sr.study.measure.memory import Memory, MemoryAt, Peak
from lowrank_sr.study.measure.networks import Done, Training
from lowrank_sr.study.measure.quality import PictureQuality, Quality
from lowrank_sr.study.measure.spectra import ConditionNumbers, LayerSpectrum, Network
from lowrank_sr.study.measure.speed import Speed, SpeedAndSize, Timing
from lowrank_sr.study.measure.sweeps import (
    LimitPoint,
    LowRankNetwork,
    PointTimings,
    SpeedupPoint,
    ThresholdPoint,
    TruncationPoint,
)
from lowrank_sr.study.record import Results, Tuned
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.page import Chapter, Report
from lowrank_sr.study.settings import Settings
from lowrank_sr.study.technique import (
    BLOCKS,
    CP_FITTED,
    CP_KERNEL,
    REFERENCE,
    SVD_KERNEL,
    SVD_KERNEL_WINOGRAD,
    Technique,
    compared,
    finetuned,
    stages,
)

METHODS = ("direct", "im2col", "winograd", "svd", "cp")
SIDE = 48
QUIET = Load(0.0, 0.1, 0.0)


def quality(psnr, ssim=0.8, fidelity=31.0, dense=False):
    measures = {"psnr_rgb": psnr, "ssim_rgb": ssim, "psnr_y": psnr + 1, "ssim_y": ssim, "niqe": 5.2}
    if not dense:
        measures |= {"fidelity": fidelity, "fidelity_ssim": 0.91, "sharpness": 0.7, "fidelity_matched": fidelity + 2}
        measures |= {"blur_sigma": 0.4, "blur_explained": 0.25, "blur_psnr_rgb": psnr + 0.1}
    pictures = tuple(PictureQuality(picture=name, **measures) for name in ("eye", "nose"))
    return Quality(pictures=pictures, **measures)


def timing(speedup, load=QUIET):
    rate = 100 * speedup
    return Timing(1 / speedup, 0.9 / speedup, 1.1 / speedup, speedup, 0.95 * speedup, 1.05 * speedup, rate, 7, load)


def low_rank_network(psnr, speedup):
    timings = PointTimings(timing(speedup), timing(1.5 * speedup))
    return LowRankNetwork(10, 1000, quality(psnr), 1 / speedup, speedup, timings)


def layer(n, c):
    rank = round(n * c / (n + c))
    rows = [
        LayerRow(REFERENCE, None, 1.0, 1.0, 0.5, timing(1.0)),
        LayerRow(SVD_KERNEL, 24, 0.5, 2.0, 0.25, timing(1.7)),
        LayerRow(SVD_KERNEL_WINOGRAD, 24, 0.5, 2.0, 0.125, timing(2.5)),
        LayerRow(CP_KERNEL, rank, 0.125, 8.0, 0.0625, timing(5.0), poster_bound=True, error=0.9),
    ]
    return LayerTimes((n, c, 3), SIDE, tuple(rows))


def speed(value):
    return Speed(SIDE, 1 / value, value, 0.5 / value, timing(value))


def example(methods=METHODS):
    techniques = compared(methods)
    speedup = {technique: 1.25 if technique.form is None else 2.0 for technique in techniques} | {REFERENCE: 1.0}
    rows = {
        technique: SpeedAndSize(**vars(speed(value)), parameters=1000, size_mb=0.004)
        for technique, value in speedup.items()
    }
    spectra = (
        LayerSpectrum("conv_first", (8, 3, 3), 10.0, False, 3, 9, 100 / 3),
        LayerSpectrum("trunk_conv", (8, 8, 3), 1000.0, True, 12, 24, 50.0),
        LayerSpectrum("upconv1", (8, 8, 3), 20.0, False, 12, 24, 50.0),
        LayerSpectrum("conv_last", (3, 8, 3), 10.0, False, 3, 9, 100 / 3),
    )
    panels = (Panel("ground truth", "crops/ground-truth.png", "12ab"), Panel("svd", "crops/svd.png", "34cd", 27.5, 0.8))
    tail = (Panel("upconv2 alone", "crops/tail-upconv2-alone.png", "56ef", 19.5, 0.7),)
    return Results(
        network=Network(4, 8, 1, 4, 21, 1000, 2e6),
        condition_numbers=ConditionNumbers(100.0, ("trunk_conv",), spectra),
        ablation=tuple(
            Ablated(form, *combination, 10, 2.0, quality(27.0)) for form in ("svd",) for combination in EVERY
        ),
        alone=(Alone("trunk_conv", 12, 0.3, 1.01, quality(26.0)),),
        speedups=(
            SpeedupPoint(technique=SVD_KERNEL, speedup=2.0, network=low_rank_network(27.0, 2.0)),
            SpeedupPoint(technique=SVD_KERNEL, speedup=9.0, refused="too fast"),
            SpeedupPoint(technique=Technique("svd", layers=BLOCKS), speedup=1.5, network=low_rank_network(27.6, 1.5)),
            SpeedupPoint(technique=CP_FITTED, speedup=2.0, network=low_rank_network(27.8, 2.0)),
        ),
        thresholds=tuple(
            ThresholdPoint(threshold=kappa, marked=marked, energy=0.9, network=low_rank_network(27.5, speed))
            for kappa, marked, speed in ((100.0, 2, 1.2), (10.0, 20, 1.6))
        ),
        truncations=tuple(
            TruncationPoint(condition=kappa, network=low_rank_network(psnr, speed))
            for kappa, psnr, speed in ((4.0, 20.0, 3.0), (16.0, 26.0, 1.5))
        ),
        limits=tuple(
            LimitPoint(
                limit=limit,
                dropped=dropped,
                network=low_rank_network(psnr, speed),
                unguarded=low_rank_network(psnr, speed - 0.5),
            )
            for limit, dropped, psnr, speed in ((0.5, 0.5, 27.0, 1.3), (1.0, 0.9, 20.0, 2.5))
        ),
        bicubic=quality(26.0, fidelity=24.0),
        blurs={"0.5": quality(28.1, fidelity=34.0), "1": quality(27.9, fidelity=28.0)},
        quality={
            technique: quality(28.0, dense=True) if technique.form is None else quality(27.0)
            for technique in techniques
        },
        times=rows,
        repeats={
            technique: speed(value)
            for technique, value in speedup.items()
            if technique.factors != "fitted" or technique.method != "direct"  # the sweep of speed-ups times those again
        },
        memory={technique: Memory((MemoryAt(SIDE, Peak(30.0)), MemoryAt(96, Peak(120.0)))) for technique in techniques},
        crop=Crop("eye", 4, 8, 32, panels, tail),
        sgemm=Sgemm(1536, timing(2.0)),
        layers={"RRDB_trunk.0.RDB1.conv5": layer(64, 192)},
        tuned={},
        stages={},
    )


def encoded_steps(results):
    """The results as the steps of results.json."""
    steps = {
        "network": results.network,
        "condition numbers": results.condition_numbers,
        **{f"ablation/{i}": row for i, row in enumerate(results.ablation)},
        **{f"alone/{row.layer}": row for row in results.alone},
        **{f"speed-up/{point.technique.name}/{point.speedup:g}": point for point in results.speedups},
        **{f"threshold/{point.marked}": point for point in results.thresholds},
        **{f"truncation/{point.condition:g}": point for point in results.truncations},
        **{f"limit/{point.dropped:g}": point for point in results.limits},
        "quality/bicubic": results.bicubic,
        **{f"blur/{sigma}": of for sigma, of in results.blurs.items()},
        **{f"quality/{technique.name}": value for technique, value in results.quality.items()},
        **{f"time/{technique.name}": value for technique, value in results.times.items()},
        **{f"self-check/{technique.name}": value for technique, value in results.repeats.items()},
        **{f"memory/{technique.name}": value for technique, value in results.memory.items()},
        "crop": results.crop,
        "sgemm": results.sgemm,
        **{f"layer/{name}": value for name, value in results.layers.items()},
    }
    return encode(steps)


def with_tuned(results, psnr=(28.01, 27.98, 27.99), photographs=40):
    """The results with the dense network, SVD and CP fine-tuned to these PSNRs."""
    tuned, times = {}, {}
    for technique, value in zip(finetuned(METHODS), psnr, strict=True):
        before = replace(technique, factors="fitted" if technique.form else "kernel")
        training = Training(photographs, Done(700, 1200.5))
        row, memory = results.times[before], results.memory[before]
        times |= {stage: speed(2.0 if stage.form else 1.0) for stage in stages(technique)}
        tuned[technique] = Tuned(training, quality(value), row, memory)
    return replace(results, tuned=tuned, stages=times)


def report_on(results, *names, claims=None, pictures=("eye", "nose"), photos=None):
    """A report that says the same of each network."""
    chapters = []
    for name in names:
        settings = Settings(name, "pictures", True, QUICK, METHODS, 0, pictures, photos)
        chapters.append(Chapter(settings, results, judge(results) if claims is None else claims))
    return Report(cpu.describe(), chapters)
