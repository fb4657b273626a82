"""What a picture file holds besides pixels, and its enlargement keeps: EXIF (JEITA CP-3451) and resolution."""

import math
from contextlib import suppress
from dataclasses import dataclass
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
_MOST_BYTES = 65_500  # that a JPEG has room for


@dataclass(frozen=True)
class Metadata:
    """What a file says of a picture: an EXIF block without thumbnail, and dots an inch across and down."""

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

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
    return metadata


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
        metadata = Metadata(_copied(exif), _resolution(dpi))
    return metadata


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
