"""What a study is run on, and how much of it is measured."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.compression.calibration import read_pictures
from lowrank_sr.conv.methods import METHODS
from lowrank_sr.errors import InputError
from lowrank_sr.machine import cpu
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.images import Image, images_in
from lowrank_sr.pictures.pairs import Pair, find_pairs
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.resources import DEFAULT_NETWORK, IMAGES, SMALL_NETWORK, weights_file
from lowrank_sr.study.technique import DIRECT, FORMS, Technique, compared, finetuned
from lowrank_sr.text import progress
from lowrank_sr.training import finetune
from lowrank_sr.training.folder import MOST_PHOTOGRAPHS, choose


@dataclass(frozen=True)
class Extent:
    """How much a full study measures: sides are of square pictures at low resolution, in pixels."""

    pictures: int | None = None  # enlarged, the smallest ones, at most; None for all
    calibration: int | None = None  # crops of the bundled pictures to calibrate on; None for all
    rounds: int = 7
    side: int = 96
    memory_sides: tuple[int, ...] = (32, 64, 96, 128, 256)
    speedups: tuple[float, ...] = (
        1.5,
        2,
        3,
        4,
        6,
    )  # theoretical, of the whole network, for factors of the kernels alone
    fitted_speedups: tuple[float, ...] = (1.5, 2, 3, 4, 6)  # the same for fitted factors, which take longer to compute
    block_speedups: tuple[float, ...] = (1.25, 1.5, 2)  # the same for factors of the kernels of the dense blocks alone
    ablated: tuple[str, ...] = ("svd", "cp")  # the forms of the ablation
    every_combination: bool = True  # of ranks, layers and factors, or only those that say where the loss comes from
    every_layer_alone: bool = True  # or only those outside the dense blocks
    marked: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1)  # fractions of the layers that a threshold marks
