"""Image formats: PNG, JPEG, TIFF, WebP and BMP to the values that they store, and back, some rows at a time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lowrank_sr.pictures.rows import BAND_BYTES, StoredPicture

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
SUFFIXES_WITH_16_BITS = (".png", ".tif", ".tiff")
SUFFIXES_WRITTEN_IN_PARTS = (".png", ".tif", ".tiff")
SUFFIXES_WITH_ALPHA = (".png", ".tif", ".tiff", ".webp")
_MOST_PIXELS_A_SIDE = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500, ".png": 2**31 - 1}
_MOST_BYTES = {".bmp": 2**32 - 2048}

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", *_TIFF_SIGNATURES)
_SIGNATURE_BYTES = 25  # enough for the signatures, and for the bit depth of a PNG


def open_stored(path: Path) -> StoredPicture:
    """Open the first frame or page of an image file, whose content decides the format; nothing is decoded yet.

    Damaged and unknown files raise ValueError, OSError or whatever else the decoder of the format raises.
    """
    from lowrank_sr.pictures import by_pillow, tiff  # here, since they would make `import lowrank_sr` slow

    with path.open("rb") as file:
        start = file.read(_SIGNATURE_BYTES)
    if not start.startswith(_SIGNATURES):
        raise ValueError("its content is not an image of a known format" if start else "it is empty")
    in_parts = tiff.open_tiff(path) if start.startswith(_TIFF_SIGNATURES) else None
    return in_parts or by_pillow.open_by_pillow(path, start)


def encode(
    path: Path, suffix: str, shape: tuple[int, int, int], bits: int, bands: Iterable[np.ndarray], icc: bytes | None
) -> None:
    """Write an image file in the format of `suffix`.

    `bands` are the rows of the (H, W, C) uint8 values, or uint16 where `bits` is 16, from the top, some at a time;
    C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA. Raises ValueError for a format's own limit, and OSError.
    """
    from lowrank_sr.pictures import by_pillow, png, tiff

    if suffix in (".tif", ".tiff"):
        tiff.write_tiff(path, shape, np.dtype(f"u{bits // 8}"), bands, icc)
    elif suffix == ".png":
        png.write_png(path, shape, bands, icc)
    else:
        by_pillow.write_by_pillow(path, suffix, shape, bands, icc)


def encoding_bytes(suffix: str, shape: tuple[int, int, int], bits: int) -> int:
    """The most memory that `encode` needs beside the band that it is given."""
    from lowrank_sr.pictures import by_pillow

    if suffix in SUFFIXES_WRITTEN_IN_PARTS:
        row = shape[1] * shape[2] * bits // 8
        return 4 * max(BAND_BYTES, row)
    return by_pillow.encoding_bytes(suffix, *shape)


def check_size(suffix: str, shape: tuple[int, int, int]) -> None:
    """Raise ValueError where the format of `suffix` has no room for (H, W, C) values."""
    height, width, channels = shape
    most = _MOST_PIXELS_A_SIDE.get(suffix)
    if most is not None and max(height, width) > most:
        raise ValueError(f"{width} x {height} pixels, and {suffix} has at most {most} a side; expected .png or .tif")
    if height * (width * channels + 3) > _MOST_BYTES.get(suffix, np.inf):
        raise ValueError(f"{width} x {height} pixels are more than {suffix} has room for; expected .png or .tif")
