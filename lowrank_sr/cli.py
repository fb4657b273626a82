"""The program `lowrank-sr`: its commands, of which only the one that is asked for is imported."""

import argparse
import os
import sys
from collections.abc import Container, Sequence
from importlib import import_module

from lowrank_sr import endings
from lowrank_sr._version import __version__
from lowrank_sr.endings import on_signals
from lowrank_sr.errors import InputError
from lowrank_sr.files import check_writable
from lowrank_sr.text import complain

COMMANDS = {
    "upscale": "Enlarge pictures; NAME.jpg becomes NAME_x4.png.",
    "info": "Print a network: layers, shapes, parameters, FLOPs; without one, list those that are bundled.",
    "evaluate": "Print PSNR, SSIM and NIQE of networks on pictures, with bicubic for orientation.",
    "convert": "Turn a checkpoint (.pth, .safetensors) or an ncnn model (.param and .bin) into a weights file, .npz.",
    "interpolate": "Make a network between two of one architecture, such as a smooth one and a sharp one.",
    "compress": "Factorise the layers of a network, fitted to what they see.",
    "finetune": "Train a network further, dense or low-rank, on photographs or towards a teacher.",
    "study": "Measure the poster's table, figures and claims again; write a report.",
}
"""What each command does, in the order of --help. Its module has `add_options(parser)` and `run(options)`."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 2 after bad input (one sentence on stderr says which), or 128 + a signal's number.

    `arguments` are those of the command line, without the program's name; by default sys.argv's. After Ctrl-C that
    makes 130, after SIGTERM 143, and after a closed pipe 141, as a shell reports a program that a signal ended.
    """
    if sys.stderr is None:  # closed: what is written there must come neither on standard output nor into an open file
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until the end of the process)
    try:
        with endings.names_as_they_are():
            try:
                with on_signals(endings.leave):  # the imports take half a second
                    options = _parse(arguments)
                with on_signals(endings.stop):
                    return _run(options)
            finally:
                endings.flush()
    except InputError as error:
        complain(error)
        return 2
    except MemoryError as error:
        complain(f"out of memory{f': {error}' if str(error) else ''}; expected more, or smaller pictures")
        return 2
    except KeyboardInterrupt as interruption:
        return endings.status_after(interruption)
    except BrokenPipeError:  # the reader of our output has gone, as in `lowrank-sr info | head`
        endings.discard_output()
        return 141


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options that the arguments give, by default sys.argv's; `command` among them is the function to call."""
    arguments = sys.argv[1:] if arguments is None else arguments
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    options = parser({named}).parse_args(arguments)
    import_module("lowrank_sr.commands.announce")  # what every command needs, and Numba: it would slow --help
    return options


def parser(complete: Container[str | None] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of the command line, with the options of the commands in `complete`, whose modules it imports."""
    whole = argparse.ArgumentParser(
        prog="lowrank-sr", description="ESRGAN super-resolution on a CPU, without a framework."
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text)
        if name in complete:
            command = import_module(f"lowrank_sr.commands.{name}")
            command.add_options(subparser)
            subparser.set_defaults(command=command.run)
    return whole


def _run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status.

    Raises InputError where the file of --json cannot be written: before the work.
    """
    from lowrank_sr.commands.announce import announced
    from lowrank_sr.machine.threads import limited

    if getattr(options, "json", None) is not None:
        check_writable(options.json)
    with announced(), limited(getattr(options, "threads", None)):
        return options.command(options) or 0
