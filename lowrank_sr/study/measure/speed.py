"""Seconds of networks, taken side by side."""

import statistics
from collections.abc import Callable, Mapping

import numpy as np

from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.rrdbnet import RRDBNet


def noise(side: int) -> np.ndarray:
    """A square picture: the time of a convolution does not depend on what it sees."""
    return np.random.default_rng(0).random((side, side, 3), dtype=np.float32)


def compare(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, dict]:
    """Median seconds and speed-up over the first of `runs`, each with its quartiles, from interleaved rounds.

    A speed-up is the median of the ratios within each round: what slows the machine for a while slows both.
    """
    times = interleaved(runs, rounds)
    first = next(iter(times.values()))
    figures = {}
    for name, taken in times.items():
        ratios = [reference / own for reference, own in zip(first, taken, strict=True)]
        figures[name] = {**_quartiles("seconds", taken), **_quartiles("speedup", ratios)}
    return figures


def _quartiles(name: str, values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {name: median, f"{name}_low": low, f"{name}_high": high}


def compare_networks(compared: Mapping[str, RRDBNet], side: int, rounds: int) -> dict[str, dict]:
    """How long each network takes for a square picture, and its FLOPs by the paper's formulas; the first is dense."""
    image = noise(side)
    measured = compare({name: lambda net=net: net(image) for name, net in compared.items()}, rounds)
    dense = next(iter(compared.values())).flops(side, side)
    rows = {}
    for name, net in compared.items():
        work = net.flops(side, side)
        effective = dense / measured[name]["seconds"] / 1e9
        figures = {"gflop": work / 1e9, "theoretical_speedup": dense / work}
        rows[name] = {**figures, "measured": {**measured[name], "gflops": effective}}
    return rows
