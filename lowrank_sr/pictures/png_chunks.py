"""The chunks that a PNG is made of, and those that say something of the picture.

Specification: https://www.w3.org/TR/png-3/, from which the section numbers are.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lowrank_sr.pictures.metadata import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOURS = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_DESCRIBING = (*_TEXTS, *_COLOURS, b"eXIf")
_MOST_DESCRIBING_BYTES = 2**24  # of a chunk
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_ELSEWHERE = (_XMP_KEYWORD, b"Raw profile type ")  # keywords of what is kept otherwise, or speaks of the file as it was
_READ_BYTES = 2**16
_METRES_AN_INCH = 0.0254
_EXIF_PREFIX = b"Exif\0\0"  # which the block has in a JPEG, and not here


def describing(of: Metadata, height: int, width: int) -> Iterator[tuple[bytes, bytes]]:
    """The chunks that say what is known of a picture of this size; those of its colours come first (section 5.6)."""
    yield from of.colour
    if of.dpi is not None:
        x, y = (round(dots / _METRES_AN_INCH) for dots in of.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if (exif := of.of_size(height, width)) is not None:
        yield b"eXIf", exif.removeprefix(_EXIF_PREFIX)
    if of.xmp is not None:
        yield b"iTXt", _XMP_KEYWORD + bytes(4) + of.xmp  # not compressed, in no language
    yield from of.text


def described_in_png(path: Path) -> tuple[Metadata, bytes | None]:
    """What a PNG says of itself that Pillow does not tell, or only after decoding: texts, XMP, colours; and eXIf.

    Chunks that are damaged or very large are left out.
    """
    found: list[tuple[bytes, bytes]] = []
    with path.open("rb") as file:
        following = len(SIGNATURE)
        file.seek(following)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            following += length + 12
            if name in _DESCRIBING and length <= _MOST_DESCRIBING_BYTES:
                with suppress(ValueError, struct.error):
                    found.append((name, b"".join(_content(file, name, length))))
            file.seek(following)
    xmp = next((text for name, content in found if name == b"iTXt" and (text := _xmp(content))), None)
    texts = tuple((name, content) for name, content in found if name in _TEXTS and not content.startswith(_ELSEWHERE))
    colour = tuple((name, content) for name, content in found if name in _COLOURS)
    return Metadata(xmp=xmp, text=texts, colour=colour), dict(found).get(b"eXIf")


def _xmp(content: bytes) -> bytes | None:
    """The XMP packet of an iTXt chunk (section 11.3.3.4): keyword, two flags, language, keyword in it, text."""
    packet = None
    if content.startswith(_XMP_KEYWORD):
        with suppress(IndexError, zlib.error):
            compressed, rest = content[len(_XMP_KEYWORD)], content[len(_XMP_KEYWORD) + 2 :]
            text = rest.split(b"\0", 2)[2]
            packet = zlib.decompressobj().decompress(text, _MOST_DESCRIBING_BYTES) if compressed else text
    return packet


def chunks(file: BinaryIO, stop: bytes) -> Iterator[tuple[bytes, Iterator[bytes]]]:
    """Yield name and content, some bytes at a time, of each chunk before `stop`, checksums verified (section 5.3)."""
    file.seek(len(SIGNATURE))
    while True:
        length, name = struct.unpack(">I4s", file.read(8))
        if name == stop:
            return
        content = _content(file, name, length)
        yield name, content
        for _ in content:  # what nobody has taken
            pass


def _content(file: BinaryIO, name: bytes, length: int) -> Iterator[bytes]:
    checksum = zlib.crc32(name)
    while length:
        read = file.read(min(length, _READ_BYTES))
        if not read:
            raise ValueError("incomplete PNG file")
        length -= len(read)
        checksum = zlib.crc32(read, checksum)
        yield read
    if struct.unpack(">I", file.read(4)) != (checksum,):
        raise ValueError(f"broken checksum of the PNG chunk {name!r}")


def write_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    """Write a chunk, none where it would be empty, but for the last one."""
    if content or name == b"IEND":
        file.write(struct.pack(">I", len(content)) + name)
        file.write(content)
        file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
