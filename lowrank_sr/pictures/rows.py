"""Pictures as their files store them, some rows at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lowrank_sr.pictures.metadata import Metadata

BAND_BYTES = 2**22  # of the rows that are decoded, rounded or compressed at a time
SIDES_CHANGED = (5, 6, 7, 8)  # orientations of pictures whose columns are stored as rows


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

    def __post_init__(self) -> None:
        """Raise ValueError where a damaged header gives no size, or none that a picture has."""
        if not all(isinstance(n, int) and n > 0 for n in (self.height, self.width)) or self.channels not in (
            1,
            2,
            3,
            4,
        ):
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


def regrouped(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows, `rows` at a time; fewer at the end."""
    waiting: list[np.ndarray] = []
    count = 0
    for band in bands:
        while count + len(band) >= rows:
            taken = rows - count
            yield np.concatenate([*waiting, band[:taken]]) if waiting else band[:taken]
            waiting, count, band = [], 0, band[taken:]
        if len(band):
            waiting.append(band)
            count += len(band)
    if waiting:
        yield np.concatenate(waiting)
