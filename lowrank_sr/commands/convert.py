"""The command `convert`: a checkpoint or an ncnn model in, a weights file out."""

import argparse

import numpy as np

from lowrank_sr.commands.options import given_path, load_network

DTYPES = {"float16": np.float16, "float32": np.float32}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("input", type=given_path, metavar="IN", help="checkpoint or ncnn model of an ESRGAN generator")
    parser.add_argument("output", type=given_path, metavar="OUT.npz", help="weights file to write")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32", help="of kernels (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    """Convert `options.input` into `options.output`."""
    load_network(options.input).save(options.output, DTYPES[options.dtype])
