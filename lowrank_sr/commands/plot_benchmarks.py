"""The command `plot-benchmarks`: figures of pytest-benchmark in, a plot out."""

import argparse
from pathlib import Path

from lowrank_sr.commands.options import Subparsers, add_command
from lowrank_sr.study.report.benchmarks import plot_benchmarks
from lowrank_sr.text import say


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    text = "Draw FLOPs against time from a pytest-benchmark JSON file."
    parser = add_command(subparsers, "plot-benchmarks", run, text)
    parser.add_argument("file", type=Path, metavar="FILE.json", help="written by pytest --benchmark-json")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FIGURE", help=".png, .svg or .pdf (default: FILE.png beside it)"
    )


def run(options: argparse.Namespace) -> None:
    """Draw the figure and print where it is."""
    say(plot_benchmarks(options.file, options.output))
