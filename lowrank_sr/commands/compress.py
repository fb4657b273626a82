"""The command: a dense network in, a weights file and its description out."""

from pathlib import Path

from lowrank_sr.commands.compress_report import describe
from lowrank_sr.compression import calibration
from lowrank_sr.compression.network import compress
from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet


def compress_to(output: Path, net: RRDBNet, method: str, calibrate: Path | None, calibrated: bool, **rules) -> dict:
    """Compress `net` into the weights file `output`, with the pictures in folder `calibrate`, or the bundled ones.

    `calibrated` False means no pictures at all; `rules` are the other arguments of `compress`. Returns
    `report.describe` of the two networks.

    Raises InputError as `compress` does, and where `output` cannot be written: before the work where that can be known.
    """
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise InputError(f"{output}: expected a name that ends in .npz, in a folder that exists")
    pictures = () if not calibrated else calibration.read_pictures(calibrate) if calibrate else None
    small = compress(net, method, images=pictures, **rules)
    small.save(output)
    return describe(net, small, output)
