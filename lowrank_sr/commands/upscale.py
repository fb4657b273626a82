"""The command `upscale`: picture files in, larger picture files out."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from lowrank_sr.commands.batch import Executor, FileOptions, Job, Outcome, Plan, plan_batch, settings_digest
from lowrank_sr.commands.batch_on_cluster import on_workers
from lowrank_sr.commands.expectation import watched
from lowrank_sr.commands.made import Made
from lowrank_sr.commands.naming import naming
from lowrank_sr.commands.options import (
    WEIGHTS_HELP,
    add_cluster,
    add_method,
    add_threads,
    given_path,
    load_network,
    open_pool,
)
from lowrank_sr.commands.sources import identity
from lowrank_sr.commands.streams import Streams, replaced
from lowrank_sr.commands.upscale_file import run_job, writable_shape
from lowrank_sr.errors import InputError
from lowrank_sr.files import write_json
from lowrank_sr.machine.memory import parse_size
from lowrank_sr.network.channels import check_channels
from lowrank_sr.network.enlarge import Progress
from lowrank_sr.network.manner import Manner
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.transparency import BICUBIC, NETWORK
from lowrank_sr.network.warm_up import warm_up
from lowrank_sr.pictures.formats import SUFFIXES
from lowrank_sr.resources import DEFAULT_NETWORK, SMALL_NETWORK
from lowrank_sr.text import complain, progress, say

_LEAST_OUTSCALE, _MOST_OUTSCALE = 0.01, 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_method(parser)
    add_threads(parser)
    add_cluster(parser)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="pictures, folders with all below them, or - for standard input"
    )
    parser.add_argument("--weights", type=given_path, metavar="W", help=WEIGHTS_HELP)
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory that each process may hold, such as 1GB or 800MB; larger pictures are computed in tiles (default:"
        " 2 GB in addition to the program and its weights, or 80%% of what is free where that is less)",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="what a tile sees of its neighbours; by default as much as the network needs for no value to differ by"
        " more than a step or two of 8 bits from that of the whole picture, measured once on cuts through the"
        " calibration pictures (90 for realesrgan-x4plus, 54 for realesrgan-x4plus-svd, 66 for"
        " realesrgan-x4plus-anime, 12 for psnr-small)",
    )
    parser.add_argument(
        "--alpha",
        choices=[NETWORK, BICUBIC],
        default=NETWORK,
        help="by what transparency is enlarged (default: %(default)s)",
    )
    parser.add_argument(
        "--blend",
        type=float,
        default=1.0,
        metavar="B",
        help="how much of the network's picture is mixed with the bicubic enlargement, 0 to 1 (default: 1, all)",
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="the mean over the picture flipped and turned in all eight ways: a little nearer to the truth, in eight"
        " times the time",
    )
    parser.add_argument("--outscale", type=float, metavar="S", help="resize the result to S times the input's size")
    parser.add_argument("--frames", action="store_true", help="every frame or page of a file: NAME_x4_1.png ...")
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave EXIF, XMP, IPTC, resolution and texts out, and keep how colours are to be shown",
    )
    files = parser.add_argument_group("where the results go")
    files.add_argument(
        "-o", "--output", metavar="FILE_OR_FOLDER", help="(default: next to each input); - is standard output"
    )
    files.add_argument(
        "--format", choices=[suffix[1:] for suffix in SUFFIXES], help="of files whose name is not given (default: png)"
    )
    files.add_argument(
        "--quality",
        type=int,
        metavar="Q",
        help="of JPEG and WebP files, 1 to 100 (default: 95 for JPEG, and WebP without any loss)",
    )
    files.add_argument("--suffix", metavar="TEXT", help="between NAME and its extension (default: _x and the scale)")
    files.add_argument(
        "--existing",
        choices=["skip", "keep", "overwrite", "fail"],
        help="what happens to files that exist: skip leaves them, so that an interrupted batch carries on, but makes"
        " again what it knows to be of an older picture or of other settings; keep leaves them whatever they are"
        " (default: overwrite one FILE that -o names, otherwise fail, for that picture only)",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    parser.add_argument("--json", type=given_path, metavar="FILE", help="write what became of each picture to FILE")


def run(options: argparse.Namespace) -> int:
    """Enlarge every picture that can be, printing the names of the files; return 0, or 2 where one could not be."""
    if options.outscale is not None and not _LEAST_OUTSCALE <= options.outscale <= _MOST_OUTSCALE:
        raise InputError(f"--outscale {options.outscale}: expected {_LEAST_OUTSCALE} to {_MOST_OUTSCALE}")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise InputError(f"--quality {options.quality}: expected 1 to 100")
    memory = None if options.memory is None else parse_size(options.memory)
    manner = Manner(options.alpha, options.blend, options.tta)
    extension = f".{options.format}" if options.format else None
    net = load_network(options.weights, options.method)
    check_channels(net.architecture)
    outcomes: list[Outcome] = []
    with replaced(options.inputs, options.output, extension) as streams:
        suffix = f"_x{options.outscale or net.scale:g}" if options.suffix is None else options.suffix
        names = naming(streams.output, suffix, extension)
        existing = options.existing or ("fail" if names.file is None else "overwrite")
        of_files = options.outscale, memory, options.overlap, manner, options.strip, options.quality
        file_options = FileOptions(existing, *of_files)
        check_format = partial(writable_shape, net, outscale=options.outscale, quality=options.quality)
        made = None if streams.folder is not None else Made(settings_digest(net, file_options))  # no stream has a date
        plan = plan_batch(streams.inputs, names, file_options, options.frames, check_format, made)
        if streams.to_stdout and len(plan.jobs) > 1:
            raise InputError("standard output: only one picture can be written there")
        if options.json is not None:
            _check_report(options.json, plan)
        with open_pool(options) as pool:
            faster = None if options.quiet or pool is not None else _faster(options.weights)
            if faster is not None and plan.jobs:
                warm_up(net)
            execute = run_here if pool is None else on_workers(pool)
            try:
                run_batch(net, plan, outcomes, options.quiet, streams.shown, execute, faster, made)
            finally:  # after Ctrl-C too, and where the scheduler is lost
                if options.json is not None:
                    write_json(options.json, _rows(outcomes, streams))
    return 2 if any(outcome.status == "failed" for outcome in outcomes) else 0


def _faster(weights: Path | None) -> str | None:
    """The bundled network that is faster and for the same pictures, if there is one."""
    return SMALL_NETWORK if str(weights or DEFAULT_NETWORK) == DEFAULT_NETWORK else None


def _check_report(report: Path, plan: Plan) -> None:
    """Raise InputError where the file of --json is a picture that is read or written."""
    pictures: list[Job | Outcome] = [*plan.jobs, *plan.decided]
    if identity(report) in {identity(path) for each in pictures for path in (each.source, each.target)}:
        raise InputError(f"--json {report}: is a picture of this batch: expected another file")


def run_here(net: RRDBNet, jobs: Sequence[Job], progress: Progress) -> Iterable[Outcome]:
    """Run the jobs in this process, in their order."""
    return (run_job(net, job, progress) for job in jobs)


def run_batch(
    net: RRDBNet,
    plan: Plan,
    outcomes: list[Outcome],
    quiet: bool = False,
    shown: Callable[[str], str] = str,
    execute: Executor = run_here,
    faster: str | None = None,
    made: Made | None = None,
) -> None:
    """Carry a plan out, saying what is written and what fails; append to `outcomes` what became of each picture.

    With `quiet` only failures are said. Sentences and names pass through `shown`, which gives "" for what is not said.
    Where the batch takes more than a minute, `faster`, the name of a faster network, is recommended. What is
    enlarged is noted in `made`.
    """
    outcomes += plan.decided
    stamps = {job.target: job.stamp for job in plan.jobs}
    for sentence in [] if quiet else plan.notices:
        complain(shown(sentence))
    for outcome in outcomes:
        _tell(outcome, quiet, shown)
    description = plan.jobs[0].source.name if len(plan.jobs) == 1 else "upscale"
    with progress(len(plan.jobs), description, "picture", hidden=quiet) as bar:

        def recommend(seconds: float) -> None:
            with bar.external_write_mode():
                complain(f"about {_minutes(seconds)}; --weights {faster} would take a quarter of that, and is smoother")

        advance = bar.update if quiet or faster is None else watched(bar.update, plan.jobs, recommend)
        for outcome in execute(net, plan.jobs, advance):
            outcomes.append(outcome)
            if made is not None and outcome.status == "enlarged":
                made.add(outcome.target, stamps.get(outcome.target))
            with bar.external_write_mode():
                _tell(outcome, quiet, shown)
    if len(outcomes) > 1 and not quiet:
        _summarise(outcomes)


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else "a minute"


def _tell(outcome: Outcome, quiet: bool, shown: Callable[[str], str]) -> None:
    if outcome.status == "failed":
        complain(shown(outcome.message))
    elif outcome.status == "enlarged" and not quiet:
        name = shown(str(outcome.target))
        if name:
            say(name)


def _summarise(outcomes: list[Outcome]) -> None:
    """Say how many pictures failed or were skipped, where any was."""
    count = {status: sum(outcome.status == status for outcome in outcomes) for status in ("skipped", "failed")}
    if any(count.values()):
        enlarged = len(outcomes) - sum(count.values())
        others = [f"{number} {status}" for status, number in count.items() if number]
        complain(f"{enlarged} of {len(outcomes)} pictures enlarged, {', '.join(others)}")


def _rows(outcomes: Iterable[Outcome], streams: Streams) -> list[dict[str, object]]:
    return [
        {
            **asdict(outcome),
            "source": streams.shown(str(outcome.source)),
            "target": streams.shown(str(outcome.target)) or "stdout",
            "message": streams.shown(outcome.message),
        }
        for outcome in outcomes
    ]
