"""Pictures in files: PNG, JPEG, TIFF, WebP and BMP to arrays and back."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", *_TIFF)
_EXPECTED = "a complete PNG, JPEG, TIFF, WebP or BMP image"
_PROFILE_STILL_FITS = ("1", "L", "LA", "I;16", "P", "PA", "RGB", "RGBA", "RGBX")  # but not CMYK read as RGB

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")

_KEEPS_16_BITS = (".png", ".tif", ".tiff")
_KEEPS_ALPHA = (".png", ".tif", ".tiff", ".webp")
_PILLOW_OPTIONS = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True, "exact": True},
}


@dataclass(frozen=True, eq=False)
class Image:
    """A picture, and what of its file is needed to write another like it.

    Attributes
    ----------
    pixels : (H, W, 3) float32 array, RGB, 0..1; three equal channels where the file was greyscale
    alpha : (H, W) float32 array, 0 transparent to 1 opaque, or None
    grey : whether the file was greyscale, and is to be written so
    bits : 8 or 16, the bits a channel
    icc : ICC profile of the colours, or None
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    bits: int = 8
    icc: bytes | None = None


def images_in(folder: str | os.PathLike) -> list[Path]:
    """Return the paths of the images in a folder, by suffix and sorted by name; hidden files are left out.

    Raises InputError if there is no such folder, it cannot be listed, or it has no image.
    """
    folder = Path(folder)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}; expected a folder of images") from error
    paths = [path for path in paths if not path.name.startswith(".") and path.is_file()]
    if not paths:
        raise InputError(f"{folder}: has no image; expected files with the suffix {_listed(SUFFIXES)}")
    return paths


def read(path: str | os.PathLike) -> Image:
    """Read an image file: its first frame or page, upright by EXIF, the palette expanded and CMYK as RGB.

    The content decides the format, not the suffix.

    Raises
    ------
    InputError
        If there is no such file, or it is not a complete PNG, JPEG, TIFF, WebP or BMP image with 8 or 16 bits
        a channel and at most 179 million pixels.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a decoder warns of, it has repaired
            stored, orientation, icc = _decode(path)
    except Exception as error:  # on damaged files decoders raise anything, SyntaxError and struct.error too
        reason = str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")
        raise InputError(f"{path}: cannot be read: {reason}; expected {_EXPECTED}") from error
    grey, has_alpha = stored.shape[2] < 3, stored.shape[2] in (2, 4)
    values = _upright(stored, orientation) / np.float32(np.iinfo(stored.dtype).max)
    return Image(
        pixels=np.repeat(values[:, :, :1], 3, axis=2) if grey else np.ascontiguousarray(values[:, :, :3]),
        alpha=np.ascontiguousarray(values[:, :, -1]) if has_alpha else None,
        grey=grey,
        bits=8 * stored.dtype.itemsize,
        icc=icc,
    )


def write(path: str | os.PathLike, image: Image) -> None:
    """Write an image file in the format of its suffix, or leave what was there: never half a file.

    Values are clipped to 0..1 and rounded to nearest, to 16 bits where `image.bits` is 16 and the format has
    them (PNG, TIFF), otherwise to 8. A greyscale image is the mean of its channels. WebP is lossless, JPEG of
    quality 95 with full-resolution colour. The ICC profile is left out where it would not fit: of BMP, and of
    WebP where the image is greyscale, since WebP stores RGB.

    Raises
    ------
    InputError
        If the suffix is unknown, the image has transparency and the format (JPEG, BMP) does not, the pixels
        are not (H, W, 3) and finite, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: no image format has this suffix; expected {_listed(SUFFIXES)}")
    if image.alpha is not None and suffix not in _KEEPS_ALPHA:
        raise InputError(f"{path}: {suffix} cannot keep transparency; expected {_listed(_KEEPS_ALPHA)}")
    stored = _stored(path, image, 16 if image.bits == 16 and suffix in _KEEPS_16_BITS else 8)
    icc = None if suffix == ".bmp" or (suffix == ".webp" and image.grey) else image.icc
    with replacing(path) as temporary:
        try:
            _encode(temporary, suffix, stored, icc)
        except ValueError as error:  # a format's own limit, such as WebP's 16383 pixels a side
            raise InputError(f"{path}: cannot be written: {error}") from error


