"""The table of the README: every method and every peer on ESRGAN's network, in one process, rounds interleaved.

python benchmarks/compare.py [--sizes 96 192] [--rounds 5] [--names ...] [--memory-size 512] [--json FILE]

Seconds are medians. Peak memory is that of a process of its own for each contestant, everything included:
interpreter, libraries, weights and the picture. Peers that are not installed are left out by name.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

import numba
import numpy as np
from peers import PEERS

import lowrank_sr as lsr
from lowrank_sr.conv import AUTO, METHODS
from lowrank_sr.machine import describe
from lowrank_sr.text import progress, table
from lowrank_sr.timing import interleaved

OURS = (AUTO, *METHODS)


def contestant(name, net, size):
    """The function from image to image that goes by `name`."""
    if name in OURS:
        return net.with_method(name)
    return PEERS[name](net, size, size, numba.get_num_threads())


def picture(size):
    """A square image of noise: the time of a convolution does not depend on what it sees."""
    return np.random.default_rng(0).random((size, size, 3), dtype=np.float32)


def seconds(names, net, size, rounds):
    """Median seconds by name."""
    image = picture(size)
    runs = {}
    for name in names:
        try:
            run = contestant(name, net, size)
        except ImportError as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
            continue
        runs[name] = lambda run=run: run(image)
    with progress(len(runs) * rounds, f"{size} x {size}", "run") as bar:
        times = interleaved(runs, rounds, report=bar.update)
    return {name: statistics.median(taken) for name, taken in times.items()}


def peak_memory(name, size, blocks):
    """Bytes that a process of its own needs at most to enlarge one picture, interpreter and weights included."""
    command = [sys.executable, __file__, "--sizes", str(size), "--blocks", str(blocks), "--only", name]
    run = subprocess.run(command, capture_output=True, text=True)
    return int(run.stdout) if run.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[96, 192], help="sides of the pictures (default: 96 192)"
    )
    parser.add_argument("--blocks", type=int, default=23, help="num_block (default: %(default)s, ESRGAN's)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--names", nargs="+", default=[*OURS, *PEERS], metavar="NAME", help="methods and peers (default: all)"
    )
    parser.add_argument("--memory-size", type=int, help="measure peak memory at this size too")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # in a process of its own: run once, print the peak
    options = parser.parse_args()
    net = lsr.RRDBNet.random(num_block=options.blocks)
    if options.only:
        contestant(options.only, net, options.sizes[0])(picture(options.sizes[0]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
        return

    rows = []
    for size in options.sizes:
        medians = seconds(options.names, net, size, options.rounds)
        for name, median in medians.items():
            row = {"size": size, "name": name, "seconds": median, "gflops": net.flops(size, size) / median / 1e9}
            if "PyTorch channels last" in medians:
                row["times_pytorch"] = min(medians[n] for n in PEERS if n in medians and "PyTorch" in n) / median
            rows.append(row)
    if options.memory_size:
        for name in dict.fromkeys(row["name"] for row in rows):
            peak = peak_memory(name, options.memory_size, options.blocks)
            rows.append({"size": options.memory_size, "name": name, "peak_bytes": peak})

    def cell(row, key, form):
        return form.format(row[key]) if row.get(key) is not None else "-"

    header = ["", "size", "seconds", "GFLOP/s", "times PyTorch", "peak MB"]
    print(json.dumps(describe(), indent=2))
    print(
        table(
            header,
            [
                [
                    row["name"],
                    f"{row['size']} x {row['size']}",
                    cell(row, "seconds", "{:.3f}"),
                    cell(row, "gflops", "{:.0f}"),
                    cell(row, "times_pytorch", "{:.2f}"),
                    f"{row['peak_bytes'] / 1e6:.0f}" if row.get("peak_bytes") else "-",
                ]
                for row in rows
            ],
        )
    )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": describe(), "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
