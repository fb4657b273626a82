"""What a compression changed: a table, and the speed-up that arrives beside the one that was promised."""

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.auto import AUTO
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import progress, table

_TIMING_SIDE = 64  # pixels, of the image that both networks are timed with
_TIMING_ROUNDS = 7
_FASTER = 1.05  # less is within what two runs of one network differ by
_UNSAFE = 1.0  # of a block: its mean would be nearer
_INSTEAD = {
    "flops": "--target multiplications --speedup 1.4",
    "multiplications": "--target measured --speedup 1.4",
    "measured": "a larger --speedup",
}


def describe(net: RRDBNet, small: RRDBNet, file: Path) -> dict[str, Any]:
    """`small.meta["compression"]`, its totals with speed-ups that are measured, `bytes_before` and `bytes_after`.

    `measured_speedup` is that over the dense network by its best exact method, `speedup_over_direct` that over direct
    convolution: of the median times of 64 x 64 pixels, the networks in turn. Bytes are those of the weights files that
    `RRDBNet.save` writes, in float32: `file` is that of `small`.
    """
    seconds = _seconds({"direct": net.with_method("direct"), "exact": net.with_method(AUTO), "small": small})
    record: dict[str, Any] = small.meta["compression"]
    totals = record["totals"] | {
        "measured_speedup": seconds["exact"] / seconds["small"],
        "speedup_over_direct": seconds["direct"] / seconds["small"],
        "bytes_before": _bytes_on_disk(net),
        "bytes_after": file.stat().st_size,
    }
    return record | {"totals": totals}


def _seconds(networks: dict[str, RRDBNet]) -> dict[str, float]:
    """The median time of each network, by the same names."""
    channels = networks["small"].architecture.image_channels
    image = np.random.default_rng(0).random((_TIMING_SIDE, _TIMING_SIDE, channels), dtype=np.float32)
    runs = {name: partial(each, image) for name, each in networks.items()}
    with progress(len(runs) * _TIMING_ROUNDS, "timing", "run") as bar:
        times = interleaved(runs, _TIMING_ROUNDS, report=bar.update)
    return {name: statistics.median(each) for name, each in times.items()}


def _bytes_on_disk(net: RRDBNet) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        net.save(path)
        return path.stat().st_size


def summary(description: dict[str, Any]) -> str:
    """`describe`'s result as text."""
    rows = [
        [
            layer["name"],
            " x ".join(map(str, layer["shape"])),
            _cell(layer["condition"], "{:.4g}", "inf"),
            _cell(layer["rank"], "{}", "dense"),
            _cell(layer["error"], "{:.4f}", "-"),
            f"{layer['flops_before']:,.0f}",
            f"{layer['flops_after']:,.0f}",
        ]
        for layer in description["layers"]
    ]
    header = ["layer", "N x C x d", "condition", "rank", "error", "FLOPs/pixel", "after"]
    totals = (
        "FLOPs for each pixel of the input: {flops_before:,.0f}, after {flops_after:,.0f}\n"
        "multiplications that are done: {multiplications_before:,.0f}, after {multiplications_after:,.0f}\n"
        "speed-up: {theoretical_speedup:.2f} in theory, {multiplications_speedup:.2f} by multiplications\n"
        "measured: {measured_speedup:.2f} over the best exact method, {speedup_over_direct:.2f} over direct\n"
        "bytes on disk, as float32: {bytes_before:,}, after {bytes_after:,}"
    ).format(**description["totals"])
    if description["vanished"]:
        totals += f"\ndense blocks that have vanished, being worth less than they cost: {len(description['vanished'])}"
    return "\n\n".join([table(header, rows), totals, *_on_other_pictures(description), *_advice(description)])


def _on_other_pictures(description: dict[str, Any]) -> list[str]:
    """How far the blocks are from the dense ones on crops that were not fitted to, and which of them are unsafe."""
    errors: dict[str, float] | None = description.get("held_out")
    if not errors:
        return []
    least, most = min(errors.values()), max(errors.values())
    lines = [f"RRDBs err by {least:.0%} to {most:.0%} of their output on crops that were not fitted to."]
    if unsafe := [name for name, error in errors.items() if error > _UNSAFE]:
        lines.append(f"Unsafe: {', '.join(unsafe)}, more than the output varies. Try more pictures, by --calibrate.")
    return ["\n".join(lines)]


def _advice(description: dict[str, Any]) -> list[str]:
    """What to do where the network is not faster than the dense one by its best exact method."""
    if description["totals"]["measured_speedup"] >= _FASTER:
        return []
    option = _INSTEAD[description["target"]]
    return [f"It is not faster than the dense network by its best exact method, which loses nothing. Try {option}."]


def _cell(value: float | None, template: str, missing: str) -> str:
    return missing if value is None else template.format(value)
