"""The tables of speed and memory: methods, factorised networks and peers on Real-ESRGAN's network.

    python benchmarks/compare.py [--sizes 96 192] [--rounds 5] [--names ...] [--memory-size 512] [--json FILE]

All in one process, in turn; seconds are medians with their quartiles, and so are the ratios to `auto` and to peers,
which are taken within each round; s/MP are seconds for a megapixel of the result. "SVD x4" and "CP x4" have every
layer of the dense blocks factorised at a theoretical speed-up of 4, and dense layers beside them by `auto`; "whole SVD
x4" and "whole CP x4" have all layers but the first and the last factorised, at ranks in steps of 8 as `compress`
chooses them, of a speed-up of 4 or more. `--names` takes bundled networks, too, by `auto`. The error is the largest
difference from direct convolution over the range of its picture; low-rank networks have other weights, so none. Peak
memory is that of a process of its own for each contestant, everything included: interpreter, libraries, weights and
picture; in a peer's process this package is loaded too, because it reads the weights. Peers that are not installed are
left out by name.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from noise_factors import factorised, wholly_factorised
from peers import PEERS

import lowrank_sr as lsr
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.machine.cpu import describe
from lowrank_sr.machine.threads import limited, thread_count
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.auto import AUTO
from lowrank_sr.resources import DEFAULT_NETWORK, NETWORKS
from lowrank_sr.study.measure.speed import noise, quartiles, ratios
from lowrank_sr.study.technique import DIRECT
from lowrank_sr.text import progress, table

LOW_RANK = ("SVD x4", "CP x4", "whole SVD x4", "whole CP x4")
NAMES = (AUTO, *METHODS, *LOW_RANK, *PEERS)
REFERENCES = (AUTO, "PyTorch channels last", "OpenVINO", "MNN")


def own_network(name, net):
    """The network of one of our own contestants."""
    if name in NETWORKS:
        return lsr.load(name, method=AUTO)
    low_rank = re.fullmatch(r"(whole )?(SVD|CP) x([\d.]+)", name)
    if low_rank is None:
        return net.with_method(name)
    return (wholly_factorised if low_rank[1] else factorised)(net, low_rank[2].lower(), float(low_rank[3]))


def contestant(name, net, size):
    """The function from image to image that goes by `name`."""
    return PEERS[name](net, size, size, thread_count()) if name in PEERS else own_network(name, net)


def speeds(names, net, size, rounds):
    """A row for each contestant: seconds, effective GFLOP/s, how many times as fast as each reference, error.

    Seconds and ratios are (median, lower quartile, upper quartile).
    """
    image, built = noise(size), {}
    for name in names:
        try:
            built[name] = contestant(name, net, size)
        except ImportError as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
    runs, expected = {name: partial(run, image) for name, run in built.items()}, net.with_method(DIRECT)(image)
    with progress(len(runs) * rounds, f"{size} x {size}", "run") as bar:
        times = interleaved(runs, rounds, report=bar.update)
    rows = []
    for name, taken in times.items():
        seconds = quartiles(taken)
        row = {"name": name, "size": size, "seconds": seconds, "gflops": net.flops(size, size) / seconds[0] / 1e9}
        row["seconds a megapixel"] = seconds[0] / ((net.scale * size) ** 2 / 1e6)
        row |= {f"times {other}": quartiles(ratios(times[other], taken)) for other in REFERENCES if other in times}
        if name in (AUTO, *METHODS, *PEERS):
            row["error"] = float(np.abs(runs[name]() - expected).max() / np.ptp(expected))
        else:
            row["theoretical"] = net.flops(size, size) / built[name].flops(size, size)
        rows.append(row)
    return rows


def resolved(net):
    """What `auto` comes to on this machine, in words."""
    methods = dict(net.with_method(AUTO).methods)
    counts = Counter(methods.values())
    if len(counts) == 1:
        return f"auto is {methods.popitem()[1]} in every layer: its row is that method measured a second time"
    return "auto is " + ", ".join(f"{method} in {count} of {len(methods)} layers" for method, count in counts.items())


def peak_memory(name, size, network):
    """Bytes that a process of its own needs at most to enlarge one picture, interpreter and weights included."""
    command = [sys.executable, __file__, "--sizes", str(size), *network, "--only", name]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(printed.splitlines()[-1])  # peers print lines of their own before it


def own_peak():
    """The most bytes that this process has held; getrusage counts what its parent held before exec, too, on Linux."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def cells(row, peaks):
    """A line of the table."""

    def number(key, form):
        return form.format(row[key]) if key in row else "-"

    def spread(key, digits):
        return "{:.{d}f} ({:.{d}f}-{:.{d}f})".format(*row[key], d=digits) if key in row else "-"

    peak = peaks.get(row["name"])
    return [
        row["name"],
        f"{row['size']} x {row['size']}",
        spread("seconds", 3),
        number("seconds a megapixel", "{:.2f}"),
        number("gflops", "{:.0f}"),
        *(spread(f"times {other}", 2) for other in REFERENCES),
        number("theoretical", "{:.2f}"),
        number("error", "{:.0e}"),
        f"{peak / 1e6:.0f}" if peak else "-",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 192], help="of the pictures (default: 96 192)")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="(default: %(default)s)")
    parser.add_argument("--blocks", type=int, help="instead of it one of so many blocks, with random weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--names", nargs="+", default=NAMES, metavar="NAME", help="contestants (default: all)")
    parser.add_argument("--memory-size", type=int, help="measure peak memory at this size too")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # in a process of its own: run once, print the peak
    options = parser.parse_args()
    net = lsr.load(options.network) if options.blocks is None else lsr.RRDBNet.random(num_block=options.blocks)
    if options.only:
        with limited(None):
            run = contestant(options.only, net, options.sizes[0])
            del net  # a peer has weights of its own
            run(noise(options.sizes[0]))
        print(own_peak())
        return

    with limited(None):
        rows = [row for size in options.sizes for row in speeds(options.names, net, size, options.rounds)]
        peaks, machine, words = {}, describe(), resolved(net)
        if options.memory_size:
            names = dict.fromkeys(row["name"] for row in rows)
            network = ["--network", options.network] if options.blocks is None else ["--blocks", str(options.blocks)]
            peaks = {name: peak_memory(name, options.memory_size, network) for name in names}
    print(json.dumps(machine, indent=2))
    header = ["", "size", "seconds", "s/MP", "GFLOP/s", *(f"times {name}" for name in REFERENCES), "in theory", "error"]
    print(table([*header, f"peak MB, {options.memory_size}" if peaks else "peak MB"], [cells(r, peaks) for r in rows]))
    if AUTO in options.names:
        print(words)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "rows": rows, "peak_bytes": peaks}, file, indent=2)


if __name__ == "__main__":
    main()
