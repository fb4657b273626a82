"""Pictures that Pillow decodes and encodes, whole: read through imageio, and written from rows as they come.

imageio would hold a picture that is written twice, as an array and as Pillow's image.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import imageio.v3 as iio
import numpy as np
import PIL.Image

from lowrank_sr.pictures import cmyk, metadata
from lowrank_sr.pictures.formats import BAND_BYTES, FORMATS, SIDES_CHANGED, StoredPicture
from lowrank_sr.pictures.metadata import ORIENTATION, Metadata
from lowrank_sr.pictures.png import Png16, is_png16
from lowrank_sr.pictures.png_chunks import SIGNATURE, described_in_png

_LIMIT = RLock()
_IMAGE_WIDTH, _IMAGE_LENGTH = 256, 257  # TIFF's
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_MODES = {channels: mode for mode, channels in _CHANNELS.items()}
_MODES_KEEPING_THE_PROFILE = ("1", "L", "LA", "I;16", "P", "PA", "RGB", "RGBA", "RGBX")  # but not CMYK read as RGB
_ONE_BYTE_MODES = ("1", "L", "P")  # any other takes 4 bytes a pixel, whatever its channels
_DECODER_BYTES = {"WEBP": 16, "AVIF": 16, "HEIF": 16}
_PROGRESSIVE_JPEG_BYTES = 8
"""What a pixel takes in the decoder in addition to Pillow's image, at most."""
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
_ENCODER_BYTES = {".webp": 36}  # a pixel


def frames(path: Path, start: bytes) -> list[int]:
    """The numbers, from 0, of the frames of a picture that begins with the bytes `start`."""
    if is_png16(start):  # of which `Png16` reads the first
        return [0]
    with _opened(path) as image:
        return list(range(getattr(image, "n_frames", 1)))


def open_by_pillow(path: Path, start: bytes, frame: int | None = 0) -> StoredPicture:
    """A frame, None for the first, of a picture that begins with the bytes `start`.

    Unknown and damaged files raise ValueError.
    """
    with _opened(path, frame or 0) as image:
        width, height = image.size
        mode, one_byte = _mode_to_read(image), image.mode in _ONE_BYTE_MODES
        same_mode = image.mode == mode
        profile = image.info.get("icc_profile")
        icc = profile if image.mode in _MODES_KEEPING_THE_PROFILE else None
        inks = cmyk.to_srgb(profile) if image.mode == "CMYK" else None
        notice = cmyk.NO_PROFILE if image.mode == "CMYK" and inks is None else None
        orientation, turns, readable_exif = None, image.format == "TIFF", True
        decoder = _PROGRESSIVE_JPEG_BYTES if "progressive" in image.info else _DECODER_BYTES.get(image.format or "", 0)
        if turns:  # upright as it is decoded; of the sizes only some versions of Pillow say so before
            sides = image.tag_v2[_IMAGE_WIDTH], image.tag_v2[_IMAGE_LENGTH]  # type: ignore[attr-defined]
            width, height = sides[::-1] if image.tag_v2.get(ORIENTATION) in SIDES_CHANGED else sides  # type: ignore[attr-defined]
        else:
            of_png, exif = described_in_png(path) if start.startswith(SIGNATURE) else (Metadata(), None)
            if exif is not None and "exif" not in image.info:  # after the pixels, where Pillow has not looked yet
                image.info["exif"] = exif
            try:
                orientation = PIL.Image.Image.getexif(image).get(ORIENTATION)  # a PNG's own one would decode it
            except Exception:  # a picture is not refused for what it says of itself
                readable_exif = False
        described = metadata.of_tiff(path) if turns else metadata.of_image(image).joined(of_png)
        frames = getattr(image, "n_frames", 1) if frame is None else None
    if is_png16(start):
        if frame:
            raise ValueError("of a PNG of 16 bits only the first frame is read")
        deep = Png16(path)
        return StoredPicture(
            deep.height,
            deep.width,
            deep.channels,
            np.dtype(np.uint16),
            orientation,
            icc,
            deep.bands(),
            deep.decoding_bytes,
            described,
            frames=None if frame is not None else 1,
        )
    pixel_bytes = (1 if one_byte else 4) * (2 if turns else 1) + (0 if same_mode else 4) + 2 * _CHANNELS[mode] + decoder
    return StoredPicture(
        height=height,
        width=width,
        channels=_CHANNELS[mode],
        dtype=np.dtype(np.uint8),
        orientation=orientation,
        icc=icc,
        bands=_decoded(path, frame or 0, mode, readable_exif, inks),
        decoding_bytes=pixel_bytes * height * width + 4 * BAND_BYTES,
        metadata=described,
        frame=frame or 0,
        frames=frames,
        notice=notice,
    )


