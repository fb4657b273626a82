"""PNG in rows: reading 16 bits a channel, which Pillow cuts to 8 bits; writing 8 and 16 bits as the rows come.

Specification: https://www.w3.org/TR/png-3/, from which the section numbers are.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lowrank_sr.pictures.formats import rows_of
from lowrank_sr.pictures.metadata import Metadata
from lowrank_sr.pictures.png_chunks import SIGNATURE, chunks, describing, write_chunk
from lowrank_sr.pictures.png_filters import filter_rows, unfilter

_CHANNELS = {0: 1, 4: 2, 2: 3, 6: 4}  # by colour type: grey, grey + alpha, RGB, RGBA
_COLOUR_TYPES = {channels: colour_type for colour_type, channels in _CHANNELS.items()}
_LEVEL = 6  # zlib's own default, and Pillow's
# Passes of an interlaced image: first row, first column, and the steps from row to row and column to column.
_Pass = tuple[int, int, int, int]
_ADAM7: list[_Pass] = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def is_png16(start: bytes) -> bool:
    """Tell whether these are the first 25 bytes, or more, of a PNG with 16 bits a channel."""
    return start.startswith(SIGNATURE) and start[24:25] == b"\x10"


class Png16:
    """A PNG of 16 bits a channel: its header, and its rows."""

    def __init__(self, path: Path) -> None:
        """Read the header; a damaged one raises ValueError, KeyError or struct.error."""
        self._path = path
        with path.open("rb") as file:
            before_pixels = {name: b"".join(content) for name, content in chunks(file, stop=b"IDAT")}
        self.width, self.height, depth, self._colour_type, _, _, self.interlaced = struct.unpack(
            ">IIBBBBB", before_pixels[b"IHDR"]
        )
        if depth != 16 or self._colour_type not in _CHANNELS or not (self.width and self.height):
            raise ValueError(f"{depth} bits of PNG colour type {self._colour_type}")
        self._transparent = before_pixels.get(b"tRNS")

    @property
    def channels(self) -> int:
        """1 grey, 2 grey + alpha, 3 RGB, 4 RGBA; a transparent colour (tRNS) becomes an alpha channel."""
        return _CHANNELS[self._colour_type] + (self._transparent is not None)

    @property
    def decoding_bytes(self) -> int:
        """The most memory that `bands` needs."""
        row: int = 2 * self.width * self.channels
        return 6 * row * int(self.height if self.interlaced else min(self.height, rows_of(row)))

    def bands(self) -> Iterator[np.ndarray]:
        """Yield all rows, (h, W, C) uint16, from the top; those of an interlaced picture at once.

        A damaged or incomplete file raises ValueError, IndexError, struct.error or zlib.error.
        """
        with self._path.open("rb") as file:
            for pixels in self._interlaced(file) if self.interlaced else self._in_order(file):
                if self._transparent is None:
                    yield pixels
                else:
                    opaque = (pixels != np.frombuffer(self._transparent, ">u2")).any(axis=2, keepdims=True)
                    yield np.concatenate([pixels, opaque * np.uint16(65535)], axis=2)

    def _in_order(self, file: BinaryIO) -> Iterator[np.ndarray]:
        step = 2 * _CHANNELS[self._colour_type]
        row_bytes = step * self.width
        rows = rows_of(row_bytes)
        data = _ImageData(file)
        above = np.zeros(row_bytes, np.uint8)
        for row in range(0, self.height, rows):
            count = min(rows, self.height - row)
            filtered = data.take((1 + row_bytes) * count).reshape(count, -1)
            samples = unfilter(filtered[:, 0], filtered[:, 1:], above, step)
            above = samples[-1]
            yield samples.view(">u2").reshape(count, self.width, -1).astype(np.uint16)
        data.finish()

    def _interlaced(self, file: BinaryIO) -> Iterator[np.ndarray]:
        """Pass by pass: each is an image of every n-th row and column (section 8)."""
        pixels = np.empty((self.height, self.width, _CHANNELS[self._colour_type]), np.uint16)
        passes = [pixels[row::row_step, column::column_step] for row, column, row_step, column_step in _ADAM7]
        data = _ImageData(file)
        for values in passes:
            if values.size:
                filtered = data.take(values.nbytes + len(values)).reshape(len(values), -1)
                nothing = np.zeros(filtered.shape[1] - 1, np.uint8)
                samples = unfilter(filtered[:, 0], filtered[:, 1:], nothing, 2 * values.shape[2])
                values[...] = samples.view(">u2").reshape(values.shape)
        data.finish()
        yield pixels


def write_png(
    path: Path,
    shape: tuple[int, int, int],
    bands: Iterable[np.ndarray],
    icc: bytes | None = None,
    described: Metadata | None = None,
) -> None:
    """Write a picture of (H, W, C) uint8 or uint16 values as its rows come, with what else is given.

    `bands` are its rows from the top, one or more at a time; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. No more than
    one band of them is held, and what it is filtered and compressed to.
    """
    height, width, channels = shape
    compressor = zlib.compressobj(_LEVEL)
    above: np.ndarray | None = None
    with path.open("wb") as file:
        file.write(SIGNATURE)
        for band in bands:
            if above is None:
                bits = 8 * band.dtype.itemsize
                header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
                write_chunk(file, b"IHDR", header)
                if icc is not None:
                    write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
                for name, content in describing(described or Metadata(), height, width):
                    write_chunk(file, name, content)
                above = np.zeros(width * channels * band.dtype.itemsize, np.uint8)
            samples = band.astype(band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
            filtered = filter_rows(samples, above, channels * band.dtype.itemsize)
            write_chunk(file, b"IDAT", compressor.compress(filtered.data))
            above = samples[-1].copy()
        write_chunk(file, b"IDAT", compressor.flush())
        write_chunk(file, b"IEND", b"")


class _ImageData:
    """The decompressed content of the IDAT chunks, as it is needed: a few hostile bytes may unfold into gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        """The image data of a PNG file."""
        self._compressed = chain.from_iterable(
            content for name, content in chunks(file, stop=b"IEND") if name == b"IDAT"
        )
        self._decompressor = zlib.decompressobj()
        self._waiting = b""

    def take(self, size: int) -> np.ndarray:
        """The next `size` bytes."""
        taken = bytearray()
        while len(taken) < size:
            inflated = self._decompressor.decompress(self._waiting, size - len(taken))
            self._waiting = self._decompressor.unconsumed_tail
            taken += inflated
            if not inflated and not self._waiting:
                self._waiting = next(self._compressed, b"")
                if not self._waiting:
                    raise ValueError("incomplete PNG image data")
        return np.frombuffer(taken, np.uint8)

    def finish(self) -> None:
        """Read to the end chunk: a file without one is no complete picture."""
        for _ in self._compressed:
            pass
