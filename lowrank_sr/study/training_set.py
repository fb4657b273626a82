"""What a study fine-tunes networks on: the photographs of a folder, looked at before anything is measured."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.text import progress
from lowrank_sr.training import finetune, folder


class TrainingSet(NamedTuple):
    """The photographs, and a digest of their names and contents."""

    paths: tuple[Path, ...]
    digest: str


def open_training_set(photos: Path, most: int, scale: int, measured_on: Iterable[Path]) -> TrainingSet:
    """At most so many of the images in the folder `photos`, for networks that enlarge by `scale`.

    Raises InputError where there is none, one is no image or is a file of `measured_on`, or none is large enough.
    """
    paths, least = folder.choose(photos, most), scale * finetune.SIDE
    others = {hashlib.sha256(path.read_bytes()).digest(): path for path in measured_on}
    digest, large_enough = hashlib.sha256(), False
    with progress(len(paths), "photographs", "photograph") as bar:
        for path in paths:
            file = PictureFile(path)
            large_enough |= min(file.height, file.width) >= least
            content = hashlib.sha256(path.read_bytes()).digest()
            if content in others:
                raise InputError(f"{path}: is {others[content].name}, which quality is measured on: expected others")
            digest.update(path.name.encode() + content)
            bar.update()
    if not large_enough:
        raise InputError(f"{photos}: no photograph is large enough: expected at least {least} x {least} pixels")
    return TrainingSet(tuple(paths), digest.hexdigest()[:16])
