"""Pictures: image files to arrays of pixels and back."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import READ_SUFFIXES, SUFFIXES_WITH_16_BITS, listed, rows_of
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.pictures.writing import write_rows

MOST_PIXELS = 178_956_970  # against files that unfold into gigabytes; as Pillow has it


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


def images_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of the images in a folder, by suffix and sorted by name; hidden files are left out.

    Raises InputError if there is no such folder, it cannot be listed, or it has no image.
    """
    folder = Path(folder)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES)
        if not os.access(folder, os.X_OK):  # its names can be read, but none of its files
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}; expected a folder of images") from error
    paths = [path for path in paths if not path.name.startswith(".") and os.path.isfile(path)]
    if not paths:
        raise InputError(f"{folder}: has no image; expected files with the suffix {listed(READ_SUFFIXES)}")
    return paths


def read_image(path: str | os.PathLike[str], frame: int = 0) -> Image:
    """Read a frame or page of an image file, upright by EXIF, the palette expanded and CMYK as RGB.

    The content decides the format, not the suffix.

    Raises
    ------
    InputError
        If there is no such file, or it is not a complete image of one of the READ_FORMATS with 8 or 16 bits
        a channel and at most 179 million pixels.
    """
    file = PictureFile(path, frame)
    if file.height * file.width > MOST_PIXELS:
        raise InputError(f"{path}: {file.height * file.width} pixels: expected no more than {MOST_PIXELS}")
    stored = file.rows(0, file.height)
    grey = file.channels < 3
    values = stored / np.float32(np.iinfo(stored.dtype).max)
    return Image(
        pixels=np.repeat(values[:, :, :1], 3, axis=2) if grey else np.ascontiguousarray(values[:, :, :3]),
        alpha=np.ascontiguousarray(values[:, :, -1]) if file.channels in (2, 4) else None,
        grey=grey,
        bits=8 * stored.dtype.itemsize,
        icc=file.icc,
    )


def write_image(path: str | os.PathLike[str], image: Image) -> None:
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
    bits = 16 if image.bits == 16 and path.suffix.lower() in SUFFIXES_WITH_16_BITS else 8
    values = _quantised(path, image, bits)
    rows = rows_of(values[0].nbytes)
    bands = (values[top : top + rows] for top in range(0, len(values), rows))
    write_rows(path, values.shape, bits, bands, image.icc)


def _quantised(path: Path, image: Image, bits: int) -> np.ndarray:
    """The values to store: (H, W, C) uint8 or uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA."""
    height, width = image.pixels.shape[:2]
    if image.pixels.shape != (height, width, 3) or not (height and width):
        raise InputError(f"{path}: cannot be written: pixels of shape {image.pixels.shape}; expected (H, W, 3)")
    channels = [image.pixels.mean(axis=2, keepdims=True) if image.grey else image.pixels]
    if image.alpha is not None:
        channels.append(image.alpha[:, :, None])
    values = np.concatenate(channels, axis=2)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: cannot be written: some values are infinite or not a number; expected 0..1")
    rounded: np.ndarray = np.rint(np.clip(values, 0, 1) * (2**bits - 1))
    return rounded.astype(np.uint16 if bits == 16 else np.uint8)
