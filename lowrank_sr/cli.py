"""The command line: arguments in, one call out."""

import argparse
import sys
from pathlib import Path

from lowrank_sr import __version__
from lowrank_sr.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 2 after bad input (said in a sentence on stderr) or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        from lowrank_sr.compiling import announced
        from lowrank_sr.threads import limited

        with announced(), limited(getattr(options, "threads", None)):
            return options.run(options) or 0
    except InputError as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `lowrank-sr info | head`
        sys.stderr.close()
        return 141


def _complain(message: object) -> None:
    print(f"lowrank-sr: {message}", file=sys.stderr)


def _upscale(options: argparse.Namespace) -> int:
    from lowrank_sr.upscale import targets, upscale_file

    net = _load(options.weights, options)
    pairs, failed = targets(options.inputs, options.output, net.scale), 0
    for source, target in pairs:
        try:
            upscale_file(net, source, target)
            print(target)
        except InputError as error:
            _complain(error)
            failed += 1
    if failed and len(pairs) > 1:
        _complain(f"{len(pairs) - failed} of {len(pairs)} pictures enlarged, {failed} failed")
    return 2 if failed else 0


def _convert(options: argparse.Namespace) -> None:
    import numpy as np

    _load(options.input, options).save(options.output, getattr(np, options.dtype))


def _info(options: argparse.Namespace) -> None:
    from lowrank_sr.info import describe, summary

    description = describe(_load(options.weights, options), _name(options.weights))
    _report(summary(description), description, options.json)


def _evaluate(options: argparse.Namespace) -> None:
    from lowrank_sr.evaluate import evaluate, summary
    from lowrank_sr.resources import IMAGES

    networks = {_name(path): _load(path, options) for path in options.weights or [None]}
    rows = evaluate(networks, options.data or IMAGES)
    _report(summary(rows), rows, options.json)


def _load(path: Path | None, options: argparse.Namespace):
    from lowrank_sr.resources import WEIGHTS
    from lowrank_sr.rrdbnet import load

    return load(path or WEIGHTS, options.method)


def _name(path: Path | None) -> str:
    return path.name if path else "bundled"


def _report(text: str, data: object, json_path: Path | None) -> None:
    from lowrank_sr.files import write_json

    print(text)
    if json_path is not None:
        write_json(json_path, data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowrank-sr", description="ESRGAN super-resolution on a CPU, without a framework."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument(
            "--method",
            default="auto",
            help="how dense layers are computed: direct, im2col, kn2row, winograd, or auto, the fastest (the default)",
        )
        added.add_argument(
            "--threads", metavar="N", help="threads to compute on (default: LOWRANK_SR_THREADS, or all cores)"
        )
        return added

    bundled = "default: the bundled network"
    upscale = command("upscale", _upscale, "Enlarge pictures; NAME.jpg becomes NAME_x4.png.")
    upscale.add_argument("inputs", nargs="+", metavar="INPUT", help="picture files, and folders of pictures")
    upscale.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="where to write (default: beside each input)",
    )
    upscale.add_argument("--weights", type=Path, metavar="W", help=f"weights file or checkpoint ({bundled})")

    info = command("info", _info, "Print a network: layers, shapes, parameters, FLOPs.")
    info.add_argument(
        "weights",
        nargs="?",
        type=Path,
        metavar="WEIGHTS",
        help=f"weights file or checkpoint ({bundled})",
    )

    evaluate = command(
        "evaluate", _evaluate, "Print PSNR and SSIM of networks on pictures, with bicubic for orientation."
    )
    evaluate.add_argument(
        "weights",
        nargs="*",
        type=Path,
        metavar="WEIGHTS",
        help=f"weights files or checkpoints ({bundled})",
    )
    evaluate.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="pictures, or pairs NAME_HR.png and NAME_LR.png (default: the bundled ones)",
    )

    convert = commands.add_parser("convert", help="Turn a checkpoint, .pth or .safetensors, into a weights file, .npz.")
    convert.set_defaults(run=_convert, method="auto")
    convert.add_argument("input", type=Path, metavar="IN", help="checkpoint of an ESRGAN generator")
    convert.add_argument("output", type=Path, metavar="OUT.npz", help="weights file to write")
    convert.add_argument("--dtype", choices=["float16", "float32"], default="float32", help="(default: %(default)s)")

    for reporting in (info, evaluate):
        reporting.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE as well")
    return parser
