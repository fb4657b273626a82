"""TIFF in strips and tiles: reading 8 and 16 bits a channel, of which Pillow reads 8 and only whole; writing both.

The names and numbers of tags are those of the TIFF 6.0 specification (Adobe, 1992).
"""

import importlib.util
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT

from lowrank_sr.pictures import metadata
from lowrank_sr.pictures.by_pillow import open_by_pillow
from lowrank_sr.pictures.formats import BAND_BYTES, StoredPicture, rows_of
from lowrank_sr.pictures.metadata import Metadata

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs of damage, the error says

_READ_BYTES = 2**20
_COPIES = 4  # of a strip or a row of tiles while it is decoded
_DECODED = (COMPRESSION.NONE, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE)  # by tifffile without other packages
_DECODED_IN_PYTHON = (*_DECODED, COMPRESSION.LZMA, COMPRESSION.PACKBITS)
_GREY_OR_RGB = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)
_CLASSIC_BYTES = 2**32 - 2**25  # a classic TIFF's offsets have 32 bits; and there are tags


def pages(path: Path) -> list[int]:
    """The numbers of a TIFF's pages, from 0, without smaller copies of another page."""
    with tifffile.TiffFile(path) as file:
        return _numbers(file)


def open_tiff(path: Path, start: bytes, frame: int | None = 0) -> StoredPicture:
    """A TIFF's page, None for the first, in strips or rows of tiles; whole, by Pillow, where its kind is another.

    Raises ValueError where neither reads it: floating-point, 16 bits in another colour space or with premultiplied
    alpha, or a file that is shorter than its header says.
    """
    with tifffile.TiffFile(path) as file:
        numbers = _numbers(file) if frame is None else [frame]
        stored = _in_strips(path, file, numbers[0]) or open_by_pillow(path, start, numbers[0])
    return replace(stored, frame=numbers[0], frames=len(numbers) if frame is None else None)


def _numbers(file: tifffile.TiffFile) -> list[int]:
    numbers: list[int] = []
    offsets: set[int] = set()
    for number, page in enumerate(file.pages):
        if page.offset in offsets:  # a damaged file, whose chain of pages leads back
            break
        offsets.add(page.offset)
        if not getattr(page, "is_reduced", False):
            numbers.append(number)
    return numbers or [0]


def _in_strips(path: Path, file: tifffile.TiffFile, frame: int) -> StoredPicture | None:
    """A page in strips or rows of tiles; None where tifffile does not read it, or only whole."""
    page = _page(file, frame)
    deep = max(np.atleast_1d(page.bitspersample)) > 8
    if deep:
        _check_kind(page)
        _check_decoder(page)
    elif not _is_plain(page):
        return None
    if (
        page.dataoffsets
        and max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))) > path.stat().st_size
    ):
        raise ValueError("incomplete TIFF file")
    if len(page.dataoffsets) < np.prod(page.chunked):
        raise ValueError("incomplete TIFF header")
    whole = page.planarconfig == PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
    height, width, dtype = page.imagelength, page.imagewidth, np.dtype(f"u{2 if deep else 1}")
    channels = (3 if page.photometric == PHOTOMETRIC.RGB else 1) + len(page.extrasamples[:1])
    length = height if whole else min(height, page.chunks[-3] if page.is_tiled else page.rowsperstrip)
    tags = page.tags
    orientation, icc = (tags[code].value if code in tags else None for code in ("Orientation", "InterColorProfile"))
    return StoredPicture(
        height=height,
        width=width,
        channels=channels,
        dtype=dtype,
        orientation=orientation,
        icc=icc if isinstance(icc, bytes) else None,
        bands=_bands(path, frame, whole),
        decoding_bytes=_COPIES * (length * width * page.samplesperpixel * dtype.itemsize + BAND_BYTES),
        metadata=metadata.of_tiff(path),
    )


def write_tiff(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    bands: Iterable[np.ndarray],
    icc: bytes | None = None,
    described: Metadata | None = None,
) -> None:
    """Write a picture of (H, W, C) uint8 or uint16 values in strips as its rows come: BigTIFF where it is large.

    `bands` are its rows from the top, some at a time; C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
    """
    height, width, channels = shape
    described = described or Metadata()
    rows = min(height, rows_of(width * channels * dtype.itemsize))
    strips = (zlib.compress(_differences(strip).tobytes()) for strip in regrouped(bands, rows))
    with tifffile.TiffWriter(path, bigtiff=height * width * channels * dtype.itemsize > _CLASSIC_BYTES) as file:
        file.write(
            strips,
            shape=shape if channels > 1 else shape[:2],
            dtype=dtype,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            rowsperstrip=rows,
            compression="zlib",
            predictor=True,
            iccprofile=icc,
            software=False,
            extratags=[
                *((tag, "s", 0, text.encode("ascii", "replace"), True) for tag, text in described.texts().items()),
                *((tag, "B", len(content), content, True) for tag, content in described.blocks().items()),
            ],
            resolution=described.dpi,
            resolutionunit=None if described.dpi is None else "inch",
            metadata=None,
        )


