"""Image formats: PNG, JPEG, TIFF, WebP and BMP to the values that they store, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
SUFFIXES_WITH_16_BITS = (".png", ".tif", ".tiff")
SUFFIXES_WITH_ALPHA = (".png", ".tif", ".tiff", ".webp")

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", *_TIFF_SIGNATURES)
_SIGNATURE_BYTES = 25  # enough for the signatures, and for the bit depth of a PNG
_MODES_KEEPING_THE_PROFILE = ("1", "L", "LA", "I;16", "P", "PA", "RGB", "RGBA", "RGBX")  # but not CMYK read as RGB
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True, "exact": True},
}


class Stored(NamedTuple):
    """What an image file stores.

    Attributes
    ----------
    values : (H, W, C) uint8 or uint16 array; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA
    orientation : how the rows and columns lie, by EXIF (JEITA CP-3451, tag 274), or None
    icc : ICC profile of the colours, or None
    """

    values: np.ndarray
    orientation: int | None
    icc: bytes | None


def decode(path: Path) -> Stored:
    """Decode the first frame or page of an image file, whose content decides the format.

    Damaged and unknown files raise ValueError, OSError or whatever else the decoder of the format raises.
    """
    from lowrank_sr.pictures import png16, tiff16  # here, since imageio would make `import lowrank_sr` slow

    with path.open("rb") as file:
        start = file.read(_SIGNATURE_BYTES)
    if not start.startswith(_SIGNATURES):
        raise ValueError("its content is not an image of a known format" if start else "it is empty")
    if start.startswith(_TIFF_SIGNATURES):
        tags = tiff16.read_tags(path)
        if np.max(tags.get("BitsPerSample", 1)) > 8:
            return Stored(tiff16.read_tiff16(path, tags), tags.get("Orientation"), tags.get("InterColorProfile"))
    with _open_by_pillow(path) as image:
        header = image.metadata(index=0)
        values = png16.read_png16(path) if png16.is_png16(start) else image.read(index=0, mode=_pillow_mode(header))
        # Asked for after reading, since Pillow turns a TIFF upright as it reads and forgets how it lay.
        orientation = image.metadata(index=0, exclude_applied=False).get("Orientation")
    icc = header.get("icc_profile") if header["mode"] in _MODES_KEEPING_THE_PROFILE else None
    return Stored(values.reshape(*values.shape[:2], -1), orientation, icc)


def encode(path: Path, suffix: str, values: np.ndarray, icc: bytes | None) -> None:
    """Write an image file in the format of `suffix`.

    `values` are (H, W, C) uint8, or uint16 where the format has 16 bits; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
    Raises ValueError for a format's own limit, such as WebP's 16383 pixels a side, and OSError.
    """
    from lowrank_sr.pictures import png16, tiff16

    if suffix in (".tif", ".tiff"):
        tiff16.write_tiff(path, values, icc)
    elif values.dtype == np.uint16:
        png16.write_png16(path, values, icc)
    else:
        import imageio.v3 as iio

        encoded = iio.imwrite(
            "<bytes>",
            values if values.shape[2] > 1 else values[:, :, 0],
            plugin="pillow",
            extension=suffix,
            is_batch=False,
            icc_profile=icc,
            **_PILLOW_OPTIONS.get(suffix, {}),
        )
        path.write_bytes(encoded)  # imageio would leave the file open where the disk is full


def _open_by_pillow(path: Path) -> Any:
    import imageio.v3 as iio

    try:
        return iio.imopen(path, "r", plugin="pillow")
    except OSError as error:  # imageio says only that Pillow refused; Pillow's own words are in the cause
        raise ValueError(str(error.__cause__ or error)) from error


def _pillow_mode(header: Mapping[str, Any]) -> str:
    """The Pillow mode to read in: greyscale or RGB, with or without alpha."""
    mode: str = header["mode"]
    if mode.startswith(("I", "F")):
        raise ValueError(f"its pixels are of Pillow's kind {mode!r}")
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in header
    grey = mode in ("1", "L", "LA", "La")
    return ("L" if grey else "RGB") + ("A" if transparent else "")
