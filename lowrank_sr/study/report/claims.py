"""The poster's claims against what was measured: what it says, what was found, whether they agree, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowrank_sr.study.measure.sweeps import LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import poster
from lowrank_sr.study.technique import (
    CP_KERNEL,
    DIRECT,
    IM2COL,
    REFERENCE,
    SVD_FITTED,
    SVD_FITTED_WINOGRAD,
    SVD_KERNEL,
    Technique,
)

AGREES, IN_PART, DISAGREES, UNTESTED = "agrees", "agrees in part", "does not agree", "not tested"
MEMORY_INTENSIVE = 1.25  # times the peak memory of direct convolution, or more
LEAST_PSNR_GAIN = 0.01  # dB: less is no improvement
LEAST_SSIM_GAIN = 0.0005
NEAR_BOUND = 0.8  # of d²: a speed-up above this is near d²


@dataclass(frozen=True)
class Verdict:
    """Whether a claim agrees with the measurements, what they are, and why."""

    verdict: str
    found: str
    why: str


@dataclass(frozen=True)
class Claim:
    """A claim by its title, in the poster's words, and the verdict on it."""

    claim: str
    poster: str
    measured: Verdict


def judge(results: Results) -> list[Claim]:
    """The poster's five claims with their verdicts; one is not tested where its techniques were not measured."""
    low_rank = SVD_KERNEL, CP_KERNEL
    return [
        _claim(results, "Low rank is faster than direct convolution", poster.FASTER, low_rank, _faster),
        _claim(results, "SVD improves PSNR and SSIM", poster.IMPROVES, [SVD_KERNEL], _improves),
        _claim(results, "A lower threshold slows it down", poster.THRESHOLD, [SVD_KERNEL], _threshold),
        _claim(results, "im2col is memory-intensive and slower", poster.IM2COL_SLOW, [IM2COL], _im2col),
        _claim(results, "CP approaches d² at R = NC/(N+C)", poster.BOUND, [CP_KERNEL], _bound),
    ]


def _claim(
    results: Results, title: str, said: str, needs: Sequence[Technique], test: Callable[[Results], Verdict]
) -> Claim:
    if all(technique in results.times.techniques for technique in needs):
        return Claim(title, said, test(results))
    names = " and ".join(technique.name for technique in needs)
    return Claim(title, said, Verdict(UNTESTED, "nothing", f"It needs {names}; this study did not measure all of it."))


def _together(answers: list[bool]) -> str:
    return AGREES if all(answers) else IN_PART if any(answers) else DISAGREES


def _faster(results: Results) -> Verdict:
    rows = results.times.techniques
    low_rank = {technique: row for technique, row in rows.items() if technique.form}
    found = "times as fast as direct: " + "; ".join(
        f"{technique.label} {row.measured.speedup:.2f} (theoretical {row.theoretical_speedup:.2f})"
        for technique, row in low_rank.items()
    )
    # The poster compares what runs by direct convolution.
    faster = [row.measured.speedup_low > 1 for technique, row in low_rank.items() if technique.method == DIRECT]
    why = (
        "They do fewer multiply-adds, and the values between the short convolutions stay in the cache."
        if all(faster)
        else "They do fewer multiply-adds, but the short convolutions run at a lower rate."
    )
    if SVD_FITTED_WINOGRAD in rows:
        why += (
            f" {SVD_FITTED_WINOGRAD.label} computes the SVD pair by Winograd's algorithm, which halves its "
            "multiplications; the FLOP count does not show that."
        )
    best = results.times.fastest_dense()
    if best != REFERENCE:
        speedup = rows[best].measured.speedup
        ahead = [technique.label for technique, row in low_rank.items() if row.measured.speedup > speedup]
        who = f"Faster than that: {' and '.join(ahead)}." if ahead else "No low-rank technique is faster than that."
        why += (
            f" Direct convolution is not the fastest exact method: {best.label} computes the same picture "
            f"{speedup:.2f} times as fast. {who}"
        )
    return Verdict(_together(faster), found, why)


def _improves(results: Results) -> Verdict:
    dense = results.quality[REFERENCE]
    found = []
    better = []
    for technique in (SVD_KERNEL, SVD_FITTED):
        quality = results.quality[technique]
        psnr, ssim = quality.psnr_rgb - dense.psnr_rgb, quality.ssim_rgb - dense.ssim_rgb
        pairs = list(zip(quality.pictures, dense.pictures, strict=True))
        count = sum(low_rank.psnr_rgb > original.psnr_rgb for low_rank, original in pairs)
        found.append(f"{technique.label} {psnr:+.2f} dB and {ssim:+.4f}, better on {count} of {len(pairs)} pictures")
        better += [psnr > LEAST_PSNR_GAIN, ssim > LEAST_SSIM_GAIN]
    networks = [network for _, network in measured([*results.thresholds, *results.truncations])]
    networks += [network for point, network in measured(results.speedups) if point.technique.form == SVD_KERNEL.form]
    best = max(network.quality.psnr_rgb for network in networks) - dense.psnr_rgb
    found.append(f"the best of all {len(networks)} SVD networks of this study {best:+.3f} dB")
    better.append(best > LEAST_PSNR_GAIN)
    why = (
        "Some networks are better on these pictures; the differences between pictures show whether that is chance."
        if any(better)
        else "Truncation removes part of what training found, and training minimised the error. The poster's gain of "
        "0.04 dB comes from one picture."
    )
    return Verdict(_together(better), "; ".join(found), why)


