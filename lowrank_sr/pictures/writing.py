"""Picture files written as their rows come, and what can be known before the first one does."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.pictures.formats import SUFFIXES, SUFFIXES_WITH_ALPHA, check_size, encode

if TYPE_CHECKING:
    from lowrank_sr.pictures.metadata import Metadata

Shape = tuple[int, int, int]
"""(H, W, C): C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA."""


def check_format(path: str | os.PathLike[str], shape: Shape) -> None:
    """Raise InputError where the format of `path`'s suffix cannot keep a picture of this shape, or there is none."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: no image format has this suffix; expected {listed(SUFFIXES)}")
    if shape[2] in (2, 4) and suffix not in SUFFIXES_WITH_ALPHA:
        raise InputError(f"{path}: {suffix} cannot keep transparency; expected {listed(SUFFIXES_WITH_ALPHA)}")
    try:
        check_size(suffix, shape)
    except ValueError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error


def write_rows(
    path: str | os.PathLike[str],
    shape: Shape,
    bits: int,
    bands: Iterable[np.ndarray],
    icc: bytes | None,
    described: "Metadata | None" = None,
) -> None:
    """Write an image file in the format of its suffix, or leave what was there: never half a file.

    `bands` are its rows from the top, some at a time: (h, W, C) uint8, or uint16 where `bits` is 16. PNG and TIFF are
    written as they come. WebP is lossless, JPEG of quality 95 with full-resolution colour. The ICC profile is left out
    where it would not fit: of BMP, and of WebP where the image is greyscale, since WebP stores RGB. Of
    `described`, BMP keeps the resolution, WebP the EXIF block, and TIFF the resolution and its own tags' texts.

    Raises InputError as `check_format` does, and where the file cannot be written.
    """
    path = Path(path)
    check_format(path, shape)
    suffix = path.suffix.lower()
    if suffix == ".bmp" or (suffix == ".webp" and shape[2] < 3):
        icc = None
    with replacing(path) as temporary:
        try:
            encode(temporary, suffix, shape, bits, bands, icc, described)
        except InputError:  # of the picture that the rows come from
            raise
        except ValueError as error:
            raise InputError(f"{path}: cannot be written: {error}") from error


def listed(suffixes: Sequence[str]) -> str:
    """Suffixes as a sentence names them."""
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
