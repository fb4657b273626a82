"""The command `finetune`: a network and photographs in, the same network with better weights out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.commands.options import (
    NETWORK_HELP,
    add_json,
    add_seed,
    add_threads,
    check_weights_output,
    given_path,
    network_name,
    report,
)
from lowrank_sr.errors import InputError
from lowrank_sr.network.enlarge import enlarge
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import progress, table
from lowrank_sr.training import finetune, folder
from lowrank_sr.training.finetune import Length, State
from lowrank_sr.training.state import identity, load_state, save_state

PAUSE = 60  # seconds of training between two validations, after each of which the state is saved

Row = dict[str, Any]


class Request(NamedTuple):
    """What is asked for: `photos` and `validate` are folders."""

    output: Path
    photos: Path
    length: Length
    seed: int = 0
    teacher: RRDBNet | None = None
    validate: Path = IMAGES


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_threads(parser)
    parser.add_argument("weights", type=given_path, metavar="WEIGHTS", help=f"to begin with: {NETWORK_HELP}")
    parser.add_argument(
        "-o", "--output", type=given_path, required=True, metavar="OUT.npz", help="weights file to write"
    )
    add_photos(parser, required=True)
    parser.add_argument(
        "--teacher",
        type=given_path,
        metavar="DENSE",
        help=f"towards what this network makes of the pictures, which may then be of low resolution: {NETWORK_HELP}",
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, metavar="M", help="of training on this machine")
    length.add_argument("--steps", type=int, metavar="N", help=f"of {finetune.CROPS} crops")
    add_seed(parser, "the crops")
    parser.add_argument(
        "--validate",
        type=given_path,
        default=IMAGES,
        metavar="FOLDER",
        help="pictures to measure on (default: the bundled)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT.state.npz, where a run was interrupted")
    add_json(parser)


def add_photos(parser: argparse._ActionsContainer, required: bool = False) -> None:
    """Add --photos."""
    parser.add_argument(
        "--photos", type=given_path, required=required, metavar="FOLDER", help="high-resolution photographs to train on"
    )


def run(options: argparse.Namespace) -> None:
    """Fine-tune the network and say what that gained."""
    request = Request(
        options.output,
        options.photos,
        finetune.checked_length(options.steps, options.minutes),
        options.seed,
        None if options.teacher is None else load(options.teacher),
        options.validate,
    )
    _, numbers = finetune_to(request, load(options.weights), options.resume)
    report(summary(numbers["curve"], network_name(options.weights)), numbers, options.json)


def finetune_to(request: Request, net: RRDBNet, resume: bool = False) -> tuple[RRDBNet, dict[str, Any]]:
    """Fine-tune `net` into the weights file `request.output`; return the network, and its record and curve.

    Every minute of training its PSNR is measured and the state saved, to OUT.state.npz. After Ctrl-C both files have
    what was reached, and the KeyboardInterrupt goes on to the caller.

    Raises InputError as `training.finetune.finetune` does, after writing what was last measured where a run diverges;
    where `request.output` cannot be written; and for a state of another run.
    """
    check_weights_output(request.output)
    finetune.check_networks(net, request.teacher)
    pairs = [pair.read_images(net.scale) for pair in find_pairs(request.validate)]
    pictures = folder.read(folder.choose(request.photos), net.scale, finetune.SIDE, request.teacher is not None)
    about = finetune.about(pictures, request.teacher, request.length, request.seed)
    run_of = {**about, **identity(net, request.teacher)}
    state_file = request.output.with_suffix(".state.npz")
    start, curve = load_state(state_file, run_of) if resume else (finetune.first_state(net, request.seed), [])
    state = measured = start  # measured: the last state whose PSNR is known
    with progress(1, "finetune", "run") as bar:

        def measure() -> None:
            nonlocal measured
            curve.append(_row(state, finetune.result(net, state, about), net.scale, pairs))
            bar.write(_line(curve[-1]), file=sys.stderr)
            measured = state
            save_state(state_file, state, run_of, curve)

        try:
            if not resume:
                measure()
            for state in finetune.training(net, pictures, request.teacher, request.length, start):
                bar.update(min(1.0, request.length.done(state)) - bar.n)
                bar.set_postfix_str(f"loss {state.loss:.4f}")
                if state.seconds - measured.seconds >= PAUSE:
                    measure()
            if state is not measured:
                measure()
        except InputError:
            finetune.result(net, measured, about).save(request.output)
            raise
        except KeyboardInterrupt:
            save_state(state_file, state, run_of, curve)
            finetune.result(net, state, about).save(request.output)
            raise
    tuned = finetune.result(net, state, about)
    tuned.save(request.output)
    state_file.unlink(missing_ok=True)
    return tuned, {"finetuning": tuned.meta["finetuning"], "curve": curve}


def _row(state: State, net: RRDBNet, scale: int, pairs: Sequence[tuple[Image, Image]]) -> Row:
    """A point of the curve: mean PSNR on luma, and the loss of the step before it.

    Raises InputError where the network gives values that are not finite.
    """
    values = []
    for low, high in pairs:
        estimate = enlarge(net, low.pixels)
        if not np.isfinite(estimate).all():
            raise InputError(f"step {state.adam.steps}: the output is not finite: the run has diverged")
        values.append(measure_quality(estimate, high, scale)["psnr_y"])
    return {
        "step": state.adam.steps,
        "seconds": round(state.seconds, 1),
        "loss": state.loss,
        "psnr_y": float(np.mean(values)),
    }


def _line(row: Row) -> str:
    return f"step {row['step']}, {row['seconds'] / 60:.1f} min: PSNR Y {row['psnr_y']:.3f} dB"


def summary(curve: Sequence[Row], name: str) -> str:
    """The curve as a table, and what was gained."""
    rows = [[str(row["step"]), f"{row['seconds'] / 60:.1f}", f"{row['psnr_y']:.3f}"] for row in curve]
    gained = curve[-1]["psnr_y"] - curve[0]["psnr_y"]
    return f"{table(['step', 'minutes', 'PSNR Y (dB)'], rows)}\n\n{name}: {gained:+.3f} dB"
