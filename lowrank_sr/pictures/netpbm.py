"""PGM and PPM of 16 bits a channel, of which Pillow keeps 8, or none.

Specification: https://netpbm.sourceforge.net/doc/pgm.html and ppm.html. After the header P5 and P6 have the samples as
two bytes each, P2 and P3 as decimal numbers; the header says the greatest, which is white.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lowrank_sr.pictures.formats import StoredPicture, rows_of

_BETWEEN = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([2356])" + _BETWEEN + rb"(\d+)" + _BETWEEN + rb"(\d+)" + _BETWEEN + rb"(\d+)\s")
_HEADER_BYTES = 4096  # comments among them
_WHITE = 65_535
_DIGITS = 16  # bytes of a decimal number with what stands between two, at most
_BYTES_OF_DECIMALS = 70  # a sample, while Python's texts and numbers of all of them are held


def open_netpbm16(path: Path) -> StoredPicture | None:
    """A PGM or PPM whose samples are greater than 255; None for another file."""
    with path.open("rb") as file:
        header = _HEADER.match(file.read(_HEADER_BYTES))
    if header is None:
        return None
    kind, width, height, most = map(int, header.groups())
    if not 255 < most <= _WHITE:
        return None
    channels = 1 if kind in (2, 5) else 3
    row = max(1, 2 * width * channels)
    decimals = kind in (2, 3)
    return StoredPicture(
        height=height,
        width=width,
        channels=channels,
        dtype=np.dtype(np.uint16),
        orientation=None,
        icc=None,
        bands=_bands(path, header.end(), (height, width, channels), most, decimals),
        decoding_bytes=_BYTES_OF_DECIMALS * height * width * channels
        if decimals
        else 10 * row * min(height, rows_of(row)),
        frames=1,
    )


def _bands(path: Path, start: int, shape: tuple[int, int, int], most: int, decimals: bool) -> Iterator[np.ndarray]:
    """The rows, 65535 where the file has its greatest sample; ValueError where they are too few, or greater."""
    height, width, channels = shape
    with path.open("rb") as file:
        file.seek(start)
        step = height if decimals else rows_of(2 * width * channels)
        for top in range(0, height, step):
            rows = min(step, height - top)
            count = rows * width * channels
            samples = _decimals(file, count) if decimals else _words(file, count)
            if len(samples) < count:
                raise ValueError(f"{len(samples)} of {count} samples")
            if samples.max() > most or samples.min() < 0:
                raise ValueError(f"samples of {samples.min()} to {samples.max()}, and its header says 0 to {most}")
            scaled = samples if most == _WHITE else np.rint(samples * (_WHITE / most))
            yield scaled.astype(np.uint16).reshape(rows, width, channels)


def _words(file: BinaryIO, count: int) -> np.ndarray:
    read = file.read(2 * count)
    return np.frombuffer(read, ">u2", len(read) // 2)


def _decimals(file: BinaryIO, count: int) -> np.ndarray:
    return np.array(file.read(_DIGITS * count).split()[:count], np.int64)
