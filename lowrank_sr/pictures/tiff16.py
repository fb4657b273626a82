"""TIFF: reading 16 bits a channel, which Pillow cuts to 8 bits or does not read; writing 8 and 16 bits.

The names and numbers of tags are those of the TIFF 6.0 specification (Adobe, 1992).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

_PHOTOMETRIC_WHITE_IS_ZERO = 0
_PHOTOMETRIC_BLACK_IS_ZERO = 1
_PHOTOMETRIC_RGB = 2
_EXTRA_SAMPLE_STRAIGHT_ALPHA = 2
_SAMPLE_FORMAT_UNSIGNED = 1
_PLANAR_SEPARATE = 2
_MAX_PIXELS = 178_956_970  # Pillow's limit, against files that unfold into gigabytes


def read_tags(path: Path, frame: int = 0) -> dict[str, Any]:
    """Return the tags of a TIFF's page, by name."""
    with iio.imopen(path, "r", plugin="tifffile") as file:
        tags: dict[str, Any] = file.metadata(index=..., page=frame)
    return tags


def read_tiff16(path: Path, tags: Mapping[str, Any], frame: int = 0) -> np.ndarray:
    """Return a 16-bit TIFF's page: (H, W, C) uint16; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.

    Raises ValueError where the page is of another kind: floating-point, another colour space, or with
    premultiplied alpha.
    """
    bits = set(_as_tuple(tags["BitsPerSample"]))
    formats = set(_as_tuple(tags.get("SampleFormat", _SAMPLE_FORMAT_UNSIGNED)))
    if bits != {16} or formats != {_SAMPLE_FORMAT_UNSIGNED}:
        raise ValueError(
            f"{max(bits)}-bit TIFF samples of format {max(formats)} where 8 or 16-bit whole numbers are read"
        )
    photometric = tags["PhotometricInterpretation"]
    if photometric not in (_PHOTOMETRIC_WHITE_IS_ZERO, _PHOTOMETRIC_BLACK_IS_ZERO, _PHOTOMETRIC_RGB):
        raise ValueError("a 16-bit TIFF that is neither greyscale nor RGB")
    if tags["ImageWidth"] * tags["ImageLength"] > _MAX_PIXELS:
        raise ValueError(f"more than {_MAX_PIXELS} pixels")
    with iio.imopen(path, "r", plugin="tifffile") as file:
        pixels: np.ndarray = file.read(index=..., page=frame)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif tags.get("PlanarConfiguration") == _PLANAR_SEPARATE:
        pixels = np.moveaxis(pixels, 0, 2)
    colours = 3 if photometric == _PHOTOMETRIC_RGB else 1
    if photometric == _PHOTOMETRIC_WHITE_IS_ZERO:
        pixels[:, :, 0] = 65535 - pixels[:, :, 0]
    extra = _as_tuple(tags.get("ExtraSamples", ()))
    if pixels.shape[2] > colours and extra[:1] != (_EXTRA_SAMPLE_STRAIGHT_ALPHA,):
        raise ValueError("a 16-bit TIFF with a fourth channel that is not straight alpha")
    return pixels[:, :, : colours + len(extra[:1])]


def write_tiff(path: Path, pixels: np.ndarray, icc: bytes | None = None) -> None:
    """Write (H, W, C) uint8 or uint16 pixels, C as in `read_tiff16`, with an ICC profile where one is given."""
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


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
