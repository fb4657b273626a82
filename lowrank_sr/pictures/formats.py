"""Image formats: what each can keep, and a picture as its file stores it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lowrank_sr.pictures.metadata import Metadata

BAND_BYTES = 2**22  # of the rows that are decoded or compressed at a time
SIDES_CHANGED = (5, 6, 7, 8)  # orientations of pictures whose columns are stored as rows


@dataclass(frozen=True)
class Format:
    """A format that is written, and what it can keep; `name` is Pillow's."""

    name: str
    alpha: bool = True
    deep: bool = False  # 16 bits
    by_rows: bool = False  # written as the rows come
    quality: bool = False  # a number of 1 to 100, for less of it in fewer bytes
    most_pixels_a_side: float = math.inf
    most_bytes: float = math.inf


_JPEG = Format("JPEG", alpha=False, quality=True, most_pixels_a_side=65_500)
_TIFF = Format("TIFF", deep=True, by_rows=True)
FORMATS = {
    ".png": Format("PNG", deep=True, by_rows=True, most_pixels_a_side=2**31 - 1),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", quality=True, most_pixels_a_side=16_383),
    ".bmp": Format("BMP", alpha=False, most_bytes=2**32 - 2048),
}
"""The formats that are written, by suffix."""

SUFFIXES = tuple(FORMATS)
READ_SUFFIXES = (
    *(*SUFFIXES, ".jpe", ".jfif", ".jif", ".apng", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".avif", ".avifs", ".heic", ".heif", ".hif"),
)
READ_FORMATS = "PNG, JPEG, TIFF, WebP, BMP, GIF, PPM, AVIF or HEIC"
SUFFIXES_WITH_16_BITS = tuple(suffix for suffix, format in FORMATS.items() if format.deep)
SUFFIXES_WRITTEN_BY_ROWS = tuple(suffix for suffix, format in FORMATS.items() if format.by_rows)
SUFFIXES_WITH_QUALITY = tuple(suffix for suffix, format in FORMATS.items() if format.quality)
SUFFIXES_WITH_ALPHA = tuple(suffix for suffix, format in FORMATS.items() if format.alpha)


def listed(suffixes: Sequence[str]) -> str:
    """Suffixes as a sentence names them."""
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"


@dataclass(frozen=True)
class StoredPicture:
    """What an image file stores: its header, and its rows, which are decoded as they are taken.

    Attributes
    ----------
    height, width : int
        Of the rows and columns in the file.
    channels : int
        1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
    dtype : np.dtype
        uint8 or uint16.
    orientation : int or None
        How the rows and columns lie, by EXIF (JEITA CP-3451, tag 274).
    icc : bytes or None
        ICC profile of the colours.
    bands : iterator of (h, width, channels) arrays
        All rows from the first to the last; damaged and incomplete files raise whatever the format's decoder raises.
    decoding_bytes : int
        The most memory that the decoder needs while it gives them.
    metadata : Metadata or None
        What else the file says.
    frame : int
    frames : int or None
        Which of the file's frames or pages it is, from 0, and how many there are; None where that was not asked for.
    notice : str or None
        What its user should know of how it is read.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype
    orientation: int | None
    icc: bytes | None
    bands: Iterator[np.ndarray]
    decoding_bytes: int
    metadata: "Metadata | None" = None
    frame: int = 0
    frames: int | None = None
    notice: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where a damaged header gives no size, or none that a picture has."""
        sides = (self.height, self.width)
        if not all(isinstance(side, int) and side > 0 for side in sides) or self.channels not in (1, 2, 3, 4):
            raise ValueError(f"{self.width} x {self.height} pixels of {self.channels} channels")

    @property
    def stored_bytes(self) -> int:
        """Bytes of all values."""
        return self.height * self.width * self.channels * self.dtype.itemsize

    def all_rows(self) -> np.ndarray:
        """All rows as one (height, width, channels) array."""
        whole = np.empty((self.height, self.width, self.channels), self.dtype)
        row = 0
        for band in self.bands:
            whole[row : row + len(band)] = band
            row += len(band)
        if row < self.height:
            raise ValueError(f"{row} of {self.height} rows")
        return whole


def rows_of(byte_count: int) -> int:
    """How many rows of `byte_count` bytes make a band."""
    return max(1, BAND_BYTES // byte_count)
