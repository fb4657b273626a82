"""The photographs of a folder: which of them are used, and read."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.text import progress
from lowrank_sr.training.crops import Photograph, photographs

MOST_PHOTOGRAPHS = 1000  # 1.9 GB at most


def choose(folder: str | os.PathLike[str], most: int = MOST_PHOTOGRAPHS) -> list[Path]:
    """At most so many of the images in a folder, spread evenly over their names; raises InputError as `images_in`."""
    paths = images_in(folder)
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), most)).round().astype(int)
    return [paths[i] for i in chosen]


def read(paths: Sequence[Path], scale: int, side: int, with_teacher: bool) -> list[Photograph]:
    """The images `paths`, prepared as `crops.photographs` does; raises InputError as that and `read_image` do."""
    with progress(len(paths), "photographs", "photograph") as bar:

        def pixels(path: Path) -> np.ndarray:
            bar.update()
            return read_image(path).pixels

        return photographs(map(pixels, paths), scale, side, with_teacher)
