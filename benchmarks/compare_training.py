"""One step of training, forwards, backwards and the optimiser, beside PyTorch's on the same network, and its memory.

    python benchmarks/compare_training.py --rounds 5

Contestants are timed in turn, in one process, on the same threads: psnr-small dense, its SVD x4 form, and the
dense network in PyTorch, float32, in both of its layouts; ratios are to the faster of the two. Quartiles stand beside
the medians. `peak extra` is what one step, with everything that it keeps
between steps, needs above what the process held before.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.machine.cpu import describe
from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.study.measure.speed import quartiles, ratios
from lowrank_sr.text import table
from lowrank_sr.training import muon
from lowrank_sr.training.crops import Batch
from lowrank_sr.training.loss import loss_and_gradient
from lowrank_sr.training.parameters import arrays_of, shapes_of, to_layers, to_vector
from lowrank_sr.training.walk import Walk

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # torch_rrdbnet: the network as its authors wrote it

RATE = 1e-4
CLIP = 1.0  # of the gradient's norm
PYTORCH = ("PyTorch", "PyTorch, channels last")


def ours(net: lsr.RRDBNet, batch: Batch) -> Callable[[], None]:
    """A step of this package's, with Muon."""
    state, shapes = muon.start(to_vector(arrays_of(net.layers))), shapes_of(net.layers)
    walk = Walk(net.architecture, *batch.low.shape[:3])

    def step() -> None:
        nonlocal state
        _, gradient = loss_and_gradient(walk, to_layers(state.weights, net.layers), batch)
        state = muon.step(state, gradient, shapes, RATE)

    return step


def pytorch(net: lsr.RRDBNet, batch: Batch, threads: int, channels_last: bool) -> Callable[[], None]:
    """A step of PyTorch's, with its own Adam and gradient clipping."""
    import torch
    import torch_rrdbnet

    torch.set_num_threads(threads)
    order = torch.channels_last if channels_last else torch.contiguous_format
    twin = torch_rrdbnet.like(net).to(memory_format=order).train()
    optimiser = torch.optim.Adam(twin.parameters(), RATE)
    low, high = (torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=order) for x in batch)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.l1_loss(twin(low), high).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), CLIP)
        optimiser.step()

    return step


def spread(values: list[float], digits: int) -> str:
    """The median with its quartiles."""
    median, low, high = quartiles(values)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crops", type=int, default=16)
    parser.add_argument("--side", type=int, default=24, help="of a crop, in pixels of low resolution")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    rng, net = np.random.default_rng(0), lsr.load("psnr-small")
    high_side = net.scale * options.side
    batch = Batch(
        rng.random((options.crops, options.side, options.side, 3), dtype=np.float32),
        rng.random((options.crops, high_side, high_side, 3), dtype=np.float32),
    )
    small = lsr.compress(net, "svd", speedup=4.0, images=())
    with limited(None) as threads:
        makers: dict[str, Callable[[], Callable[[], None]]] = {
            "dense": lambda: ours(net, batch),
            "SVD x4": lambda: ours(small, batch),
            PYTORCH[0]: lambda: pytorch(net, batch, threads, channels_last=False),
            PYTORCH[1]: lambda: pytorch(net, batch, threads, channels_last=True),
        }
        runs = {name: make() for name, make in makers.items()}
        times = interleaved(runs, options.rounds)
        del runs
        memory = {name: peak_extra_bytes(lambda make=make: make()()) for name, make in makers.items()}
    best = min(PYTORCH, key=lambda name: quartiles(times[name])[0])
    print({key: describe()[key] for key in ("cpu", "threads", "simd_bits")})
    rows = [
        [
            name,
            spread(seconds, 3),
            spread(ratios(times[best], seconds), 2),
            spread(ratios(times["dense"], seconds), 2),
            "-" if memory[name] is None else f"{memory[name] / 1e6:.0f}",
        ]
        for name, seconds in times.items()
    ]
    print(table(["step of", "seconds", f"times {best}", "times our dense", "peak extra, MB"], rows))


if __name__ == "__main__":
    main()
