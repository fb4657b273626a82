"""What a study is run on, and how much of it is measured."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.compression.calibration import read_pictures
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image, images_in
from lowrank_sr.pictures.pairs import Pair, find_pairs
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.resources import DEFAULT_NETWORK, IMAGES, IN_LOW_RANK, SMALL_NETWORK, weights_file
from lowrank_sr.study.extent import Extent, extent_of
from lowrank_sr.study.technique import DIRECT, FORMS, Technique, compared, finetuned, stages
from lowrank_sr.text import progress
from lowrank_sr.training import finetune
from lowrank_sr.training.folder import choose


@dataclass(frozen=True)
class Settings:
    """What results.json says of a network in a study: names and numbers, no paths of this machine."""

    weights: str
    data: str
    quick: bool
    extent: Extent
    methods: tuple[str, ...]  # dense methods and low-rank forms, in the order of the report
    seed: int
    pictures: tuple[str, ...]
    photos: str | None = None  # the folder of the photographs to fine-tune on, where there are some

    @property
    def in_low_rank(self) -> str | None:
        """The name of the bundled network that is this one in low rank, where there is one and SVD is compared."""
        return IN_LOW_RANK.get(self.weights) if "svd" in self.methods else None

    @property
    def slug(self) -> str:
        """The name of the network's folder, and what its ids on the page begin with."""
        return re.sub(r"[^\w-]+", "-", Path(self.weights).stem)

    def describe(self) -> dict[str, Any]:
        """The settings for results.json, the pictures by their names; nothing about fine-tuning where there is none."""
        described = {name: value for name, value in asdict(self).items() if name not in ("pictures", "extent")}
        described |= asdict(self.extent) | {"pictures": self.pictures}
        left_out = ("photos", "photographs", "minutes") if self.photos is None else ()
        return {name: value for name, value in described.items() if name not in left_out}


class TrainingSet(NamedTuple):
    """The photographs to fine-tune on, and a digest of their names and contents."""

    paths: tuple[Path, ...]
    digest: str


@dataclass(frozen=True, eq=False)
class Study:
    """What every step that measures one network reads."""

    net: RRDBNet
    pictures: tuple[tuple[str, Image, Image], ...]  # name, low resolution, high resolution
    settings: Settings
    identity: dict[str, str]
    folder: Path  # of this network, inside that of the study
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
        every = compared(self.settings.methods, self.settings.in_low_rank is not None)
        return tuple(technique for technique in every if technique.name not in self.extent.left_out)

    @property
    def finetuned(self) -> tuple[Technique, ...]:
        """What is fine-tuned, the dense network first, of what is compared; nothing without photographs."""
        every, known = finetuned(self.settings.methods), set(self.techniques)
        return () if self.training_set is None else tuple(each for each in every if known >= {*stages(each)[:-1]})


def open_studies(
    folder: Path,
    weights: Sequence[Path],
    data: Path | None,
    quick: bool,
    methods: Sequence[str] | None,
    seed: int,
    photos: Path | None = None,
) -> list[Study]:
    """Read the networks and the pictures of a study, look at its photographs, and make its folder; a part a network.

    Without `weights` these are the default network and, as the control that was trained for PSNR, the small one;
    without `methods` all are compared. `photos` is a folder of high-resolution photographs to fine-tune networks on.
    Raises InputError for any of these that cannot be used.
    """
    known = (*METHODS, *FORMS)
    for name in methods or ():
        if name not in known:
            raise InputError(f"method {name!r}: expected some of {', '.join(known)}")
    _make(folder)
    chosen = tuple(name for name in known if not methods or name in (*methods, DIRECT))
    parts: dict[str, Study] = {}
    for each in weights or (Path(DEFAULT_NETWORK), Path(SMALL_NETWORK)):
        part = _open_study(folder, each, data, quick, chosen, seed)
        if part.settings.slug in parts:
            raise InputError(f"{each}: another network of the study is called {part.settings.slug}, too: rename one")
        parts[part.settings.slug] = part
    every = list(parts.values()) if photos is None else _with_photographs(list(parts.values()), photos, data)
    for part in every:
        _make(part.folder)
    return every


