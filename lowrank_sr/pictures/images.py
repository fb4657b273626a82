"""Pictures: image files to arrays of pixels and back, and enlarged with all that belongs to them."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.pictures.formats import (
    READ,
    READ_SUFFIXES,
    SUFFIXES,
    SUFFIXES_WITH_16_BITS,
    SUFFIXES_WITH_ALPHA,
    decode,
    encode,
    frames,
    listed,
)


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
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}; expected a folder of images") from error
    paths = [path for path in paths if not path.name.startswith(".") and path.is_file()]
    if not paths:
        raise InputError(f"{folder}: has no image; expected files with the suffix {listed(READ_SUFFIXES)}")
    return paths


def frames_in(path: str | os.PathLike[str]) -> list[int]:
    """The numbers, from 0, of the frames or pages of an image file, as far as its header tells.

    Raises InputError where there is no such file or it is no image.
    """
    with _decoding(Path(path)):
        return frames(Path(path))


def read_image(path: str | os.PathLike[str], frame: int = 0) -> Image:
    """Read a frame or page of an image file, upright by EXIF, the palette expanded and CMYK as RGB.

    The content decides the format, not the suffix.

    Raises
    ------
    InputError
        If there is no such file, or it is not a complete image of one of the formats READ with 8 or 16 bits a channel
        and at most 179 million pixels.
    """
    path = Path(path)
    with _decoding(path):
        stored = decode(path, frame)
    channels = stored.values.shape[2]
    grey = channels < 3
    has_alpha = channels in (2, 4)
    values = _upright(stored.values, stored.orientation) / np.float32(np.iinfo(stored.values.dtype).max)
    return Image(
        pixels=np.repeat(values[:, :, :1], 3, axis=2) if grey else np.ascontiguousarray(values[:, :, :3]),
        alpha=np.ascontiguousarray(values[:, :, -1]) if has_alpha else None,
        grey=grey,
        bits=8 * stored.values.dtype.itemsize,
        icc=stored.icc,
    )


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence about `path`, and ignore what it warns of: that is repaired."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # on damaged files decoders raise anything, SyntaxError and struct.error too
        reason = str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")
        raise InputError(f"{path}: cannot be read: {reason}; expected a complete {READ} image") from error


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
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: no image format has this suffix; expected {listed(SUFFIXES)}")
    if image.alpha is not None and suffix not in SUFFIXES_WITH_ALPHA:
        raise InputError(f"{path}: {suffix} cannot keep transparency; expected {listed(SUFFIXES_WITH_ALPHA)}")
    values = _quantised(path, image, 16 if image.bits == 16 and suffix in SUFFIXES_WITH_16_BITS else 8)
    icc = None if suffix == ".bmp" or (suffix == ".webp" and image.grey) else image.icc
    with replacing(path) as temporary:
        try:
            encode(temporary, suffix, values, icc)
        except ValueError as error:
            raise InputError(f"{path}: cannot be written: {error}") from error


def enlarge(image: Image, network: Callable[[np.ndarray], np.ndarray]) -> Image:
    """Enlarge a picture: its colours, and its alpha channel by the same network, as grey, as Real-ESRGAN does.

    `network` takes (H, W, 3) float32 pixels and returns (scale H, scale W, 3). Greyscale pictures pass as three equal
    channels and stay greyscale.
    """
    pixels = network(image.pixels)
    if image.alpha is None:
        return replace(image, pixels=pixels)
    alpha = network(np.repeat(image.alpha[:, :, None], 3, axis=2)).mean(axis=2)
    return replace(image, pixels=pixels, alpha=alpha)


def _upright(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turn the pixels of an image with this EXIF orientation (JEITA CP-3451, tag 274) upright."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return pixels.swapaxes(0, 1)[:, ::-1]
        case 7:
            return pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return pixels.swapaxes(0, 1)[::-1]
    return pixels


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
