"""The command `upscale`: picture files in, larger picture files out."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from lowrank_sr.commands.options import WEIGHTS_HELP, Subparsers, add_command, add_method, add_threads, load_network
from lowrank_sr.commands.upscale_file import upscale_file
from lowrank_sr.errors import InputError
from lowrank_sr.machine.memory import parse_size
from lowrank_sr.pictures.formats import SUFFIXES
from lowrank_sr.pictures.images import images_in
from lowrank_sr.text import complain, progress


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    parser = add_command(subparsers, "upscale", run, "Enlarge pictures; NAME.jpg becomes NAME_x4.png.")
    add_method(parser)
    add_threads(parser)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture files, and folders of pictures")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="where to write (default: beside each input)",
    )
    parser.add_argument("--weights", type=Path, metavar="W", help=WEIGHTS_HELP)
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory that the command may hold, such as 1GB or 800MB; larger pictures are computed in tiles (default:"
        " 2 GB beside the program and its weights, or 80%% of what is free where that is less)",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="what a tile sees of its neighbours (default: 16, with which a value differs from that of the picture in"
        " one piece by less than 0.001 of a step of 8 bits, and the same 8 bits are stored but for 1 or 2 in"
        " 100,000 that lie where rounding turns; no difference but float32's rounding from the receptive field on: 49"
        " for the bundled network, 349 for 23 blocks)",
    )


def run(options: argparse.Namespace) -> int:
    """Enlarge every picture that can be, printing the names of the files; return 0, or 2 where one could not be."""
    memory = None if options.memory is None else parse_size(options.memory)
    net = load_network(options.weights, options.method)
    pairs = plan_outputs(options.inputs, options.output, net.scale)
    failures = 0
    for source, target in pairs:
        try:
            with progress(1, source.name, "picture") as bar:
                upscale_file(net, source, target, bar.update, memory, options.overlap)
            print(target)
        except InputError as error:
            complain(error)
            failures += 1
    if failures and len(pairs) > 1:
        complain(f"{len(pairs) - failures} of {len(pairs)} pictures enlarged, {failures} failed")
    return 2 if failures else 0


def plan_outputs(
    inputs: Iterable[str | os.PathLike[str]], output: str | os.PathLike[str] | None, scale: int
) -> list[tuple[Path, Path]]:
    """Pair every picture in `inputs`, files and folders, with the file to write.

    That is `NAME_x4.png` beside the picture or, if `output` is a folder or names no image format, in it; with one
    input file, `output` may be a file. What an earlier run has written into a folder is not enlarged again.

    Raises InputError for a folder without images, for two pictures that would become the same file and for one that
    would be overwritten by its own enlargement.
    """
    sources: list[Path] = []
    from_folders: set[Path] = set()
    for path in map(Path, inputs):
        if path.is_dir():
            paths = images_in(path)
            sources.extend(paths)
            from_folders.update(paths)
        else:
            sources.append(path)

    output = None if output is None else Path(output)
    if output is not None and output.suffix.lower() in SUFFIXES and not output.is_dir():
        if len(sources) != 1:
            raise InputError(f"{output}: one file for {len(sources)} pictures: expected a folder")
        pairs = [(sources[0], output)]
    else:
        pairs = [(source, (output or source.parent) / f"{source.stem}_x{scale}.png") for source in sources]
        earlier_outputs = from_folders & {target for _, target in pairs}
        pairs = [(source, target) for source, target in pairs if source not in earlier_outputs]
    _check_targets(pairs)
    return pairs


def _check_targets(pairs: list[tuple[Path, Path]]) -> None:
    """Raise InputError where two pictures would become one file, or one would overwrite a picture still to be read."""
    source_of: dict[Path, Path] = {}
    for source, target in pairs:
        if source.resolve() == target.resolve():
            raise InputError(f"{source}: would be overwritten by its own enlargement: expected another output")
        if target in source_of:
            raise InputError(f"{source} and {source_of[target]} would both become {target}: expected different names")
        source_of[target] = source
    for source, _ in pairs:
        if source in source_of:
            raise InputError(f"{source}: would be overwritten by the enlargement of {source_of[source]}")
