"""Image formats: files to the values that they store, and back, some rows at a time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.pictures.rows import BAND_BYTES, StoredPicture

if TYPE_CHECKING:
    from lowrank_sr.pictures.metadata import Metadata


@dataclass(frozen=True)
class Format:
    """A format that is written, and what it can keep; `name` is Pillow's."""

    name: str
    alpha: bool = True
    deep: bool = False  # 16 bits
    in_parts: bool = False  # written as the rows come
    most_pixels_a_side: float = math.inf
    most_bytes: float = math.inf


_JPEG = Format("JPEG", alpha=False, most_pixels_a_side=65_500)
_TIFF = Format("TIFF", deep=True, in_parts=True)
FORMATS = {
    ".png": Format("PNG", deep=True, in_parts=True, most_pixels_a_side=2**31 - 1),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", most_pixels_a_side=16_383),
    ".bmp": Format("BMP", alpha=False, most_bytes=2**32 - 2048),
}
"""The formats that are written, by suffix."""

SUFFIXES = tuple(FORMATS)
READ_SUFFIXES = (*SUFFIXES, ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif")
READ_FORMATS = "PNG, JPEG, TIFF, WebP, BMP, GIF, PPM, AVIF or HEIC"
SUFFIXES_WITH_16_BITS = tuple(suffix for suffix, format in FORMATS.items() if format.deep)
SUFFIXES_WRITTEN_IN_PARTS = tuple(suffix for suffix, format in FORMATS.items() if format.in_parts)
SUFFIXES_WITH_ALPHA = tuple(suffix for suffix, format in FORMATS.items() if format.alpha)

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SINGLE_SIGNATURES = (b"\xff\xd8\xff", b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")  # of formats with one picture
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", *_SINGLE_SIGNATURES, *_TIFF_SIGNATURES)
_BOX = slice(4, 8)  # "ftyp" of ISO/IEC 14496-12, of which AVIF and HEIC are kinds by the brands that follow
_BRANDS = slice(8, 25)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_SIGNATURE_BYTES = 25  # enough for the signatures, and for the bit depth of a PNG


def frames(path: Path) -> list[int]:
    """The numbers, from 0, of an image file's frames or pages; smaller copies of a page are left out.

    Raises what `open_stored` does, where that shows so early.
    """
    from lowrank_sr.pictures import by_pillow, tiff

    start = _start(path)
    if start.startswith(_TIFF_SIGNATURES):
        return tiff.pages(path)
    return [0] if start.startswith(_SINGLE_SIGNATURES) else by_pillow.frames(path)


def open_stored(path: Path, frame: int = 0) -> StoredPicture:
    """Open a frame or page of an image file, whose content decides the format; nothing is decoded yet.

    Damaged and unknown files raise ValueError, OSError or whatever else the decoder of the format raises.
    """
    from lowrank_sr.pictures import by_pillow, tiff  # here, since they would make `import lowrank_sr` slow

    start = _start(path)
    in_parts = tiff.open_tiff(path, frame) if start.startswith(_TIFF_SIGNATURES) else None
    return in_parts or by_pillow.open_by_pillow(path, start, frame)


def _start(path: Path) -> bytes:
    """The first bytes of an image file; raises ValueError where no known format begins with them."""
    if path.exists() and not path.is_file() and not path.is_dir():  # opening a named pipe would wait for ever
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        start = file.read(_SIGNATURE_BYTES)
    if start[_BOX] == b"ftyp":
        if any(brand in start[_BRANDS] for brand in _HEIF_BRANDS) and b"avi" not in start[_BRANDS]:
            _open_heif()
    elif not start.startswith(_SIGNATURES):
        raise ValueError("its content is not an image of a known format" if start else "it is empty")
    return start


def _open_heif() -> None:
    """Let Pillow read HEIC."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ValueError("HEIC is read by pillow-heif, which pip install 'lowrank-sr[heif]' adds") from None
    register_heif_opener()


def encode(
    path: Path,
    suffix: str,
    shape: tuple[int, int, int],
    bits: int,
    bands: Iterable[np.ndarray],
    icc: bytes | None,
    described: "Metadata | None" = None,
) -> None:
    """Write an image file in the format of `suffix`.

    `bands` are the rows of the (H, W, C) uint8 values, or uint16 where `bits` is 16, from the top, some at a time;
    C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. Raises ValueError for a format's own limit, and OSError.
    """
    from lowrank_sr.pictures import by_pillow, png, tiff

    if suffix in (".tif", ".tiff"):
        tiff.write_tiff(path, shape, np.dtype(f"u{bits // 8}"), bands, icc, described)
    elif suffix == ".png":
        exif = None if described is None else described.of_size(*shape[:2])
        png.write_png(path, shape, bands, icc, exif, None if described is None else described.dpi)
    else:
        by_pillow.write_by_pillow(path, suffix, shape, bands, icc, described)


def encoding_bytes(suffix: str, shape: tuple[int, int, int], bits: int) -> int:
    """The most memory that `encode` needs in addition to the band that it is given."""
    from lowrank_sr.pictures import by_pillow

    if suffix in SUFFIXES_WRITTEN_IN_PARTS:
        row = shape[1] * shape[2] * bits // 8
        return 4 * max(BAND_BYTES, row)
    return by_pillow.encoding_bytes(suffix, *shape)


def check_size(suffix: str, shape: tuple[int, int, int]) -> None:
    """Raise ValueError where the format of `suffix` has no room for (H, W, C) values."""
    height, width, channels = shape
    most = FORMATS[suffix].most_pixels_a_side
    if max(height, width) > most:
        raise ValueError(f"{width} x {height} pixels, and {suffix} has at most {most} a side; expected .png or .tif")
    if height * (width * channels + 3) > FORMATS[suffix].most_bytes:
        raise ValueError(f"{width} x {height} pixels are more than {suffix} has room for; expected .png or .tif")
