"""The poster's claims against what was measured: what it says, what was found, by which rule, and what explains it.

Claims about the picture and the clock are in files of their own, `claims_quality.py` and `claims_speed.py`.
"""

from collections.abc import Callable, Sequence

from lowrank_sr.study.record import Results
from lowrank_sr.study.report import claims_quality, claims_speed, poster
from lowrank_sr.study.report.verdict import NOT_DECIDED, Answer, Claim, Verdict, because, counted, rule_of, together
from lowrank_sr.study.technique import CP_KERNEL, IM2COL, REFERENCE, SVD_KERNEL, Technique, recipes

NEAR_BOUND = 0.8  # of d²: a speed-up above this is near d²


def judge(results: Results) -> list[Claim]:
    """The poster's claims with their verdicts; one whose techniques were not measured is not decided."""
    both = SVD_KERNEL, CP_KERNEL
    return [
        _claim(results, "Low rank is faster than direct convolution", poster.FASTER, both, claims_speed.faster),
        _claim(results, "Low rank makes the model smaller", poster.SIZE, both, _size),
        _claim(results, "Low rank loses little accuracy", poster.LOSS, both, claims_quality.loss),
        _claim(results, "SVD improves PSNR and SSIM", poster.IMPROVES, [SVD_KERNEL], claims_quality.improves),
        _claim(results, "A lower threshold slows it down", poster.THRESHOLD, [SVD_KERNEL], claims_speed.threshold),
        _claim(results, "im2col is memory-intensive and slower", poster.IM2COL_SLOW, [IM2COL], claims_speed.im2col),
        _claim(results, "CP approaches d² at R = NC/(N+C), in theory", poster.BOUND, [CP_KERNEL], _bound),
    ]


def _claim(
    results: Results, title: str, said: str, needs: Sequence[Technique], test: Callable[[Results], Verdict]
) -> Claim:
    missing = [technique.name for technique in needs if technique not in results.times.techniques]
    if not missing:
        return Claim(title, said, test(results))
    found = f"nothing: this study leaves {' and '.join(missing)} out"
    rule = "a claim is judged where all its techniques are measured"
    return Claim(title, said, Verdict(NOT_DECIDED, found, rule, ""))


def _size(results: Results) -> Verdict:
    rows = results.times.techniques
    dense = rows[REFERENCE].parameters
    low_rank = [technique for form in ("svd", "cp") for technique in (Technique(form), *recipes(form))]
    sizes = {technique: rows[technique].parameters / dense for technique in low_rank}
    answers: list[Answer] = [share < 1 for share in sizes.values()]
    found = f"of the {rows[REFERENCE].size_mb:.2f} MB of the dense network, " + "; ".join(
        f"{technique.label} keeps {rows[technique].size_mb:.2f} MB ({100 * share:.0f}%)"
        for technique, share in sizes.items()
    )
    rule = f"smaller: fewer parameters than the dense network; {rule_of(len(answers), 'low-rank networks')}"
    marked = sizes[recipes("svd")[0]]
    why = because(
        (
            0.9 < marked < 1,
            f"The marked layers hold few of the parameters: at half their FLOPs the network keeps {100 * marked:.0f}%.",
        )
    )
    return Verdict(together(answers), found, rule, why)


def _bound(results: Results) -> Verdict:
    d = next(iter(results.layers.values())).shape[2]
    rows = [row for layer in results.layers.values() for row in layer.rows if row.poster_bound]
    least_channels = 2 * d * NEAR_BOUND / (1 - NEAR_BOUND)
    rule = (
        "by algebra, not by measurement, since the claim is about theory: at R = NC/(N+C) the formula gives "
        f"d² (N + C) / (N + C + 2 d), which is above {NEAR_BOUND:g} d² = {NEAR_BOUND * d * d:.1f} where N + C is above "
        f"{least_channels:.0f}, but for the rounding of R; {rule_of(len(rows), 'layer shapes, however narrow,')}"
    )
    if not rows:
        return Verdict(NOT_DECIDED, "no layer was measured at this rank", rule, "")
    theory = [row.theoretical_speedup for row in rows]
    clock = [row.measured.speedup for row in rows]
    errors = [row.error for row in rows if row.error is not None]
    near = [value > NEAR_BOUND * d * d for value in theory]
    found = (
        f"{min(theory):.1f} to {max(theory):.1f} by the formula over {counted(len(rows), 'layer shape')}, "
        f"{sum(near)} of them above {NEAR_BOUND:g} d²; beside it the clock, {min(clock):.1f} to {max(clock):.1f} times "
        f"as fast as direct, and the kernel's relative error, {min(errors):.2f} to {max(errors):.2f}"
    )
    quiet = [row for row in rows if not row.measured.load.contended]
    below = bool(quiet) and all(row.measured.speedup_high < row.theoretical_speedup for row in quiet)
    why = because(
        (
            below,
            f"None of the {len(quiet)} that were timed without other processes reaches on the clock what the formula "
            "promises.",
        ),
        # an error is a share of the kernel's norm, and of its energy that error's square
        (min(errors) ** 2 > 0.5, "So low a rank keeps less of the kernel's energy than it drops."),
    )
    return Verdict(together(near), found, rule, why)