def _decode(path):
    """Return the pixels as stored, (H, W, C) uint8 or uint16, the EXIF orientation and the ICC profile."""
    from lowrank_sr.pictures import (
        png16,  # here, since imageio would make `import lowrank_sr` slow
        tiff16,
    )

    with path.open("rb") as file:
        start = file.read(25)
    if not start.startswith(_SIGNATURES):
        raise ValueError("its content is not an image of a known format" if start else "it is empty")
    if start.startswith(_TIFF):
        tags = tiff16.tags(path)
        if np.max(tags.get("BitsPerSample", 1)) > 8:
            return tiff16.read(path, tags), tags.get("Orientation"), tags.get("InterColorProfile")
    with _opened(path) as file:
        header = file.metadata(index=0)
        stored = png16.read(path) if png16.begins(start) else file.read(index=0, mode=_mode(header))
        # Asked for after reading, since Pillow turns a TIFF upright as it reads and forgets how it lay.
        orientation = file.metadata(index=0, exclude_applied=False).get("Orientation")
    icc = header.get("icc_profile") if header["mode"] in _PROFILE_STILL_FITS else None
    return stored.reshape(*stored.shape[:2], -1), orientation, icc


def _opened(path):
    import imageio.v3 as iio

    try:
        return iio.imopen(path, "r", plugin="pillow")
    except OSError as error:  # imageio says only that Pillow refused; Pillow's own words are in the cause
        raise ValueError(str(error.__cause__ or error)) from error


def _mode(header):
    """Return the Pillow mode to read in: greyscale or RGB, with or without alpha."""
    mode = header["mode"]
    if mode.startswith(("I", "F")):
        raise ValueError(f"its pixels are of Pillow's kind {mode!r}")
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in header
    grey = mode in ("1", "L", "LA", "La")
    return ("L" if grey else "RGB") + ("A" if transparent else "")


def _upright(pixels, orientation):
    """Turn the pixels of an image with this EXIF orientation (JEITA CP-3451, tag 274) upright."""
    turned = {
        2: lambda: pixels[:, ::-1],
        3: lambda: pixels[::-1, ::-1],
        4: lambda: pixels[::-1],
        5: lambda: pixels.swapaxes(0, 1),
        6: lambda: pixels.swapaxes(0, 1)[:, ::-1],
        7: lambda: pixels[::-1, ::-1].swapaxes(0, 1),
        8: lambda: pixels.swapaxes(0, 1)[::-1],
    }
    return turned.get(orientation, lambda: pixels)()


def _stored(path, image, bits):
    """Return what is stored: (H, W, C) uint8 or uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA."""
    height, width = image.pixels.shape[:2]
    if image.pixels.shape != (height, width, 3) or not (height and width):
        raise InputError(f"{path}: cannot be written: pixels of shape {image.pixels.shape}; expected (H, W, 3)")
    channels = [image.pixels.mean(axis=2, keepdims=True) if image.grey else image.pixels]
    if image.alpha is not None:
        channels.append(image.alpha[:, :, None])
    values = np.concatenate(channels, axis=2)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: cannot be written: some values are infinite or not a number; expected 0..1")
    return np.rint(np.clip(values, 0, 1) * (2**bits - 1)).astype(np.uint16 if bits == 16 else np.uint8)


def _encode(path, suffix, stored, icc):
    from lowrank_sr.pictures import png16, tiff16

    if suffix in (".tif", ".tiff"):
        tiff16.write(path, stored, icc)
    elif stored.dtype == np.uint16:
        png16.write(path, stored, icc)
    else:
        import imageio.v3 as iio

        options = _PILLOW_OPTIONS.get(suffix, {})
        pixels = stored if stored.shape[2] > 1 else stored[:, :, 0]
        # Not straight to the file: where the disk is full imageio would leave it open.
        path.write_bytes(
            iio.imwrite(
                "<bytes>",
                pixels,
                plugin="pillow",
                extension=suffix,
                is_batch=False,
                icc_profile=icc,
                **options,
            )
        )


def _listed(suffixes):
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
