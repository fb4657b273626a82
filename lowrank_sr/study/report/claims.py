"""The poster's claims against what was measured: what it says, what was found, whether they agree, and why.

Each test reads the steps and returns (verdict, found, why).
"""

from collections.abc import Callable

from lowrank_sr.study.measure.networks import BOTH
from lowrank_sr.study.record import fastest_exact, points
from lowrank_sr.study.report import poster
from lowrank_sr.study.report.style import label

AGREES, IN_PART, DISAGREES, UNTESTED = "agrees", "agrees in part", "does not agree", "not tested"
MEMORY_INTENSIVE = 1.25  # times the peak memory of direct, and more
GAIN = {"psnr_rgb": 0.01, "ssim_rgb": 0.0005}  # less is no improvement, whatever its sign

Verdict = tuple[str, str, str]


def claims(steps: dict) -> list[dict]:
    """The five claims, each with its verdict; those whose methods were left out say so."""
    return [
        _claim(steps, "Low rank is faster than direct convolution", poster.FASTER, ("svd", "cp"), _faster),
        _claim(steps, "SVD improves PSNR and SSIM", poster.IMPROVES, ("svd",), _improves),
        _claim(steps, "A lower threshold slows it down", poster.THRESHOLD, ("svd",), _threshold),
        _claim(steps, "im2col is memory-intensive and slower", poster.IM2COL, ("im2col",), _im2col),
        _claim(steps, "CP approaches d² at R = NC/(N+C)", poster.BOUND, ("cp",), _bound),
    ]


def _claim(steps: dict, title: str, said: str, needs: tuple[str, ...], test: Callable[[dict], Verdict]) -> dict:
    if set(needs) <= steps["time"]["techniques"].keys():
        verdict, found, why = test(steps)
    else:
        verdict, found, why = UNTESTED, "nothing", f"It needs {' and '.join(needs)}, which were left out."
    return {"claim": title, "poster": said, "measured": {"verdict": verdict, "found": found, "why": why}}


def _together(answers: list[bool]) -> str:
    return AGREES if all(answers) else IN_PART if any(answers) else DISAGREES


def _faster(steps: dict) -> Verdict:
    rows = steps["time"]["techniques"]
    speedup = {name: row["measured"]["speedup"] for name, row in rows.items()}
    low_rank = [name for name in rows if name.startswith(("svd", "cp"))]
    found = "times as fast as direct: " + "; ".join(
        f"{label(name)} {speedup[name]:.2f} (theoretical {rows[name]['theoretical_speedup']:.2f})" for name in low_rank
    )
    faster = [rows[name]["measured"]["speedup_low"] > 1 for name in low_rank if name != BOTH]
    why = (
        "They do fewer multiply-adds, and what lies between the short convolutions stays in the cache."
        if all(faster)
        else "Fewer multiply-adds are not fewer seconds where the short convolutions run at a lower rate."
    )
    if BOTH in rows:
        why += (
            f" {label(BOTH)} halves the pair's multiplications once more, by Winograd's algorithm, at the same FLOPs."
        )
    best = fastest_exact(rows)
    if best != "direct":
        ahead = [label(name) for name in low_rank if speedup[name] > speedup[best]]
        who = f"only {' and '.join(ahead)} came before it" if ahead else "none of them reached it"
        why += (
            f" But direct is not the exact method to beat: {label(best)} gives the same picture {speedup[best]:.2f} "
            f"times as fast as direct, and {who}."
        )
    return _together(faster), found, why


def _improves(steps: dict) -> Verdict:
    dense, found, better = steps["quality/direct"], [], []
    for name in ("svd", "svd fitted"):
        row = steps[f"quality/{name}"]
        psnr, ssim = (row[key] - dense[key] for key in ("psnr_rgb", "ssim_rgb"))
        pairs = list(zip(row["pictures"], dense["pictures"], strict=True))
        count = sum(own["psnr_rgb"] > other["psnr_rgb"] for own, other in pairs)
        found.append(f"{label(name)} {psnr:+.2f} dB and {ssim:+.4f}, better on {count} of {len(pairs)} pictures")
        better += [psnr > GAIN["psnr_rgb"], ssim > GAIN["ssim_rgb"]]
    every = points(steps, "threshold") + points(steps, "truncation")
    every += [row for row in points(steps, "speed-up") if row["technique"].startswith("svd")]
    best = max(row["psnr_rgb"] for row in every) - dense["psnr_rgb"]
    found.append(f"the best of all {len(every)} SVD networks of this study {best:+.3f} dB")
    better.append(best > GAIN["psnr_rgb"])
    why = (
        "Some networks gain on these pictures; whether that is more than chance, the differences between pictures tell."
        if any(better)
        else "Truncation takes away part of what training put there, and training aimed at the least error. The "
        "poster's gain of 0.04 dB is of one picture."
    )
    return _together(better), "; ".join(found), why


