"""Image formats: PNG, JPEG, TIFF, WebP and BMP to the values that they store, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
READ_SUFFIXES = (*SUFFIXES, ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif")
READ = "PNG, JPEG, TIFF, WebP, BMP, GIF, PPM, AVIF or HEIC"
SUFFIXES_WITH_16_BITS = (".png", ".tif", ".tiff")
SUFFIXES_WITH_ALPHA = (".png", ".tif", ".tiff", ".webp")

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNM_SIGNATURES = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8", *_PNM_SIGNATURES, *_TIFF_SIGNATURES)
_BOX = slice(4, 8)  # "ftyp": ISO/IEC 14496-12, of which AVIF and HEIC are kinds, by the brands that follow
_BRANDS = slice(8, 25)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
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


def listed(suffixes: Sequence[str]) -> str:
    """The suffixes with commas and an "or" between them."""
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"


def frames(path: Path) -> list[int]:
    """The numbers, from 0, of an image file's frames or pages; smaller copies of a page are left out.

    Raises what `decode` does, where the header tells; of formats with one picture only the signature is looked at.
    """
    start = _start(path)
    if start.startswith(_TIFF_SIGNATURES):
        import tifffile

        with tifffile.TiffFile(path) as file:
            return [number for number, page in enumerate(file.pages) if not getattr(page, "is_reduced", False)] or [0]
    if start.startswith((b"\xff\xd8\xff", b"BM", *_PNM_SIGNATURES)):
        return [0]
    import PIL.Image

    with PIL.Image.open(path) as image:
        return list(range(getattr(image, "n_frames", 1)))


def decode(path: Path, frame: int = 0) -> Stored:
    """Decode a frame or page of an image file, whose content decides the format.

    Damaged and unknown files raise ValueError, OSError or whatever else the decoder of the format raises.
    """
    from lowrank_sr.pictures import png16, tiff16  # here, since imageio would make `import lowrank_sr` slow

    start = _start(path)
    if start.startswith(_TIFF_SIGNATURES):
        tags = tiff16.read_tags(path, frame)
        if np.max(tags.get("BitsPerSample", 1)) > 8:
            return Stored(tiff16.read_tiff16(path, tags, frame), tags.get("Orientation"), tags.get("InterColorProfile"))
    with _open_by_pillow(path) as image:
        header = image.metadata(index=frame)
        values = png16.read_png16(path) if png16.is_png16(start) else image.read(index=frame, mode=_pillow_mode(header))
        # Asked for after reading, since Pillow turns a TIFF upright as it reads and forgets how it lay.
        orientation = image.metadata(index=frame, exclude_applied=False).get("Orientation")
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
