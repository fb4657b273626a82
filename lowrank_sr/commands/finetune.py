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
from lowrank_sr.network.enlarge import enlarge
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image
from lowrank_sr.pictures.metrics import fidelity
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import progress, table
from lowrank_sr.training import finetune, folder, parts
from lowrank_sr.training.finetune import State
from lowrank_sr.training.length import Length, checked_length
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
    length.add_argument("--steps", type=int, metavar="N", help=f"of all layers, {finetune.CROPS} crops each")
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
        checked_length(options.steps, options.minutes),
        options.seed,
        None if options.teacher is None else load(options.teacher),
        options.validate,
    )
    _, numbers = finetune_to(request, load(options.weights), options.resume)
    report(summary(numbers["curve"], network_name(options.weights)), numbers, options.json)


def state_of(output: Path) -> Path:
    """The file that keeps the state of a run until it has ended."""
    return output.with_suffix(".state.npz")


def finetune_to(request: Request, net: RRDBNet, resume: bool = False) -> tuple[RRDBNet, dict[str, Any]]:
    """Fine-tune `net` into the weights file `request.output`; return the network, and its record and curve.

    Every minute of training its PSNR is measured and the state saved, to OUT.state.npz. After Ctrl-C that file has what
    was reached, `request.output` the last network that was not further from the target than `net`, and the
    KeyboardInterrupt goes on to the caller.

    Raises InputError as `training.finetune.finetune` does, where `request.output` cannot be written, and for a state of
    another run.
    """
    check_weights_output(request.output)
    finetune.check_networks(net, request.teacher)
    validation = Validation.read(request, net.scale)
    pictures = folder.read(folder.choose(request.photos), net.scale, finetune.SIDE, request.teacher is not None)
    about = finetune.about(pictures, request.teacher, request.length, request.seed)
    run_of = {**about, **identity(net, request.teacher)}
    state_file = state_of(request.output)
    start, curve = load_state(state_file, run_of) if resume else (finetune.first_state(net, request.seed), [])
    state = measured = checked = start  # measured: the last state whose PSNR is known
    back = finetune.with_first_weights(start)._replace(parts=0)
    good = start if start.nearer else back
    with progress(1, "finetune", "run") as bar:

        def measure() -> None:
            nonlocal measured
            curve.append(validation.row(state, finetune.result(net, state, about)))
            bar.write(_line(curve[-1]), file=sys.stderr)
            measured = state
            save_state(state_file, state, run_of, curve)

        try:
            if not resume:
                measure()
            for state in finetune.training(net, pictures, request.teacher, request.length, request.seed, start):
                bar.update(min(1.0, finetune.done(state, request.length, net, request.teacher)) - bar.n)
                bar.set_postfix_str(_now(state, net))
                checked = state if state.checked else checked
                good = state if state.nearer else good
                if state.checked and state.seconds - measured.seconds >= PAUSE:
                    measure()
            if state is not measured:
                measure()
        except KeyboardInterrupt:
            save_state(state_file, checked, run_of, curve)
            if good is not back or not request.output.exists():  # a run before this one may have written a better one
                finetune.result(net, good, about).save(request.output)
            raise
    tuned = finetune.result(net, state, about)
    tuned.save(request.output)
    state_file.unlink(missing_ok=True)
    return tuned, {"finetuning": tuned.meta["finetuning"], "curve": curve}


class Validation(NamedTuple):
    """Pictures at both resolutions, and what the teacher, where there is one, makes of those of low resolution."""

    pairs: Sequence[tuple[Image, Image]]
    references: Sequence[np.ndarray]

    @classmethod
    def read(cls, request: Request, scale: int) -> "Validation":
        """Those of the folder that is asked for; raises InputError as `find_pairs` does."""
        pairs = [pair.read_images(scale) for pair in find_pairs(request.validate)]
        teacher = request.teacher
        return cls(pairs, [] if teacher is None else [enlarge(teacher, low.pixels) for low, _ in pairs])

    def row(self, state: State, net: RRDBNet) -> Row:
        """A point of the curve: mean fidelity to the teacher and PSNR on luma, and the loss of the step before it."""
        estimates = [enlarge(net, low.pixels) for low, _ in self.pairs]
        quality = [
            measure_quality(estimate, high, net.scale)
            for estimate, (_, high) in zip(estimates, self.pairs, strict=True)
        ]
        close = [fidelity(*pictures) for pictures in zip(estimates, self.references, strict=False)]
        return {
            "parts": state.parts,
            "step": state.muon.steps,
            "seconds": round(state.seconds, 1),
            "loss": state.loss,
            "fidelity": float(np.mean(close)) if close else None,
            "psnr_y": float(np.mean([each["psnr_y"] for each in quality])),
        }


def _now(state: State, net: RRDBNet) -> str:
    """What the bar says."""
    if state.parts > 0 and state.muon.steps == 0:
        return f"part {state.parts} of {parts.count(net.architecture)} alone, fidelity {state.fidelity:.2f} dB"
    return f"loss {state.loss:.4f}, fidelity {state.fidelity:.2f} dB"


def _line(row: Row) -> str:
    close = "" if row["fidelity"] is None else f"fidelity {row['fidelity']:.2f} dB, "
    return f"{_place(row)}, {row['seconds'] / 60:.1f} min: {close}PSNR Y {row['psnr_y']:.3f} dB"


def _place(row: Row) -> str:
    """Where a run is: at a step of all layers together, or at a part alone before that."""
    return f"part {row['parts']}" if row["parts"] and not row["step"] else f"step {row['step']}"


def summary(curve: Sequence[Row], name: str) -> str:
    """The curve as a table, and what was gained."""
    measures = {"fidelity": "fidelity (dB)", "psnr_y": "PSNR Y (dB)"}
    measures = {key: title for key, title in measures.items() if curve[0][key] is not None}
    rows = [
        [_place(row), f"{row['seconds'] / 60:.1f}", *(f"{row[measure]:.3f}" for measure in measures)] for row in curve
    ]
    gained = ", ".join(
        f"{title.removesuffix(' (dB)')} {curve[-1][key] - curve[0][key]:+.3f} dB" for key, title in measures.items()
    )
    return f"{table(['after', 'minutes', *measures.values()], rows)}\n\n{name}: {gained}"
