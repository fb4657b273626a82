"""PNG with 16 bits a channel, which Pillow cuts to 8 bits where there is more than one channel.

Specification: https://www.w3.org/TR/png-3/, from which the section numbers are.
"""

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lowrank_sr.machine.compiled import compiled

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 4: 2, 2: 3, 6: 4}  # by colour type: grey, grey + alpha, RGB, RGBA
_COLOUR_TYPES = {channels: colour_type for colour_type, channels in _CHANNELS.items()}
# Passes of an interlaced image: first row, first column, and the steps from row to row and column to column.
_Pass = tuple[int, int, int, int]
_WITHOUT_INTERLACE: list[_Pass] = [(0, 0, 1, 1)]
_ADAM7: list[_Pass] = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def is_png16(start: bytes) -> bool:
    """Tell whether these are the first 25 bytes, or more, of a PNG with 16 bits a channel."""
    return start.startswith(_SIGNATURE) and start[24:25] == b"\x10"


def read_png16(path: Path) -> np.ndarray:
    """Return the pixels of a 16-bit PNG: (H, W, C) uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.

    A transparent colour (tRNS) becomes an alpha channel. A damaged or incomplete file raises ValueError,
    IndexError, struct.error or zlib.error.
    """
    chunks: dict[bytes, list[bytes]] = defaultdict(list)
    for name, content in _chunks(path.read_bytes()):
        chunks[name].append(content)
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    if depth != 16 or colour_type not in _CHANNELS:
        raise ValueError(f"{depth} bits of PNG colour type {colour_type}")
    pixels = np.empty((height, width, _CHANNELS[colour_type]), np.uint16)
    _fill(pixels, b"".join(chunks[b"IDAT"]), _ADAM7 if interlaced else _WITHOUT_INTERLACE)
    if not chunks[b"tRNS"]:
        return pixels
    opaque = (pixels != np.frombuffer(chunks[b"tRNS"][0], ">u2")).any(axis=2, keepdims=True)
    return np.concatenate([pixels, opaque * np.uint16(65535)], axis=2)


def write_png16(path: Path, pixels: np.ndarray, icc: bytes | None = None) -> None:
    """Write (H, W, C) uint16 pixels, C as in `read_png16`, with an ICC profile where one is given."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # filter type 2, Up, on every row
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.uint8(0))
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0))
        if icc is not None:
            _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
        _write_chunk(file, b"IDAT", zlib.compress(filtered.data))
        _write_chunk(file, b"IEND", b"")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk up to the end chunk (section 5.3), checksums verified."""
    position = len(_SIGNATURE)
    name = b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[position + 4 : end]) != checksum:
            raise ValueError(f"broken checksum of the PNG chunk {name!r}")
        yield name, data[position + 8 : end]
        position = end + 4


def _write_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))


def _fill(pixels: np.ndarray, compressed: bytes, passes: list[_Pass]) -> None:
    """Decompress into `pixels`, pass by pass: each is an image of every n-th row and column (section 8)."""
    parts = [pixels[row::row_step, column::column_step] for row, column, row_step, column_step in passes]
    parts = [part for part in parts if part.size]
    sizes = [part.nbytes + part.shape[0] for part in parts]  # each row begins with its filter type
    # The limit keeps a few hostile bytes from unfolding into gigabytes.
    filtered = np.frombuffer(zlib.decompressobj().decompress(compressed, sum(sizes)), np.uint8)
    if filtered.size < sum(sizes):
        raise ValueError("incomplete PNG image data")
    for part, rows in zip(parts, np.split(filtered, np.cumsum(sizes)[:-1]), strict=True):
        rows = rows.reshape(part.shape[0], -1)
        samples = _unfilter(rows[:, 0], rows[:, 1:], 2 * part.shape[2])
        part[...] = samples.view(">u2").reshape(part.shape)


@compiled()
def _unfilter(types: np.ndarray, filtered: np.ndarray, step: int) -> np.ndarray:
    """Undo the filter of each row (section 9.2); `step` is the number of bytes a pixel."""
    height, width = filtered.shape
    out = np.zeros((height + 1, step + width), np.uint8)  # a row and a pixel of zeros before the first
    for y in range(height):
        for x in range(width):
            left = np.int64(out[y + 1, x])
            above = np.int64(out[y, x + step])
            corner = np.int64(out[y, x])
            predicted = np.int64(0)
            if types[y] == 1:
                predicted = left
            elif types[y] == 2:
                predicted = above
            elif types[y] == 3:
                predicted = (left + above) // 2
            elif types[y] == 4:
                to_left = abs(above - corner)
                to_above = abs(left - corner)
                to_corner = abs(left + above - 2 * corner)
                if to_left <= to_above and to_left <= to_corner:
                    predicted = left
                else:
                    predicted = above if to_above <= to_corner else corner
            elif types[y] != 0:
                raise ValueError("unknown PNG filter type")
            out[y + 1, x + step] = (filtered[y, x] + predicted) & 255
    return out[1:, step:].copy()
