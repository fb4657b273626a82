"""Changes to the example's results, for tests of the claims."""

from dataclasses import replace

from example_results import QUIET, quality

from lowrank_sr.machine.load import Load
from lowrank_sr.study.measure.memory import Peak
from lowrank_sr.study.report import claims
from lowrank_sr.study.technique import IM2COL, REFERENCE

BUSY = Load(1.0, 0.9, 0.0)


def judged(results, title):
    """The verdict on the claim whose title begins with `title`, with what stands beside it."""
    (claim,) = [claim for claim in claims.judge(results) if claim.claim.startswith(title)]
    return claim.measured


def at(timing, speedup, spread=0.02, load=QUIET):
    """`timing` with another speed-up, its quartiles `spread` away."""
    return replace(timing, speedup=speedup, speedup_low=speedup - spread, speedup_high=speedup + spread, load=load)


def timed(results, speedups, **how):
    """The results with the speed-ups of some techniques, in every measurement of them."""
    again = {**results.repeats}
    first = {**results.times}
    for technique, speedup in speedups.items():
        first[technique] = replace(first[technique], measured=at(first[technique].measured, speedup, **how))
        if technique in again:
            again[technique] = replace(again[technique], measured=at(again[technique].measured, speedup, **how))
    swept = tuple(point for point in results.speedups if point.technique not in speedups)
    return replace(results, times=first, repeats=again, speedups=swept)


def timed_again(results, technique, speedup):
    """The results with another speed-up of a technique at its second measurement."""
    row = results.repeats[technique]
    return replace(results, repeats=results.repeats | {technique: replace(row, measured=at(row.measured, speedup))})


def lossy(results, losses):
    """The results with what each technique loses to the truth on the two pictures: dB and SSIM, or a pair of dB."""
    dense = results.quality[REFERENCE]
    changed = {}
    for technique, (psnr, ssim) in losses.items():
        both = psnr if isinstance(psnr, tuple) else (psnr, psnr)
        pictures = tuple(
            replace(row, psnr_rgb=row.psnr_rgb - lost, ssim_rgb=row.ssim_rgb - ssim)
            for row, lost in zip(dense.pictures, both, strict=True)
        )
        mean = dense.psnr_rgb - sum(both) / 2
        changed[technique] = replace(quality(mean, dense.ssim_rgb - ssim), pictures=pictures)
    return replace(results, quality=results.quality | changed)


def near(results, fidelities, niqe=5.2):
    """The results with each technique's fidelity on the two pictures, one number or a pair of dB; and its NIQE."""
    changed = {}
    for technique, fidelity in fidelities.items():
        both = fidelity if isinstance(fidelity, tuple) else (fidelity, fidelity)
        quality = results.quality[technique]
        pictures = tuple(
            replace(row, fidelity=value, niqe=niqe) for row, value in zip(quality.pictures, both, strict=True)
        )
        changed[technique] = replace(quality, fidelity=sum(both) / 2, niqe=niqe, pictures=pictures)
    return replace(results, quality=results.quality | changed)


def low_rank(results):
    """The low-rank techniques by direct convolution."""
    return [technique for technique in results.times if technique.form and technique.method == "direct"]


def swept(results, field, value, speedups):
    """The results with these speed-ups of a sweep's networks, from the lowest threshold to the highest."""
    points = []
    for point, speedup in zip(sorted(getattr(results, field), key=lambda p: getattr(p, value)), speedups, strict=True):
        changes = {}
        for name in ("network", "unguarded"):
            network = getattr(point, name)
            if network is not None:
                direct = at(network.measured.direct, speedup)
                changes[name] = replace(network, measured=replace(network.measured, direct=direct))
        points.append(replace(point, **changes))
    return replace(results, **{field: tuple(points)})


def with_memory(results, peak):
    """The results with im2col's peak memory for the largest picture: a number, a Peak, or None if unknown."""
    small, large = results.memory[IM2COL].sides
    memory = replace(
        results.memory[IM2COL], sides=(small, replace(large, measured=peak if isinstance(peak, Peak) else Peak(peak)))
    )
    return replace(results, memory=results.memory | {IM2COL: memory})
