"""The command line: arguments in, one command run."""

import argparse
import sys

from lowrank_sr._version import __version__
from lowrank_sr.commands import compress, convert, evaluate, finetune, info, plot_benchmarks, study, upscale
from lowrank_sr.commands.announce import announced
from lowrank_sr.commands.options import Command
from lowrank_sr.errors import InputError
from lowrank_sr.machine.threads import limited
from lowrank_sr.text import complain

COMMANDS = (upscale, info, evaluate, convert, compress, finetune, study, plot_benchmarks)  # in the order of --help


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 2 after bad input (one sentence on stderr says which) or 130 after Ctrl-C.

    `arguments` are those of the command line, without the program's name; by default sys.argv's. After a closed pipe
    the result is 141, as a shell reports a program that SIGPIPE ended.
    """
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        with announced(), limited(getattr(options, "threads", None)):
            return command(options) or 0
    except InputError as error:
        complain(error)
        return 2
    except KeyboardInterrupt as interruption:
        complain(str(interruption) or "interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `lowrank-sr info | head`
        sys.stderr.close()
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowrank-sr", description="ESRGAN super-resolution on a CPU, without a framework."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser
