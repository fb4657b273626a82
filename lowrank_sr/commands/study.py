"""The command `study`: the poster's table, figures and claims, measured again."""

import argparse
from pathlib import Path

from lowrank_sr.commands.options import (
    DATA_HELP,
    NETWORK_HELP,
    add_cluster,
    add_seed,
    add_threads,
    given_path,
    open_pool,
)
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.resources import DEFAULT_NETWORK, SMALL_NETWORK
from lowrank_sr.study.report import style, tables
from lowrank_sr.study.run import study
from lowrank_sr.study.settings import open_studies
from lowrank_sr.study.technique import FORMS
from lowrank_sr.text import say, table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_threads(parser)
    add_cluster(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=given_path,
        default=Path("report"),
        metavar="FOLDER",
        help="report.html, report.md, results.json and figures; an interrupted study goes on (default: %(default)s)",
    )
    defaults = f"(default: {DEFAULT_NETWORK} and, as the control that was trained for PSNR, {SMALL_NETWORK})"
    parser.add_argument(
        "--weights",
        type=given_path,
        nargs="+",
        default=[],
        metavar="W",
        help=f"networks, each {NETWORK_HELP} {defaults}",
    )
    parser.add_argument("--data", type=given_path, metavar="FOLDER", help=DATA_HELP)
    parser.add_argument(
        "--photos",
        type=given_path,
        metavar="FOLDER",
        help="high-resolution photographs: fine-tune networks on them, too, 20 minutes each (with --quick one)",
    )
    parser.add_argument("--quick", action="store_true", help="fewer pictures, points and rounds: 3 minutes, not 90")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="M",
        help=f"some of {', '.join((*METHODS, *FORMS))} (default: all; direct is always measured)",
    )
    add_seed(parser)
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="measure everything anew; an earlier results.json, with all its networks, is kept as results-1.json",
    )


def run(options: argparse.Namespace) -> None:
    """Run the study and print its Table 1 and verdicts."""
    if options.cluster is not None and not options.shared_files:
        raise InputError("--cluster: the workers of a study need its folder: expected --shared-files with it")
    style.need("matplotlib", "jinja2")
    with open_pool(options) as pool:
        given = options.weights, options.data, options.quick, options.methods, options.seed, options.photos
        report = study(open_studies(options.output, *given), options.output, options.fresh, pool)
    for chapter in report.chapters:
        say(f"{chapter.settings.weights}\n")
        say(table(*tables.table1(chapter.results)))
        judged = (f"{claim.claim}: {claim.measured.verdict}: {claim.measured.short}" for claim in chapter.claims)
        say("\n".join(["", *judged, ""]))
    say(options.output / "report.html")
