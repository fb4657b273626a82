"""What a study is run on."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.compression.calibration import read_pictures
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image, images_in
from lowrank_sr.pictures.pairs import Pair, find_pairs
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.resources import DEFAULT_NETWORK, IMAGES, SMALL_NETWORK, weights_file
from lowrank_sr.study.extent import FULL, QUICK, Extent
from lowrank_sr.study.technique import DIRECT, FORMS, Technique, compared, finetuned
from lowrank_sr.study.training_set import TrainingSet, open_training_set


@dataclass(frozen=True)
class Settings:
    """What results.json says of a study: names and numbers, no paths of this machine."""

    weights: str
    data: str
    quick: bool
    full_size: bool
    methods: tuple[str, ...]  # dense methods and low-rank forms, in the order of the report
    seed: int
    pictures: tuple[str, ...]
    photos: str | None = None  # the folder of the photographs to fine-tune on, where there are some

    @property
    def extent(self) -> Extent:
        """How much is measured."""
        return QUICK if self.quick else FULL

    def describe(self) -> dict[str, Any]:
        """The settings for results.json, with the names of the pictures in place of their greatest number.

        What is about fine-tuning is left out where there is none.
        """
        described = asdict(self)
        names = described.pop("pictures")
        described |= asdict(self.extent) | {"pictures": names}
        if self.photos is None:
            for name in ("photos", "photographs", "minutes"):
                del described[name]
        return described


@dataclass(frozen=True, eq=False)
class Study:
    """What every step reads."""

    net: RRDBNet
    pictures: tuple[tuple[str, Image, Image], ...]  # name, low resolution, high resolution
    settings: Settings
    identity: dict[str, str]
    folder: Path
    training_set: TrainingSet | None = None  # None for a study without fine-tuning

    @property
    def fingerprint(self) -> str:
        """A digest of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def extent(self) -> Extent:
        """How much is measured."""
        return self.settings.extent

    @property
    def dense_methods(self) -> list[str]:
        """The methods to compare, direct convolution first."""
        return [name for name in self.settings.methods if name in METHODS]

    @property
    def forms(self) -> list[str]:
        """The low-rank forms to compare."""
        return [name for name in self.settings.methods if name in FORMS]

    @property
    def techniques(self) -> tuple[Technique, ...]:
        """What Table 1 and the figures compare, direct convolution first."""
        return compared(self.settings.methods)

    @property
    def finetuned(self) -> tuple[Technique, ...]:
        """What is fine-tuned, the dense network first; nothing without photographs."""
        return () if self.training_set is None else finetuned(self.settings.methods)


def check_methods(names: list[str] | None) -> tuple[str, ...]:
    """The methods and forms to compare, all where `names` is empty, in the order of the report; direct is always there.

    Raises InputError for one that does not exist.
    """
    known = (*METHODS, *FORMS)
    for name in names or ():
        if name not in known:
            raise InputError(f"method {name!r}: expected some of {', '.join(known)}")
    return tuple(name for name in known if not names or name in names or name == DIRECT)


def open_study(
    folder: Path,
    weights: Path | None,
    data: Path | None,
    quick: bool,
    full_size: bool,
    methods: tuple[str, ...],
    seed: int,
    photos: Path | None = None,
) -> Study:
    """Read the network and the pictures of a study, and look at its photographs.

    Without `weights` a quick study takes the small bundled network, another the default one.

    Raises InputError where they cannot be used.
    """
    weights = weights or Path(SMALL_NETWORK if quick else DEFAULT_NETWORK)
    net, source, extent = load(weights), Path(data or IMAGES), QUICK if quick else FULL
    if net.scale == 1 or net.architecture.image_channels != 3:
        raise InputError(f"{weights}: expected a network that enlarges RGB pictures")
    if any(layer.rank is not None for layer in net.layers.values()):
        raise InputError(f"{weights}: is compressed already: expected a network of dense layers")
    pairs = _smallest(find_pairs(source), extent.pictures)
    pictures = tuple((pair.name, *pair.read_images(net.scale)) for pair in pairs)
    _check_pictures(source, pictures, net.scale)
    training_set = None
    if photos is not None:
        training_set = open_training_set(photos, extent.photographs, net.scale, images_in(source))
    settings = Settings(
        weights=Path(weights).name,
        data=source.name if data else "bundled",
        quick=quick,
        full_size=full_size,
        methods=methods,
        seed=seed,
        pictures=tuple(name for name, _, _ in pictures),
        photos=None if photos is None else Path(photos).resolve().name,
    )
    return Study(net, pictures, settings, identity(settings, weights, data), folder, training_set)


def _smallest(pairs: list[Pair], count: int | None) -> list[Pair]:
    """The `count` smallest of the pictures, or all, in their order."""
    if count is None:
        return pairs
    files = {pair.name: PictureFile(pair.high) for pair in pairs}
    chosen = sorted(files, key=lambda name: files[name].height * files[name].width)[:count]
    return [pair for pair in pairs if pair.name in chosen]


def _check_pictures(source: Path, pictures: tuple[tuple[str, Image, Image], ...], border: int) -> None:
    """Raise InputError for a picture whose quality would say nothing: of one colour, or one to calibrate on."""
    calibration = read_pictures()
    for name, _, high in pictures:
        inside = high.pixels[border:-border, border:-border]
        if inside.size and (np.ptp(inside, axis=(0, 1)) == 0).all():
            raise InputError(f"{source}: {name} is of one colour, which has no PSNR: expected pictures with details")
        height, width = high.pixels.shape[:2]
        if any(np.array_equal(high.pixels, picture[:height, :width]) for picture in calibration):
            raise InputError(
                f"{source}: {name} is one of the pictures that factors are fitted on: expected others to measure on"
            )


def identity(settings: Settings, weights: Path, data: Path | None) -> dict[str, str]:
    """What two runs must have in common to share a folder, in words for the reader who is told that they do not."""
    machine = cpu.describe()
    pictures = images_in(data or IMAGES)
    return {
        "weights": f"{settings.weights} ({_digest([weights_file(weights)])})",
        "data": f"{settings.data} ({_digest(pictures)})",
        "extent": "quick" if settings.quick else "full",
        "seed": str(settings.seed),
        **{name: str(value) for name, value in machine.items()},
    }


def _digest(paths: list[Path]) -> str:
    """Of the names and the contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
