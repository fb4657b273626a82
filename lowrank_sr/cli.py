"""The command line: arguments in, one call out."""

import argparse
import sys
from pathlib import Path

from lowrank_sr._version import __version__
from lowrank_sr.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 2 after bad input (said in a sentence on stderr) or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        from lowrank_sr.commands.announce import announced
        from lowrank_sr.machine.threads import limited

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
    from lowrank_sr.commands.upscale import targets, upscale_file

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
    from lowrank_sr.commands.info import describe, summary

    description = describe(_load(options.weights, options), _name(options.weights))
    _report(summary(description), description, options.json)


def _evaluate(options: argparse.Namespace) -> None:
    from lowrank_sr.commands.evaluate import evaluate, summary
    from lowrank_sr.resources import IMAGES

    paths = options.weights or [None]
    names = [_name(path) for path in paths]
    if len(set(names)) < len(names):  # files of one name in several folders
        names = list(map(str, paths))
    networks = {name: _load(path, options) for name, path in zip(names, paths, strict=True)}
    rows = evaluate(networks, options.data or IMAGES)
    _report(summary(rows), rows, options.json)


def _compress(options: argparse.Namespace) -> None:
    from lowrank_sr.commands.compress import compress_to
    from lowrank_sr.commands.compress_report import summary

    rules = ("rank", "energy", "condition", "speedup", "max_drop", "select_condition", "layers", "seed", "target")
    description = compress_to(
        options.output,
        _load(options.weights, options),
        options.factors,
        options.calibrate,
        options.calibrated,
        **{rule: getattr(options, rule) for rule in rules},
    )
    _report(summary(description), description, options.json)


def _study(options: argparse.Namespace) -> None:
    from lowrank_sr.study.run import study, summary

    results = study(
        options.output,
        weights=options.weights,
        data=options.data,
        quick=options.quick,
        full_size=options.full_size,
        methods=options.methods,
        seed=options.seed,
    )
    print(summary(results, options.output))


def _plot_benchmarks(options: argparse.Namespace) -> None:
    from lowrank_sr.study.report.benchmarks import plot_benchmarks

    print(plot_benchmarks(options.file, options.output))


def _load(path: Path | None, options: argparse.Namespace):
    from lowrank_sr.network.rrdbnet import load
    from lowrank_sr.resources import WEIGHTS

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

    def command(name: str, run, text: str, dense: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run, method="auto")
        if dense:
            added.add_argument(
                "--method",
                default="auto",
                help="how layers are computed: direct, im2col, kn2row, winograd, or auto, the fastest (the default)",
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

    compress = command(
        "compress", _compress, "Factorise the layers of a network, fitted to what they see.", dense=False
    )
    compress.add_argument(
        "weights", nargs="?", type=Path, metavar="WEIGHTS", help=f"weights file or checkpoint ({bundled})"
    )
    compress.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.npz", help="weights file to write")
    compress.add_argument(
        "--method",
        dest="factors",
        choices=["svd", "cp"],
        default="svd",
        help="the pair d x 1, 1 x d, or the four of CP (default: %(default)s)",
    )
    rules = compress.add_argument_group("how far, exactly one").add_mutually_exclusive_group(required=True)
    rules.add_argument("--rank", type=int, metavar="K", help="the same rank for every layer")
    rules.add_argument("--energy", type=float, metavar="E", help="a fraction of each kernel's energy")
    rules.add_argument("--condition", type=float, metavar="KAPPA", help="a condition number for each kernel")
    rules.add_argument("--speedup", type=float, metavar="S", help="of the whole network")
    rules.add_argument("--max-drop", type=float, metavar="DB", help="PSNR lost on the calibration pictures, in dB")
    compress.add_argument(
        "--select-condition", type=float, metavar="T", help="only layers with a condition number above this"
    )
    compress.add_argument(
        "--layers", default="*", metavar="GLOB", help="only layers of such names (default: all but first and last)"
    )
    pictures = compress.add_mutually_exclusive_group()
    pictures.add_argument(
        "--calibrate", type=Path, metavar="FOLDER", help="high-resolution photographs (default: the bundled ones)"
    )
    pictures.add_argument(
        "--no-calibration", dest="calibrated", action="store_false", help="factors and ranks of the kernels alone"
    )
    compress.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")
    compress.add_argument(
        "--target",
        choices=["flops", "measured"],
        default="flops",
        help="count FLOPs, or time the layers on this machine (default: %(default)s)",
    )

    study = command(
        "study", _study, "Measure the poster's table, figures and claims again; write a report.", dense=False
    )
    study.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report"),
        metavar="FOLDER",
        help="report.html, report.md, results.json and figures; an interrupted study goes on (default: %(default)s)",
    )
    study.add_argument("--weights", type=Path, metavar="W", help=f"weights file or checkpoint ({bundled})")
    study.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="pictures, or pairs NAME_HR.png and NAME_LR.png (default: the bundled ones)",
    )
    study.add_argument("--quick", action="store_true", help="fewer pictures, points and rounds: under 3 minutes")
    study.add_argument("--full-size", action="store_true", help="time ESRGAN's 23 blocks too, with random weights")
    study.add_argument(
        "--methods",
        nargs="+",
        metavar="M",
        help="some of direct, im2col, kn2row, winograd, svd, cp (default: all; direct is always measured)",
    )
    study.add_argument("--seed", type=int, default=0, metavar="N", help="(default: %(default)s)")

    plot = commands.add_parser("plot-benchmarks", help="Draw FLOPs against time from a pytest-benchmark JSON file.")
    plot.set_defaults(run=_plot_benchmarks)
    plot.add_argument("file", type=Path, metavar="FILE.json", help="written by pytest --benchmark-json")
    plot.add_argument(
        "-o", "--output", type=Path, metavar="FIGURE", help=".png, .svg or .pdf (default: FILE.png beside it)"
    )

    for reporting in (info, evaluate, compress):
        reporting.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE as well")
    return parser