def regrouped(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows, `rows` at a time; fewer at the end."""
    waiting: list[np.ndarray] = []
    count = 0
    for band in bands:
        while count + len(band) >= rows:
            taken = rows - count
            yield np.concatenate([*waiting, band[:taken]]) if waiting else band[:taken]
            waiting, count, band = [], 0, band[taken:]
        if len(band):
            waiting.append(band)
            count += len(band)
    if waiting:
        yield np.concatenate(waiting)


def _differences(strip: np.ndarray) -> np.ndarray:
    """Each value less the one to its left, as the predictor called horizontal differencing wants (section 14)."""
    return np.diff(strip, axis=1, prepend=strip.dtype.type(0))


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Whether a page of at most 8 bits is what tifffile decodes strip by strip: whole bytes of grey or RGB."""
    colours = 3 if page.photometric == PHOTOMETRIC.RGB else 1
    alpha = page.extrasamples[:1] in ((), (EXTRASAMPLE.UNASSALPHA,))
    return (
        set(np.atleast_1d(page.bitspersample)) == {8}
        and page.sampleformat == SAMPLEFORMAT.UINT
        and page.compression in _DECODED
        and page.fillorder == 1
        and page.photometric in _GREY_OR_RGB
        and alpha
        and page.samplesperpixel == colours + len(page.extrasamples)
    )


def _check_kind(page: tifffile.TiffPage) -> None:
    bits = set(np.atleast_1d(page.bitspersample))
    formats = set(np.atleast_1d(page.sampleformat))
    if bits != {16} or formats != {SAMPLEFORMAT.UINT}:
        raise ValueError(
            f"{max(bits)}-bit TIFF samples of format {max(formats)} where 8 or 16-bit whole numbers are read"
        )
    if page.photometric not in _GREY_OR_RGB:
        raise ValueError("a 16-bit TIFF that is neither greyscale nor RGB")
    colours = 3 if page.photometric == PHOTOMETRIC.RGB else 1
    if page.samplesperpixel > colours and page.extrasamples[:1] != (EXTRASAMPLE.UNASSALPHA,):
        raise ValueError("a 16-bit TIFF with a fourth channel that is not straight alpha")


def _check_decoder(page: tifffile.TiffPage) -> None:
    if page.compression not in _DECODED_IN_PYTHON and importlib.util.find_spec("imagecodecs") is None:
        name = getattr(page.compression, "name", page.compression)
        raise ValueError(
            f"16 bits compressed by {name} are read by imagecodecs, which pip install 'lowrank-sr[tiff]' adds"
        )


def _bands(path: Path, frame: int, whole: bool) -> Iterator[np.ndarray]:
    with tifffile.TiffFile(path) as file:
        page = _page(file, frame)
        colours = 3 if page.photometric == PHOTOMETRIC.RGB else 1
        bands = _planes(page) if whole else _strips(page)
        for band in bands:
            if page.photometric == PHOTOMETRIC.MINISWHITE:
                band[:, :, 0] = np.iinfo(band.dtype).max - band[:, :, 0]
            yield band[:, :, : colours + len(page.extrasamples[:1])]


def _page(file: tifffile.TiffFile, frame: int) -> tifffile.TiffPage:
    page = file.pages[frame] if frame else file.pages.first
    return page.aspage()


def _planes(page: tifffile.TiffPage) -> Iterator[np.ndarray]:
    """The whole page, whose channels are stored one after the other."""
    yield np.ascontiguousarray(np.moveaxis(page.asarray(maxworkers=1), 0, 2))


def _strips(page: tifffile.TiffPage) -> Iterator[np.ndarray]:
    """The rows of each strip or row of tiles, in the machine's byte order; an empty one is zeros."""
    band, first = None, 0
    for segment, (_, _, top, left, _), (_, height, width, _) in page.segments(maxworkers=1, buffersize=_READ_BYTES):
        if band is None or top != first:
            if band is not None:
                yield band
            rows = min(height, page.imagelength - top)
            band, first = np.zeros((rows, page.imagewidth, page.samplesperpixel), page.dtype), top
        if segment is not None:
            columns = band[:, left : left + width]
            columns[...] = segment[0, : columns.shape[0], : columns.shape[1]]
    if band is not None:
        yield band
