"""A picture file whose rows are read as they are needed, upright; no more of it is held than its format demands."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import READ_FORMATS, SIDES_CHANGED, StoredPicture

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SINGLE_SIGNATURES = (b"\xff\xd8\xff", b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")  # of formats with one picture
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", *_SINGLE_SIGNATURES, *_TIFF_SIGNATURES)
_BOX = slice(4, 8)  # "ftyp" of ISO/IEC 14496-12, of which AVIF and HEIC are kinds by the brands that follow
_BRANDS = slice(8, 25)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_SIGNATURE_BYTES = 25  # enough for the signatures, and for the bit depth of a PNG

_ROWS_IN_ORDER = (None, 1, 2)  # orientations whose rows lie from top to bottom; 2 is mirrored


class PictureFile:
    """An open picture file: what its header says, and its rows as they are seen.

    Attributes
    ----------
    height, width, channels : int
        Of the picture as it is seen; 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA.
    dtype : np.dtype
        uint8 or uint16.
    icc : bytes or None
        ICC profile of the colours.
    metadata : Metadata or None
        What else the file says.
    notice : str or None
        What its user should know of how it is read.
    frame : int
    frames : int or None
        Which frame or page it is, from 0, and how many there are; None where `frame` was given.
    """

    def __init__(self, path: str | os.PathLike[str], frame: int | None = 0) -> None:
        """Read the header of a frame or page, from 0; nothing is decoded.

        With None that is the first which is no smaller copy of another, and `frames` says how many there are.

        Raises InputError if there is no such file, or it is not an image of one of the READ_FORMATS with 8 or 16 bits
        a channel.
        """
        self.path = Path(path)
        self._name = f"{path}, frame {frame + 1}" if frame else str(path)
        with _named(self._name):
            self._stored = _open(self.path, frame)
        stored = self._stored
        self.frame, self.frames = stored.frame, stored.frames
        sides = stored.height, stored.width
        self.height, self.width = sides[::-1] if stored.orientation in SIDES_CHANGED else sides
        self.channels, self.dtype, self.icc = stored.channels, stored.dtype, stored.icc
        self.metadata, self.notice = stored.metadata, stored.notice
        self._kept: list[tuple[int, np.ndarray]] = []  # decoded rows: the number of the first one, and them
        self._decoded = 0  # rows

    @property
    def decoding_bytes(self) -> int:
        """The most memory that `rows` needs in addition to the rows that it gives and those it gave before."""
        turned = 0 if self._stored.orientation in _ROWS_IN_ORDER else self._stored.stored_bytes
        return self._stored.decoding_bytes + turned

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Rows `top` to `bottom`, (rows, width, channels); `top` must not be less than it was in a call before.

        Raises InputError where the file is damaged or incomplete.
        """
        with _named(self._name):
            if self._stored.orientation not in _ROWS_IN_ORDER and not self._kept:
                self._kept = [(0, upright(self._stored.all_rows(), self._stored.orientation))]
                self._decoded = self.height
            while self._decoded < bottom:
                band = next(self._stored.bands, None)
                if band is None:
                    raise ValueError(f"{self._decoded} of {self.height} rows")
                if band.shape[1:] != (self._stored.width, self.channels) or band.dtype != self.dtype:
                    raise ValueError("its pixels are not what its header says")
                if self._decoded + len(band) > top:
                    self._kept.append((self._decoded, upright(band, self._stored.orientation)))
                self._decoded += len(band)
                if self._decoded == self.height:
                    self._finish()
        if len(self._kept) > 1:
            self._kept = [(first, band) for first, band in self._kept if first + len(band) > top]
        bands = [band[max(0, top - first) : bottom - first] for first, band in self._kept if first < bottom]
        return np.concatenate(bands) if len(bands) > 1 else bands[0]

    def _finish(self) -> None:
        """Let the decoder see the end of the file: what is incomplete may show only there."""
        for _ in self._stored.bands:
            raise ValueError("more rows than its header says")


def frames_in(path: str | os.PathLike[str]) -> list[int]:
    """The numbers, from 0, of the frames or pages of an image file, as far as its header tells.

    Raises InputError where there is no such file or it is no image.
    """
    with _named(str(path)):
        return _frames(Path(path))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an InputError that names the file; keep its warnings to itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a decoder warns of, it has repaired
            yield
    except MemoryError:
        raise
    except Exception as error:  # on damaged files decoders raise anything, SyntaxError and struct.error too
        reason = str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")
        expected = f"a complete {READ_FORMATS} image"
        raise InputError(f"{name}: cannot be read: {reason}; expected {expected}") from error


def upright(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
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


def _frames(path: Path) -> list[int]:
    """The numbers of the frames or pages; smaller copies of a page are left out."""
    from lowrank_sr.pictures import by_pillow, tiff

    start = _start(path)
    if start.startswith(_TIFF_SIGNATURES):
        return tiff.pages(path)
    return [0] if start.startswith(_SINGLE_SIGNATURES) else by_pillow.frames(path, start)


def _open(path: Path, frame: int | None) -> StoredPicture:
    """Open a frame or page of an image file, whose content decides the format.

    Damaged and unknown files raise ValueError, OSError or whatever else the decoder of the format raises.
    """
    from lowrank_sr.pictures import by_pillow, netpbm, tiff  # here: Pillow and tifffile would slow `import lowrank_sr`

    start = _start(path)
    if (deep := netpbm.open_netpbm16(path)) is not None:
        return deep
    return (tiff.open_tiff if start.startswith(_TIFF_SIGNATURES) else by_pillow.open_by_pillow)(path, start, frame)


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
