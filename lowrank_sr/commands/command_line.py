"""The commands and their options."""

import argparse

from lowrank_sr._version import __version__
from lowrank_sr.commands import (
    compress,
    convert,
    evaluate,
    finetune,
    info,
    interpolate,
    study,
    upscale,
)
from lowrank_sr.commands.announce import announced
from lowrank_sr.commands.options import Command
from lowrank_sr.files import check_writable
from lowrank_sr.machine.threads import limited

# in the order of --help
COMMANDS = (upscale, info, evaluate, convert, interpolate, compress, finetune, study)


def run(arguments: list[str] | None) -> int:
    """Run the command that the arguments name, by default sys.argv's; return its exit status.

    Raises InputError where the file of --json cannot be written: before the work.
    """
    options = _parser().parse_args(arguments)
    command: Command = options.command
    if getattr(options, "json", None) is not None:
        check_writable(options.json)
    with announced(), limited(getattr(options, "threads", None)):
        return command(options) or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowrank-sr", description="ESRGAN super-resolution on a CPU, without a framework."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser
