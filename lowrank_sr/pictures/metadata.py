"""What a picture file holds besides pixels, and its enlargement keeps where its format has a place for it.

EXIF (JEITA CP-3451) and resolution; XMP (ISO 16684-1), which a text editor or a generator of pictures may have written;
IPTC-IIM; and of a PNG its own texts, and what it says of its colours.
"""

import math
import re
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import PIL.Image

ORIENTATION = 0x0112  # EXIF's tag, and TIFF's; the only one of these that changes: the pixels are turned upright
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)  # description, make, ..., copyright
_XP_TEXTS = (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
_COPIED = (*_TEXTS, *_XP_TEXTS, _EXIF_IFD, _GPS_IFD)
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_CENTIMETRE = 3
_XMP, _IPTC = 700, 33723
_PHOTOSHOP_IPTC = 0x0404  # the resource of Photoshop's block in a JPEG
_MOST_BYTES = 65_500  # that a JPEG has room for

Chunks = tuple[tuple[bytes, bytes], ...]
"""Chunks of a PNG: name and content."""


@dataclass(frozen=True)
class Metadata:
    """What a file says of a picture: an EXIF block without thumbnail, dots an inch across and down, XMP, IPTC-IIM.

    Of a PNG also the chunks of `text`, and those of `colour`: how its values are to be shown.
    """

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    text: Chunks = ()
    colour: Chunks = ()

    def stripped(self) -> "Metadata":
        """What is left without all that describes the picture: how its colours are to be shown."""
        return Metadata(colour=self.colour)

    def joined(self, of_png: "Metadata") -> "Metadata":
        """The same with what a PNG says."""
        return replace(self, xmp=of_png.xmp or self.xmp, text=of_png.text, colour=of_png.colour)

    def for_upright(self, height: int, width: int) -> "Metadata":
        """The same for a picture of this size whose rows lie as they are seen."""
        xmp = self.xmp
        for name, value in ((b"Orientation", 1), *_sides(height, width)):
            found = rb"((?:tiff|exif):" + name + rb"(?:\s*=\s*[\"']|>))\d+"
            xmp = xmp and re.sub(found, rb"\g<1>" + str(value).encode(), xmp)
        return replace(self, xmp=xmp)

    def of_size(self, height: int, width: int) -> bytes | None:
        """The EXIF block, as it stands in a JPEG, for a picture of this size; None where a JPEG has no room for it."""
        if self.exif is None:
            return None
        exif = PIL.Image.Exif()
        exif.load(self.exif)
        inner = exif.get_ifd(_EXIF_IFD)
        for tag, side in ((_PIXEL_X, width), (_PIXEL_Y, height)):
            if tag in inner:
                inner[tag] = side
        block = exif.tobytes()
        return block if len(block) <= _MOST_BYTES else None

    def blocks(self) -> dict[int, bytes]:
        """What TIFF has tags for as it is, XMP and IPTC-IIM, by tag."""
        return {tag: block for tag, block in ((_XMP, self.xmp), (_IPTC, self.iptc)) if block is not None}

    def texts(self) -> dict[int, str]:
        """The texts that TIFF has tags for, by tag."""
        if self.exif is None:
            return {}
        exif = PIL.Image.Exif()
        exif.load(self.exif)
        return {tag: exif[tag] for tag in _TEXTS if isinstance(exif.get(tag), str) and exif[tag]}


def of_image(image: PIL.Image.Image) -> Metadata:
    """What Pillow has found; nothing where it is damaged."""
    metadata = Metadata()
    with suppress(Exception):  # a picture is not refused for what it says of itself
        metadata = Metadata(_copied(PIL.Image.Image.getexif(image)), _resolution(image.info.get("dpi")))
    resources = image.info.get("photoshop")
    iptc = resources.get(_PHOTOSHOP_IPTC) if isinstance(resources, dict) else None
    return replace(metadata, xmp=_bytes(image.info.get("xmp")), iptc=_bytes(iptc))


def of_tiff(path: Path) -> Metadata:
    """What the tags of a TIFF's first page say; nothing where they are damaged."""
    metadata = Metadata()
    with suppress(Exception), path.open("rb") as file:
        exif = PIL.Image.Exif()
        exif.load_from_fp(file)
        inches = 2.54 if exif.get(_RESOLUTION_UNIT) == _CENTIMETRE else 1
        dpi = None
        if _X_RESOLUTION in exif and exif.get(_RESOLUTION_UNIT, 2) != 1:
            dpi = tuple(inches * float(exif[tag]) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
        metadata = Metadata(_copied(exif), _resolution(dpi), _bytes(exif.get(_XMP)), _packed(exif, _IPTC))
    return metadata


def for_jpeg(xmp: bytes | None) -> bytes | None:
    """XMP, where a JPEG has room for it."""
    return xmp if xmp is not None and len(xmp) <= _MOST_BYTES else None


def photoshop_segment(iptc: bytes | None) -> bytes | None:
    """The segment of a JPEG that holds IPTC-IIM, as Photoshop writes it; None where it has no room for that."""
    if iptc is None or len(iptc) > _MOST_BYTES - 32:
        return None
    resource = b"8BIM" + struct.pack(">HHI", _PHOTOSHOP_IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", 2 + len(content)) + content


def _packed(exif: PIL.Image.Exif, tag: int) -> bytes | None:
    """A tag's bytes, also where its writer has declared them as numbers of 32 bits."""
    value = exif.get(tag)
    if isinstance(value, tuple):
        return struct.pack(f"{exif.endian}{len(value)}I", *value)
    return _bytes(value)


def _bytes(value: Any) -> bytes | None:
    """Bytes as they are, where there are some."""
    return value if isinstance(value, bytes) and value else None


def _sides(height: int, width: int) -> list[tuple[bytes, int]]:
    """What XMP calls the sides of a picture."""
    across, down = (b"ImageWidth", b"PixelXDimension"), (b"ImageLength", b"PixelYDimension")
    return [(name, side) for names, side in ((across, width), (down, height)) for name in names]


def _copied(exif: PIL.Image.Exif) -> bytes | None:
    """The tags that describe a picture, and not how a file stores it."""
    copy = PIL.Image.Exif()
    for tag in _COPIED:
        value = exif.get_ifd(tag) if tag in (_EXIF_IFD, _GPS_IFD) else exif.get(tag)
        if value:
            copy[tag] = value
    if not len(copy):
        return None
    copy[ORIENTATION] = 1
    return copy.tobytes()


def _resolution(dpi: Any) -> tuple[float, float] | None:
    if dpi is None:
        return None
    x, y = map(float, dpi)
    return (x, y) if all(math.isfinite(value) and 0 < value < 2**16 for value in (x, y)) else None