def _threshold(results: Results) -> Verdict:
    marking, cutting = measured(results.thresholds), measured(results.truncations)
    if len(marking) < 2 or len(cutting) < 2:
        return Verdict(UNTESTED, "too few points", "No layer of this network would cost less at such ranks.")
    (high, at_high), (low, at_low) = (pick(marking, key=lambda point: point[0].threshold) for pick in (max, min))
    (wide, at_wide), (narrow, at_narrow) = (pick(cutting, key=lambda point: point[0].condition) for pick in (max, min))
    found = (
        f"decomposing the layers above {high.threshold:.4g} gives {at_high.measured.direct.speedup:.2f} times the "
        f"speed of direct, above {low.threshold:.4g} {at_low.measured.direct.speedup:.2f} times; truncating every "
        f"layer at a condition number of {wide.condition:g} gives {at_wide.measured.direct.speedup:.2f} times, at "
        f"{narrow.condition:g} {at_narrow.measured.direct.speedup:.2f} times"
    )
    why = (
        "The poster does not say what the threshold does. If it selects the layers to decompose, a lower one selects "
        "more of them, and the network does less work. If it is the condition number to truncate at, a lower one keeps "
        "fewer singular values. Only a lower limit for the singular values themselves keeps more, and is slower. "
        "Layers whose rank would lie above the break-even d N C / (N + C) stay dense here; to decompose them would "
        "slow them down, as on the poster."
    )
    return Verdict(_together([_slower(at_low, at_high), _slower(at_narrow, at_wide)]), found, why)


def _slower(network: LowRankNetwork, other: LowRankNetwork) -> bool:
    """Whether a network is slower than another by more than the spread of their times."""
    return network.measured.direct.speedup_high < other.measured.direct.speedup_low


def _im2col(results: Results) -> Verdict:
    times = 1 / results.times.techniques[IM2COL].measured.speedup
    found = f"{times:.2f} times the seconds of direct"
    largest = results.memory[REFERENCE].sides[-1]
    patches, direct = results.memory[IM2COL].sides[-1].measured.peak_mb, largest.measured.peak_mb
    if not patches or not direct:
        why = "This system does not report a process's peak memory."
        return Verdict(IN_PART if times > 1 else DISAGREES, found, why)
    found += (
        f"; for {largest.side} x {largest.side} pixels {patches / direct:.2f} times its memory ({patches:.0f} against "
        f"{direct:.0f} MB)"
    )
    why = (
        "The patch matrix holds every pixel d² times, and all of it is written to memory and read again; direct "
        "convolution reads the feature map in place. kn2row is GEMM without that matrix."
    )
    return Verdict(_together([times > 1, patches > MEMORY_INTENSIVE * direct]), found, why)


def _bound(results: Results) -> Verdict:
    d = next(iter(results.layers.values())).shape[2]
    rows = [row for layer in results.layers.values() for row in layer.rows if row.poster_bound]
    wide = [row for row in rows if row.rank and row.rank > 2 * d]  # elsewhere 2 d is not small against N + C
    if not wide:
        why = f"With so few channels 2 d = {2 * d} is not small against N + C."
        return Verdict(UNTESTED, "no layer is wide enough", why)
    theory = [row.theoretical_speedup for row in wide]
    clock = [row.measured.speedup for row in wide]
    errors = [row.error for row in wide if row.error is not None]
    found = (
        f"{min(theory):.1f} to {max(theory):.1f} by the formula, {min(clock):.1f} to {max(clock):.1f} times as fast as "
        f"direct on the clock, over {len(wide)} layers; the kernel's relative error there is {min(errors):.2f} to "
        f"{max(errors):.2f}"
    )
    why = (
        f"The arithmetic is right: d² (N + C) / (N + C + 2 d) is just below d² = {d * d}. The clock shows less, since "
        "1 x 1 convolutions to so few channels move more data for each multiply-add. And so low a rank keeps little of "
        "the kernel, which the picture shows."
    )
    near = NEAR_BOUND * d * d
    return Verdict(_together([min(theory) > near, min(clock) > near]), found, why)
