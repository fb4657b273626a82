"""The command `plot-benchmarks`: what pytest-benchmark measured in, a figure out."""

import argparse

from lowrank_sr.commands.options import given_path
from lowrank_sr.study.report.benchmarks import plot_benchmarks
from lowrank_sr.text import say


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "files",
        type=given_path,
        nargs="+",
        metavar="FILE.json",
        help="by pytest --benchmark-json; one for each machine",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=given_path,
        metavar="FIGURE",
        help=".png, .svg or .pdf (default: FILE.png next to the first)",
    )
    parser.add_argument("--csv", type=given_path, metavar="TABLE.csv", help="write the rows into this file too")


def run(options: argparse.Namespace) -> None:
    """Draw the figure and print where it is."""
    say(plot_benchmarks(options.files, options.output, options.csv))
