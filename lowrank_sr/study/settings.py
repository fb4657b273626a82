"""What a study is run on, how much of it is measured, and what every step reads."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lowrank_sr.conv.methods import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image, images_in
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.resources import IMAGES, WEIGHTS
from lowrank_sr.study.record import FORMAT

DIRECT, WINOGRAD = "direct", "winograd"
LOW_RANK = ("svd", "cp")
SPEEDUP = 2  # theoretical, of the whole network: that of the low-rank networks of Table 1 and the figures


@dataclass(frozen=True)
class Extent:
    """How much is measured: sides are of square pictures at low resolution, in pixels."""

    pictures: int | None  # at most so many are enlarged; None for all
    calibration: int | None  # and at most so many bundled ones calibrated on
    rounds: int
    side: int
    memory_sides: tuple[int, ...]
    speedups: tuple[float, ...]  # theoretical, of the whole network, for factors of the kernels alone
    fitted_speedups: tuple[float, ...]  # and for fitted ones, which take longer to find
    marked: tuple[float, ...]  # fractions of the layers that a threshold of the condition number marks
    condition: tuple[float, ...]  # condition numbers to truncate at
    layer_side: int
    full_side: int  # for ESRGAN's 23 blocks


QUICK = Extent(
    pictures=2,
    calibration=1,
    rounds=3,
    side=48,
    memory_sides=(48, 96),
    speedups=(2,),
    fitted_speedups=(2,),
    marked=(0.1, 1),
    condition=(4, 16),
    layer_side=48,
    full_side=32,
)
FULL = Extent(
    pictures=None,
    calibration=None,
    rounds=7,
    side=96,
    memory_sides=(32, 64, 96, 128, 256),
    speedups=(1.5, 2, 3, 4, 6),
    fitted_speedups=(1.5, 2, 3, 4, 6),
    marked=(0.05, 0.1, 0.25, 0.5, 0.75, 1),
    condition=(2, 4, 8, 16, 32),
    layer_side=96,
    full_side=64,
)


@dataclass(frozen=True, eq=False)
class Study:
    """What every step reads."""

    net: RRDBNet
    pictures: list[tuple[str, Image, Image]]  # name, low resolution, high resolution
    methods: tuple[str, ...]
    extent: Extent
    seed: int
    full_size: bool
    folder: Path


def check_methods(names: list[str] | None) -> tuple[str, ...]:
    """The methods to compare, in the order of the report, direct convolution always among them.

    Raises InputError for one that does not exist.
    """
    known = (*METHODS, *LOW_RANK)
    for name in names or ():
        if name not in known:
            raise InputError(f"method {name!r}: expected some of {', '.join(known)}")
    return tuple(name for name in known if not names or name in names or name == DIRECT)


def open_study(
    folder: Path, weights: Path | None, data: Path | None, quick: bool, full_size: bool, methods: tuple, seed: int
) -> tuple[Study, dict]:
    """The study and the description of it that results.json carries: names and numbers, no paths of this machine.

    Raises InputError for weights or pictures that cannot be used.
    """
    net, source, extent = load(weights or WEIGHTS), Path(data or IMAGES), QUICK if quick else FULL
    if net.scale == 1 or net.architecture.image_channels != 3:
        raise InputError(f"{weights}: expected a network that enlarges RGB pictures")
    if any(layer.rank is not None for layer in net.layers.values()):
        raise InputError(f"{weights}: is compressed already: expected a network of dense layers")
    pictures = [(pair.name, *pair.read_images(net.scale)) for pair in find_pairs(source)[: extent.pictures]]
    description = {
        "weights": Path(weights).name if weights else "bundled",
        "data": source.name if data else "bundled",
        "quick": quick,
        "full_size": full_size,
        "methods": list(methods),
        "seed": seed,
        **asdict(extent),
    }
    description["pictures"] = [name for name, _, _ in pictures]
    return Study(net, pictures, methods, extent, seed, full_size, folder), description


def fingerprint(description: dict, weights: Path | None, data: Path | None) -> str:
    """What must be equal for two runs to share results: settings, contents of the files, machine and version."""
    digest = hashlib.sha256(json.dumps([FORMAT, description, cpu.describe()]).encode())
    for path in [Path(weights or WEIGHTS), *images_in(data or IMAGES)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
