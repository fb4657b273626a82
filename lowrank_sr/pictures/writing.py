"""Picture files written as their rows come, and what can be known before the first one does."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.pictures.formats import (
    BAND_BYTES,
    FORMATS,
    SUFFIXES,
    SUFFIXES_WITH_ALPHA,
    SUFFIXES_WITH_QUALITY,
    SUFFIXES_WRITTEN_BY_ROWS,
    listed,
)

if TYPE_CHECKING:
    from lowrank_sr.pictures.metadata import Metadata

Shape = tuple[int, int, int]
"""(H, W, C): C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA."""


def check_format(path: str | os.PathLike[str], shape: Shape, quality: int | None = None) -> None:
    """Raise InputError where the format of `path`'s suffix has no room for a picture of this shape, or no such quality.

    And where there is no format of that suffix.
    """
    height, width, channels = shape
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: no image format has this suffix; expected {listed(SUFFIXES)}")
    form = FORMATS[suffix]
    if channels in (2, 4) and not form.alpha:
        raise InputError(f"{path}: {suffix} cannot keep transparency; expected {listed(SUFFIXES_WITH_ALPHA)}")
    if quality is not None and not form.quality:
        raise InputError(f"{path}: {suffix} has no quality to choose; expected {listed(SUFFIXES_WITH_QUALITY)}")
    size, expected = f"{path}: cannot be written: {width} x {height} pixels", "expected .png or .tif"
    if max(height, width) > form.most_pixels_a_side:
        raise InputError(f"{size}, and {suffix} has at most {form.most_pixels_a_side} a side; {expected}")
    if height * (width * channels + 3) > form.most_bytes:
        raise InputError(f"{size} are more than {suffix} has room for; {expected}")


def write_rows(
    path: str | os.PathLike[str],
    shape: Shape,
    bits: int,
    bands: Iterable[np.ndarray],
    icc: bytes | None,
    described: "Metadata | None" = None,
    quality: int | None = None,
) -> None:
    """Write an image file in the format of its suffix, or leave what was there: never half a file.

    `bands` are its rows from the top, at most BAND_BYTES at a time, or one: (h, W, C) uint8, or uint16 where `bits` is
    16. PNG and TIFF are written as they come. WebP is lossless and JPEG of quality 95, with full-resolution colour, or
    both of `quality`, 1 to 100. The ICC profile is left out where it would not fit: of BMP, and of WebP where the image
    is greyscale, since WebP stores RGB. Of `described`, BMP keeps the resolution, WebP EXIF and XMP, TIFF the
    resolution, its own tags' texts, XMP and IPTC, JPEG and PNG everything but what only the other has.

    Raises InputError as `check_format` does, and where the file cannot be written.
    """
    path = Path(path)
    check_format(path, shape, quality)
    suffix = path.suffix.lower()
    if suffix == ".bmp" or (suffix == ".webp" and shape[2] < 3):
        icc = None
    with replacing(path) as temporary:
        try:
            _encode(temporary, suffix, shape, bits, bands, icc, described, quality)
        except InputError:  # of the picture that the rows come from
            raise
        except ValueError as error:
            raise InputError(f"{path}: cannot be written: {error}") from error


def _encode(
    path: Path,
    suffix: str,
    shape: tuple[int, int, int],
    bits: int,
    bands: Iterable[np.ndarray],
    icc: bytes | None,
    described: "Metadata | None" = None,
    quality: int | None = None,
) -> None:
    """Write an image file in the format of `suffix`; raises ValueError for a format's own limit, and OSError."""
    from lowrank_sr.pictures import by_pillow, png, tiff  # here, since Pillow would slow `import lowrank_sr`

    if suffix in (".tif", ".tiff"):
        tiff.write_tiff(path, shape, np.dtype(f"u{bits // 8}"), bands, icc, described)
    elif suffix == ".png":
        png.write_png(path, shape, bands, icc, described)
    else:
        by_pillow.write_by_pillow(path, suffix, shape, bands, icc, described, quality)


def encoding_bytes(suffix: str, shape: tuple[int, int, int], bits: int) -> int:
    """The most memory that `write_rows` needs in addition to the band that it is given."""
    from lowrank_sr.pictures import by_pillow

    if suffix in SUFFIXES_WRITTEN_BY_ROWS:
        row = shape[1] * shape[2] * bits // 8
        return 4 * max(BAND_BYTES, row)
    return by_pillow.encoding_bytes(suffix, *shape)