def _threshold(steps: dict) -> Verdict:
    marking, cutting = points(steps, "threshold"), points(steps, "truncation")
    if len(marking) < 2 or len(cutting) < 2:
        return UNTESTED, "too few points", "No layer of this network would cost less at such ranks."
    high, low = (pick(marking, key=lambda row: row["threshold"]) for pick in (max, min))
    wide, narrow = (pick(cutting, key=lambda row: row["condition"]) for pick in (max, min))
    speedup = {id(row): row["measured"]["speedup"] for row in (high, low, wide, narrow)}
    found = (
        f"marking the layers above {high['threshold']:.4g} gives {speedup[id(high)]:.2f} times the speed of direct, "
        f"above {low['threshold']:.4g} {speedup[id(low)]:.2f} times; truncating all at a condition number of "
        f"{wide['condition']:g} gives {speedup[id(wide)]:.2f} times, at {narrow['condition']:g} "
        f"{speedup[id(narrow)]:.2f} times"
    )
    why = (
        "It depends on what the threshold does, which the poster leaves open. A lower one to mark layers marks more of "
        "them, each with less to do; a lower one to truncate at keeps fewer singular values. Only a lower limit for "
        "the singular values themselves keeps more of them and is slower. A layer whose rank would lie above the "
        "break-even d N C / (N + C) stays dense here: decomposing it would slow it down, as on the poster."
    )
    return _together([_slower(low, high), _slower(narrow, wide)]), found, why


def _slower(row: dict, other: dict) -> bool:
    """Whether a network is slower than another by more than their times are spread."""
    return row["measured"]["speedup_high"] < other["measured"]["speedup_low"]


def _im2col(steps: dict) -> Verdict:
    times = 1 / steps["time"]["techniques"]["im2col"]["measured"]["speedup"]
    found = f"{times:.2f} times the seconds of direct"
    largest = {name: steps[f"memory/{name}"]["sides"][-1] for name in ("im2col", "direct")}
    ours, direct = (row["measured"]["peak_mb"] for row in largest.values())
    if not ours or not direct:
        return (IN_PART if times > 1 else DISAGREES), found, "This system does not tell a process's peak memory."
    side = largest["direct"]["side"]
    found += f"; for {side} x {side} pixels {ours / direct:.2f} times its memory ({ours:.0f} against {direct:.0f} MB)"
    why = (
        "The patch matrix repeats every pixel d² times, and is written to memory and read again before GEMM can start; "
        "direct reads the map in place. kn2row is GEMM without that matrix."
    )
    return _together([times > 1, ours > MEMORY_INTENSIVE * direct]), found, why


def _bound(steps: dict) -> Verdict:
    layers = [row for name, row in steps.items() if name.startswith("layer/")]
    d = layers[0]["shape"][2]
    at_bound = [row for layer in layers for row in layer["rows"] if row.get("poster_bound")]
    wide = [row for row in at_bound if row["rank"] > 2 * d]  # elsewhere 2 d is no longer small against N + C
    if not wide:
        return UNTESTED, "no layer is wide enough", f"With so few channels 2 d = {2 * d} is not small against N + C."
    theory, errors = ([row[key] for row in wide] for key in ("theoretical_speedup", "error"))
    clock = [row["measured"]["speedup"] for row in wide]
    found = (
        f"{min(theory):.1f} to {max(theory):.1f} by the formula, {min(clock):.1f} to {max(clock):.1f} times as fast as "
        f"direct on the clock, over {len(wide)} layers; the kernel's relative error there is {min(errors):.2f} to "
        f"{max(errors):.2f}"
    )
    why = (
        f"The arithmetic is right: d² (N + C) / (N + C + 2 d) is just below d² = {d * d}. The clock gives less: 1 x 1 "
        "convolutions to so few channels move more data for each multiply-add; and at so low a rank little of the "
        "kernel is left, which the picture shows."
    )
    near = 0.8 * d * d
    return _together([min(theory) > near, min(clock) > near]), found, why