def _with_photographs(parts: list[Study], photos: Path, data: Path | None) -> list[Study]:
    """The same with photographs to fine-tune on, of which those for networks of one scale are looked at once."""
    opened: dict[tuple[int, int], TrainingSet] = {}
    for part in parts:
        kind = part.extent.photographs, part.net.scale
        if kind not in opened:
            opened[kind] = _open_training_set(photos, *kind, images_in(data or IMAGES))
    name = Path(photos).resolve().name
    return [
        replace(
            part,
            settings=replace(part.settings, photos=name),
            training_set=opened[part.extent.photographs, part.net.scale],
        )
        for part in parts
    ]


def _make(folder: Path) -> None:
    """Make a folder, unless it is there; raises InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder: {error.strerror}") from error


def _open_study(
    folder: Path,
    weights: Path,
    data: Path | None,
    quick: bool,
    methods: tuple[str, ...],
    seed: int,
) -> Study:
    """What is measured of one network."""
    net, source = load(weights), Path(data or IMAGES)
    if net.scale == 1 or net.architecture.image_channels != 3:
        raise InputError(f"{weights}: expected a network that enlarges RGB pictures")
    if any(layer.rank is not None for layer in net.layers.values()):
        raise InputError(f"{weights}: is compressed already: expected a network of dense layers")
    extent = extent_of(net, quick)
    pairs = _smallest(find_pairs(source), extent.pictures)
    pictures = tuple((pair.name, *pair.read_images(net.scale)) for pair in pairs)
    _check_pictures(source, pictures, net.scale)
    settings = Settings(
        weights=Path(weights).name,
        data=source.name if data else "bundled",
        quick=quick,
        extent=extent,
        methods=methods,
        seed=seed,
        pictures=tuple(name for name, _, _ in pictures),
    )
    return Study(net, pictures, settings, identity(settings, weights, data), folder / settings.slug)


def _smallest(pairs: list[Pair], count: int | None) -> list[Pair]:
    """The `count` smallest of the pictures, or all, in their order."""
    if count is None:
        return pairs
    files = [PictureFile(pair.high) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda i: files[i].height * files[i].width)
    return [pairs[i] for i in sorted(order[:count])]


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


def _open_training_set(photos: Path, most: int, scale: int, measured_on: Sequence[Path]) -> TrainingSet:
    """At most so many of the images in the folder `photos`, for networks that enlarge by `scale`.

    Raises InputError where there is none, one is no image or is a file of `measured_on`, or none is large enough.
    """
    paths, least = choose(photos, most), scale * finetune.SIDE
    others = {hashlib.sha256(path.read_bytes()).digest(): path for path in measured_on}
    digest, large_enough = hashlib.sha256(), False
    with progress(len(paths), "photographs", "photograph") as bar:
        for path in paths:
            file, content = PictureFile(path), hashlib.sha256(path.read_bytes()).digest()
            large_enough |= min(file.height, file.width) >= least
            if content in others:
                raise InputError(f"{path}: is {others[content].name}, which quality is measured on: expected others")
            digest.update(path.name.encode() + content)
            bar.update()
    if not large_enough:
        raise InputError(f"{photos}: no photograph is large enough: expected at least {least} x {least} pixels")
    return TrainingSet(tuple(paths), digest.hexdigest()[:16])


def identity(settings: Settings, weights: Path, data: Path | None) -> dict[str, str]:
    """What two runs must have in common to share a folder, in words for the reader who is told that they do not."""
    used = [weights_file(name) for name in (weights, IN_LOW_RANK.get(settings.weights)) if name]
    return {
        "weights": f"{settings.weights} ({_digest(used)})",
        "data": f"{settings.data} ({_digest(images_in(data or IMAGES))})",
        "extent": f"{'quick' if settings.quick else 'full'} ({_measured(settings.extent)})",
        "seed": str(settings.seed),
        **{name: str(value) for name, value in cpu.describe().items()},
    }


def _measured(extent: Extent) -> str:
    """A digest of how much is measured, but for fine-tuning, which joins a study and leaves it."""
    fields = {name: value for name, value in asdict(extent).items() if name not in ("photographs", "minutes")}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]


def _digest(paths: list[Path]) -> str:
    """Of the names and the contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
