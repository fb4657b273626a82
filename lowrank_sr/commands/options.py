"""What several commands have in common: options, the network that they ask for, and numbers as text and JSON."""

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lowrank_sr.cluster import connection
from lowrank_sr.cluster.pool import Pool
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.files import check_writable, write_json
from lowrank_sr.network.auto import check_method
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.resources import DEFAULT_NETWORK, NETWORKS
from lowrank_sr.text import say


def given_path(text: str) -> Path:
    """The path that an option names; "", an unset variable of a shell, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name: expected a file or a folder")
    return Path(text)


NETWORK_HELP = f"a bundled network ({', '.join(NETWORKS)}), a weights file, a checkpoint or an ncnn model"
WEIGHTS_HELP = f"{NETWORK_HELP} (default: {DEFAULT_NETWORK})"
DATA_HELP = "pictures, or pairs NAME_HR.png and NAME_LR.png (default: the bundled ones)"


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add --method."""
    parser.add_argument(
        "--method",
        default="auto",
        help=f"how layers are computed: {', '.join(METHODS)}, or auto, the fastest (the default)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads."""
    parser.add_argument(
        "--threads", metavar="N", help="threads to compute on (default: LOWRANK_SR_THREADS, or all cores)"
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add --workers, --cluster and --shared-files."""
    group = parser.add_argument_group("several processes or machines (extra: cluster)")
    where = group.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="compute in N processes, which divide the threads")
    where.add_argument("--cluster", metavar="ADDRESS", help="compute on a Dask scheduler's workers: tcp://host:8786")
    group.add_argument(
        "--shared-files",
        action="store_true",
        help="the workers of --cluster have this machine's files under the same paths: read and write them there",
    )


def open_pool(options: argparse.Namespace) -> AbstractContextManager[Pool | None]:
    """The workers that --workers or --cluster asks for, until the end of the block; None without either.

    Raises InputError as `cluster.connection` does, and for --shared-files without --cluster.
    """
    if options.shared_files and options.cluster is None:
        raise InputError("--shared-files needs --cluster")
    if options.cluster is None and options.workers is None:
        return nullcontext()
    if options.cluster is not None:
        return connection.connected(options.cluster, options.shared_files)
    return connection.started(options.workers)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", type=given_path, metavar="FILE", help="write the numbers to FILE as well")


def add_seed(
    parser: argparse._ActionsContainer, of: str = "what is drawn at random: crops, patches and CP's start"
) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"of {of} (default: %(default)s)")


def check_weights_output(path: Path) -> None:
    """Raise InputError, before the work, where a weights file cannot be written to `path`."""
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path}: expected a name that ends in .npz")
    check_writable(path)


def load_network(path: Path | None, method: str = "auto") -> RRDBNet:
    """The network that `path` names, the default one where that is None; raises InputError for an unknown --method."""
    check_method(method, "--method")
    return load(path or DEFAULT_NETWORK, method)


def network_name(path: Path | None) -> str:
    """What a table calls the network that `path` names."""
    return path.name if path else DEFAULT_NETWORK


def report(text: str, numbers: object, json_path: Path | None) -> None:
    """Print `text`; write `numbers` to `json_path` where there is one."""
    say(text)
    if json_path is not None:
        write_json(json_path, numbers)
