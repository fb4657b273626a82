"""The command `interpolate`: two networks in, one between them out."""

import argparse

from lowrank_sr.commands.options import (
    NETWORK_HELP,
    check_weights_output,
    given_path,
    load_network,
)
from lowrank_sr.errors import InputError
from lowrank_sr.network.interpolate import interpolate


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("a", type=given_path, metavar="A", help=NETWORK_HELP)
    parser.add_argument("b", type=given_path, metavar="B", help=NETWORK_HELP)
    parser.add_argument(
        "--alpha", type=float, required=True, metavar="X", help="how much of B: 0 is A, 1 is B, 0.8 four fifths of B"
    )
    parser.add_argument("-o", "--output", type=given_path, required=True, metavar="C.npz", help="weights file to write")


def run(options: argparse.Namespace) -> None:
    """Interpolate between `options.a` and `options.b` into `options.output`."""
    check_weights_output(options.output)
    networks = load_network(options.a), load_network(options.b)
    try:
        between = interpolate(*networks, options.alpha)
    except InputError as error:
        raise InputError(f"{options.a} and {options.b}: {error}") from None
    between.save(options.output)
