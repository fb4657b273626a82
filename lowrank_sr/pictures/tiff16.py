"""TIFF with 16 bits a channel, which Pillow cuts to 8 bits or does not read; and the writing of all TIFF."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # PhotometricInterpretation
_STRAIGHT_ALPHA = 2  # ExtraSamples
_UNSIGNED = 1  # SampleFormat
_SEPARATE_PLANES = 2  # PlanarConfiguration
_MAX_PIXELS = 178_956_970  # Pillow's limit, against files that unfold into gigabytes


def tags(path: Path) -> dict:
    """Return the tags of a TIFF's first page, by name."""
    with iio.imopen(path, "r", plugin="tifffile") as file:
        return file.metadata(index=0, page=0)


def read(path: Path, tags: dict) -> np.ndarray:
    """Return a 16-bit TIFF's first page: (H, W, C) uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.

    Raises ValueError where the page is of another kind: floating-point, another colour space, or with
    premultiplied alpha.
    """
    bits, form = set(_each(tags["BitsPerSample"])), set(_each(tags.get("SampleFormat", _UNSIGNED)))
    if bits != {16} or form != {_UNSIGNED}:
        raise ValueError(f"{max(bits)}-bit TIFF samples of format {max(form)} where 8 or 16-bit whole numbers are read")
    photometric = tags["PhotometricInterpretation"]
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise ValueError("a 16-bit TIFF that is neither greyscale nor RGB")
    if tags["ImageWidth"] * tags["ImageLength"] > _MAX_PIXELS:
        raise ValueError(f"more than {_MAX_PIXELS} pixels")
    with iio.imopen(path, "r", plugin="tifffile") as file:
        pixels = file.read(index=0, page=0)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif tags.get("PlanarConfiguration") == _SEPARATE_PLANES:
        pixels = np.moveaxis(pixels, 0, 2)
    colours = 3 if photometric == _RGB else 1
    if photometric == _WHITE_IS_ZERO:
        pixels[:, :, 0] = 65535 - pixels[:, :, 0]
    extra = _each(tags.get("ExtraSamples", ()))
    if pixels.shape[2] > colours and extra[:1] != (_STRAIGHT_ALPHA,):
        raise ValueError("a 16-bit TIFF with a fourth channel that is not straight alpha")
    return pixels[:, :, : colours + len(extra[:1])]


def write(path: Path, pixels: np.ndarray, icc: bytes | None = None) -> None:
    """Write (H, W, C) uint8 or uint16 pixels, C as in `read`, with an ICC profile where one is given."""
    channels = pixels.shape[2]
    iio.imwrite(
        path,
        pixels if channels > 1 else pixels[:, :, 0],
        plugin="tifffile",
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        iccprofile=icc,
        metadata=None,
    )


def _each(value):
    return tuple(value) if isinstance(value, tuple | list) else (value,)
