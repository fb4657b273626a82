"""What a compression changed: a table, and the speed-up that arrives beside the one that was promised."""

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import progress, table

_TIMING_SIDE = 64  # pixels, of the image that both networks are timed with
_TIMING_ROUNDS = 7


def describe(net: RRDBNet, small: RRDBNet, file: Path) -> dict[str, Any]:
    """`small.meta["compression"]`, its totals with `measured_speedup`, `bytes_before` and `bytes_after`.

    The speed-up is that of the median times of 64 x 64 pixels, the two networks in turn; bytes are those of the weights
    files that `RRDBNet.save` writes, in float32: `file` is that of `small`.
    """
    shape = (_TIMING_SIDE, _TIMING_SIDE, net.architecture.image_channels)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    runs = {"dense": partial(net, image), "small": partial(small, image)}
    with progress(len(runs) * _TIMING_ROUNDS, "timing", "run") as bar:
        times = interleaved(runs, _TIMING_ROUNDS, report=bar.update)
    record: dict[str, Any] = small.meta["compression"]
    totals = record["totals"] | {
        "measured_speedup": statistics.median(times["dense"]) / statistics.median(times["small"]),
        "bytes_before": _bytes_on_disk(net),
        "bytes_after": file.stat().st_size,
    }
    return record | {"totals": totals}


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
        "speed-up: {theoretical_speedup:.2f} in theory, {measured_speedup:.2f} measured\n"
        "bytes on disk, as float32: {bytes_before:,}, after {bytes_after:,}"
    ).format(**description["totals"])
    return f"{table(header, rows)}\n\n{totals}"


def _cell(value: float | None, template: str, missing: str) -> str:
    return missing if value is None else template.format(value)