def write_by_pillow(
    path: Path,
    suffix: str,
    shape: tuple[int, int, int],
    bands: Iterable[np.ndarray],
    icc: bytes | None = None,
    described: Metadata | None = None,
    quality: int | None = None,
) -> None:
    """Write a picture of (H, W, C) uint8 values, whose rows come in `bands`, in the format of `suffix`.

    Pillow encodes whole pictures: all rows are held, in one byte or four a pixel. Raises ValueError for a limit of the
    format.
    """
    height, width, channels = shape
    image = PIL.Image.new(_MODES[channels], (width, height))
    row = 0
    for band in bands:
        image.paste(PIL.Image.fromarray(band if channels > 1 else band[:, :, 0]), (0, row))
        row += len(band)
    name = FORMATS[suffix].name
    described = described or Metadata()
    given: dict[str, Any] = {"icc_profile": icc, "exif": described.of_size(height, width), "dpi": described.dpi}
    if name == "JPEG":
        given |= {"xmp": metadata.for_jpeg(described.xmp), "extra": metadata.photoshop_segment(described.iptc)}
    elif name != "BMP":
        given["xmp"] = described.xmp
    if quality is not None:
        given |= {"quality": quality, "lossless": False}
    options = _SAVE_OPTIONS.get(name, {}) | {key: value for key, value in given.items() if value is not None}
    with path.open("wb") as file:
        image.save(file, name, **options)


def encoding_bytes(suffix: str, height: int, width: int, channels: int) -> int:
    """The most memory that `write_by_pillow` needs, where a band has no more than BAND_BYTES."""
    return ((1 if channels == 1 else 4) + _ENCODER_BYTES.get(suffix, 0)) * height * width + 4 * BAND_BYTES


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Pillow without its own limit: whether a picture fits is decided from its header, by the memory that there is."""
    with _LIMIT:  # of the whole process
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit


def _opened(path: Path, frame: int = 0) -> PIL.Image.Image:
    try:
        with _of_any_size():
            image = PIL.Image.open(path)
            if frame:
                image.seek(frame)
        return image
    except PIL.UnidentifiedImageError as error:
        raise ValueError(f"Pillow cannot identify it: {error}") from error


def _decoded(
    path: Path, frame: int, mode: str, readable_exif: bool, inks: cmyk.Transform | None
) -> Iterator[np.ndarray]:
    """All rows at once: Pillow decodes no fewer."""
    if inks is not None:
        with _opened(path, frame) as image:
            values = np.asarray(inks(image))
    elif readable_exif:
        with _of_any_size(), iio.imopen(path, "r", plugin="pillow") as file:
            same = file.metadata(index=frame)["mode"] == mode
            values = file.read(index=frame, mode=None if same else mode, writeable_output=False)
    else:  # which imageio reads with every picture, and refuses
        with _opened(path, frame) as image:
            values = np.asarray(image.convert(mode))
    yield values.reshape(*values.shape[:2], -1)


def _mode_to_read(image: PIL.Image.Image) -> str:
    """The Pillow mode to read in: greyscale or RGB, with or without alpha."""
    mode = image.mode
    if mode.startswith("F") or (mode.startswith("I") and image.format != "PNG"):
        raise ValueError(f"its pixels are of Pillow's kind {mode!r}")
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    grey = mode in ("1", "L", "LA", "La") or mode.startswith("I")
    return ("L" if grey else "RGB") + ("A" if transparent else "")
