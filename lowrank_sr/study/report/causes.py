"""What the ablation of the SVD says of where a loss comes from, in sentences, each with the condition it rests on."""

from lowrank_sr.compression.network import ENDS
from lowrank_sr.study.measure.ablation import UNIFORM
from lowrank_sr.study.measure.low_rank import DENSE_BLOCKS
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.verdict import listed
from lowrank_sr.study.technique import ALL, BIAS, BLOCKS, FITTED, KERNEL, REFERENCE

INVISIBLE = 0.1  # dB: a smaller loss is hard to see, and has no cause worth a sentence
SMALL_SHARE = 0.5  # of a loss: what leaves less than that was most of it


def causes(results: Results) -> list[tuple[bool, str]]:
    """The sentences with their conditions; none where the SVD of all layers loses less than can be seen."""
    dense = results.quality[REFERENCE].psnr_rgb
    rows = [row for row in results.ablation if row.form == "svd" and row.ranks == UNIFORM]
    lost = {(row.layers, row.factors): dense - row.quality.psnr_rgb for row in rows}
    every = lost.get((ALL, KERNEL), 0.0)
    if every < INVISIBLE:
        return []
    blocks, bias, fitted = lost[BLOCKS, KERNEL], lost[ALL, BIAS], lost[ALL, FITTED]
    matched = next(
        dense - (row.quality.psnr_rgb_matched or row.quality.psnr_rgb)
        for row in rows
        if (row.layers, row.factors) == (ALL, KERNEL)
    )
    return [
        (
            blocks < SMALL_SHARE * every,
            f"Most of the loss of the kernels' SVD, {every:.2f} dB, comes from outside the dense blocks: with "
            f"{listed(outside_the_blocks(results))} dense the same ranks lose {_left(blocks)}.",
        ),
        *_alone(results),
        (
            matched < SMALL_SHARE * every,
            "Most of it is a change of brightness and colour: one gain and one offset a channel leave "
            f"{_left(matched)}.",
        ),
        (bias < every, f"A fitted bias leaves {_left(bias)}."),
        (fitted < SMALL_SHARE * every, f"Fitted factors leave {_left(fitted)}."),
    ]


def outside_the_blocks(results: Results) -> list[str]:
    """The layers that may be factorised and are in no dense block, by name."""
    names = (row.name for row in results.condition_numbers.layers)
    return [name for name in names if name not in ENDS and not name.startswith(DENSE_BLOCKS)]


def _alone(results: Results) -> list[tuple[bool, str]]:
    """What layers outside the dense blocks lose alone, beside the worst of those inside."""
    dense = results.quality[REFERENCE].psnr_rgb
    alone = {row.layer: dense - row.quality.psnr_rgb for row in results.alone}
    inside = [value for name, value in alone.items() if name.startswith(DENSE_BLOCKS)]
    worst = max(inside, default=0.0)
    outside = {name: value for name, value in alone.items() if not name.startswith(DENSE_BLOCKS)}
    seen = [f"{name} loses {value:.1f} dB" for name, value in outside.items() if value >= INVISIBLE]
    if not seen or max(outside.values()) <= worst:
        return []
    most = f", the worst layer of the dense blocks {_left(worst)}" if inside else ""
    return [(True, f"Alone, at half its FLOPs, {listed(seen)}{most}.")]


def _left(loss: float) -> str:
    """A loss in dB; what rounds to none or is a gain is nothing."""
    return f"{loss:.2f} dB" if loss >= 0.005 else "nothing"
