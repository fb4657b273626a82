"""The command `compress`: a dense network in, a weights file of factors and its description out."""

import argparse
from pathlib import Path
from typing import Any

from lowrank_sr.commands.compress_report import describe, summary
from lowrank_sr.commands.finetune import Request, add_photos, finetune_to, state_of
from lowrank_sr.commands.finetune import summary as finetune_summary
from lowrank_sr.commands.options import (
    WEIGHTS_HELP,
    add_json,
    add_seed,
    add_threads,
    check_weights_output,
    given_path,
    load_network,
    report,
)
from lowrank_sr.compression import calibration
from lowrank_sr.compression.network import compress
from lowrank_sr.compression.prices import TARGETS
from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.training.length import checked_length

RULES = ("rank", "energy", "condition", "speedup", "max_drop")
OTHER_ARGUMENTS = ("select_condition", "layers", "seed", "target")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_threads(parser)
    parser.add_argument("weights", nargs="?", type=given_path, metavar="WEIGHTS", help=WEIGHTS_HELP)
    parser.add_argument(
        "-o", "--output", type=given_path, required=True, metavar="OUT.npz", help="weights file to write"
    )
    parser.add_argument(
        "--method",
        dest="form",
        choices=["svd", "cp"],
        default="svd",
        help="the pair d x 1, 1 x d, or the four of CP (default: %(default)s)",
    )
    rules = parser.add_argument_group("compression target (exactly one)").add_mutually_exclusive_group(required=True)
    rules.add_argument("--rank", type=int, metavar="K", help="the same rank for every layer")
    rules.add_argument("--energy", type=float, metavar="E", help="a fraction of each kernel's energy")
    rules.add_argument("--condition", type=float, metavar="KAPPA", help="a condition number for each kernel")
    rules.add_argument("--speedup", type=float, metavar="S", help="of the whole network, by --target")
    rules.add_argument("--max-drop", type=float, metavar="DB", help="PSNR lost on the calibration pictures, in dB")
    parser.add_argument(
        "--select-condition", type=float, metavar="T", help="only layers with a condition number above this"
    )
    parser.add_argument(
        "--layers", default="*", metavar="GLOB", help="only layers of such names (default: all but first and last)"
    )
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument(
        "--calibrate", type=given_path, metavar="FOLDER", help="high-resolution photographs (default: the bundled ones)"
    )
    pictures.add_argument(
        "--no-calibration", dest="calibrated", action="store_false", help="factors and ranks from the kernels only"
    )
    add_seed(parser)
    parser.add_argument(
        "--target",
        choices=list(TARGETS),
        default="flops",
        help="count FLOPs by the paper's formulas; or, for a speed-up over the best exact method, count the"
        " multiplications that are really done, or time the layers on this machine (default: %(default)s)",
    )
    tuning = parser.add_argument_group("fine-tune afterwards (give --finetune and --photos)")
    tuning.add_argument(
        "--finetune",
        type=float,
        metavar="MINUTES",
        help="of training towards the dense network: each RRDB alone, the layers after them, then all layers",
    )
    add_photos(tuning)
    tuning.add_argument(
        "--resume",
        action="store_true",
        help="go on where a run was interrupted: with what is in OUT.npz and OUT.state.npz",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Compress the network, fine-tune it where that is asked for, and say what that changed."""
    if (options.finetune is None) != (options.photos is None):
        raise InputError("--finetune and --photos: expected both or neither")
    if options.resume and options.finetune is None:
        raise InputError("--resume: expected --finetune and --photos, with which it goes on")
    length = None if options.finetune is None else checked_length(None, options.finetune)
    dense = load_network(options.weights)
    rules = {name: getattr(options, name) for name in (*RULES, *OTHER_ARGUMENTS)}
    if options.resume and options.output.exists():
        small = _interrupted(options, dense, rules)
    else:
        small = compress_to(options.output, dense, options.form, options.calibrate, options.calibrated, **rules)
    description = describe(dense, small, options.output)
    text = summary(description)
    if length is not None:
        request = Request(options.output, options.photos, length, options.seed, teacher=dense)
        _, numbers = finetune_to(request, small, options.resume and state_of(options.output).exists())
        description |= numbers
        text += "\n\n" + finetune_summary(numbers["curve"], options.output.name)
    report(text, description, options.json)


def _interrupted(options: argparse.Namespace, dense: RRDBNet, rules: dict[str, Any]) -> RRDBNet:
    """The network that a run of the same options was fine-tuning; raises InputError where it is another one's."""
    small = load(options.output)
    record = small.meta.get("compression", {})
    rule = {name: rules[name] for name in RULES if rules[name] is not None}
    asked = {"method": options.form, "rule": rule, "pattern": rules["layers"]}
    asked |= {name: rules[name] for name in ("select_condition", "target", "seed")}
    if "finetuning" in small.meta and not state_of(options.output).exists():
        raise InputError(f"{options.output}: fine-tuned to its end: expected the network of an interrupted run")
    if small.architecture != dense.architecture or any(record.get(name) != value for name, value in asked.items()):
        raise InputError(f"{options.output}: not made by these options: expected the network of an interrupted run")
    return small


def compress_to(
    output: Path, net: RRDBNet, form: str, calibrate: Path | None, calibrated: bool, **rules: Any
) -> RRDBNet:
    """Compress `net` to `form`, svd or cp, into the weights file `output`; return what that gives.

    The pictures are those in folder `calibrate`, the bundled ones where that is None, and none at all where
    `calibrated` is False; `rules` are the other arguments of `compress`.

    Raises InputError as `compress` does, and where `output` cannot be written: before the work where that can be known.
    """
    check_weights_output(output)
    pictures = None  # the bundled ones
    if not calibrated:
        pictures = []
    elif calibrate is not None:
        pictures = calibration.read_pictures(calibrate)
    small = compress(net, form, images=pictures, **rules)
    small.save(output)
    return small
