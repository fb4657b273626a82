import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.errors import InputError
from lowrank_sr.pictures import formats, png
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.pictures.reading import PictureFile, frames_in
from lowrank_sr.pictures.tiff import regrouped

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (45, 31, 3), np.uint8)
RGB16 = RNG.integers(0, 65536, (45, 31, 3), np.uint16)


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    """A few rows at a time, so that small pictures have several bands."""
    monkeypatch.setattr(formats, "BAND_BYTES", 1000)


def tiff_file(path, values=RGB, **options):
    tifffile.imwrite(path, values, photometric="rgb", **options)
    return path, values


def pillow_file(path, values=RGB, **options):
    PIL.Image.fromarray(values).save(path, **options)
    return path, values


def png16_file(path):
    png.write_png(path, RGB16.shape, [RGB16])
    return path, RGB16


FILES = {
    "strips.tif": lambda path: tiff_file(path, compression="zlib", rowsperstrip=4),
    "uncompressed.tif": lambda path: tiff_file(path, rowsperstrip=7),
    "predictor.tif": lambda path: tiff_file(path, RGB16, compression="zlib", predictor=True, rowsperstrip=5),
    "bytes.tif": lambda path: tiff_file(path, RGB16, byteorder=">", rowsperstrip=5),
    "one strip.tif": lambda path: tiff_file(path, compression="zlib", rowsperstrip=45),
    "tiles.tif": lambda path: tiff_file(path, tile=(16, 16), compression="zlib"),
    "big.tif": lambda path: tiff_file(path, RGB16, bigtiff=True, rowsperstrip=4),
    "lzw.tif": lambda path: pillow_file(path, compression="tiff_lzw"),
    "a.png": pillow_file,
    "a.bmp": pillow_file,
    "a.webp": lambda path: pillow_file(path, lossless=True),
    "deep.png": png16_file,
}


@pytest.fixture(params=FILES)
def file_and_values(request, tmp_path):
    return FILES[request.param](tmp_path / request.param)


def test_rows_in_bands_that_overlap(file_and_values):
    path, values = file_and_values
    picture = PictureFile(path)
    assert (picture.height, picture.width, picture.channels, picture.dtype) == (45, 31, 3, values.dtype)
    for top, bottom in [(0, 1), (0, 9), (4, 17), (17, 18), (16, 45), (44, 45)]:
        np.testing.assert_array_equal(picture.rows(top, bottom), values[top:bottom])


def test_only_what_is_needed_is_held(tmp_path):
    path, _ = FILES["strips.tif"](tmp_path / "a.tif")
    picture = PictureFile(path)
    picture.rows(0, 20)
    picture.rows(30, 33)
    assert [first for first, _ in picture._kept] == [28, 32]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", "16.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_in_bands(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    if suffix == "16.tif":
        tifffile.imwrite(path, RGB16, photometric="rgb", rowsperstrip=4, extratags=[(274, "H", 1, orientation, True)])
    else:
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        options = {".webp": {"lossless": True}, ".tif": {"compression": "tiff_lzw"}}.get(suffix, {})
        PIL.Image.fromarray(RGB).save(path, exif=exif, **options)
    whole = PictureFile(path)
    expected = whole.rows(0, whole.height)
    assert expected.shape == ((45, 31, 3) if orientation < 5 else (31, 45, 3))
    picture = PictureFile(path)
    bands = [picture.rows(top, min(top + 7, picture.height)) for top in range(0, picture.height, 7)]
    np.testing.assert_array_equal(np.concatenate(bands), expected)


def test_png_whose_orientation_follows_its_pixels(tmp_path):
    path, _ = pillow_file(tmp_path / "a.png")
    content = path.read_bytes()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    path.write_bytes(content[:-12] + chunk + content[-12:])
    picture = PictureFile(path)
    assert (picture.height, picture.width) == (31, 45)
    np.testing.assert_array_equal(picture.rows(0, 31), np.rot90(RGB, -1))


def test_a_header_is_read_without_decoding(tmp_path, monkeypatch):
    decoded = []  # not an error, which a reader might suppress

    def watched(decode):
        def watching(*arguments, **options):
            decoded.append(decode.__qualname__)
            return decode(*arguments, **options)

        return watching

    paths = [FILES[name](tmp_path / name)[0] for name in FILES]
    pages = [(tifffile.TiffPage, "asarray"), (tifffile.TiffPage, "segments")]
    pillow = [(PIL.Image.Image, "load"), (PIL.ImageFile.ImageFile, "load")]
    for decoder, name in [*pillow, *pages, (png._ImageData, "take")]:
        monkeypatch.setattr(decoder, name, watched(getattr(decoder, name)))
    for path in paths:
        assert PictureFile(path).height == 45
        assert decoded == [], path


def test_what_decoding_takes(tmp_path):
    """All of it, in as many bytes as Pillow holds a pixel in, or a few bands."""
    large = np.zeros((3000, 2000, 3), np.uint8)
    few = 16 * 2**22  # bands
    PIL.Image.fromarray(large).save(tmp_path / "a.png")
    assert 4 * large.size / 3 <= PictureFile(tmp_path / "a.png").decoding_bytes < 4 * large.size / 3 + few
    tifffile.imwrite(tmp_path / "a.tif", large, photometric="rgb", rowsperstrip=4, compression="zlib")
    assert PictureFile(tmp_path / "a.tif").decoding_bytes < few
    tifffile.imwrite(tmp_path / "b.tif", large, photometric="rgb", rowsperstrip=3000, compression="zlib")
    assert PictureFile(tmp_path / "b.tif").decoding_bytes >= 2 * large.size  # one strip, compressed
    PIL.Image.fromarray(large).save(tmp_path / "a.jpg", progressive=True)
    assert PictureFile(tmp_path / "a.jpg").decoding_bytes >= 10 * large.size / 3  # coefficients of 16 bits


@pytest.mark.parametrize("name", ["strips.tif", "uncompressed.tif", "deep.png", "a.png"])
def test_a_file_that_ends_early(tmp_path, name):
    path, _ = FILES[name](tmp_path / name)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        PictureFile(path).rows(0, 45)


@given(st.lists(st.integers(0, 5), min_size=1), st.integers(1, 7))
@settings(deadline=None)
def test_regrouped(heights, count):
    bands = [RNG.integers(0, 9, (height, 2, 1)) for height in heights]
    groups = list(regrouped(bands, count))
    assert [len(group) for group in groups[:-1]] == [count] * (len(groups) - 1)
    assert all(1 <= len(group) <= count for group in groups)
    np.testing.assert_array_equal(np.concatenate([bands[0][:0], *groups]), np.concatenate(bands))


def test_the_first_page_that_is_no_smaller_copy(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for values, kind in ((RGB[::2, ::2], 1), (RGB, 0), (RGB[::-1], 0)):
            file.write(values, photometric="rgb", subfiletype=kind)
    picture = PictureFile(tmp_path / "a.tif", None)
    assert (picture.frame, picture.frames) == (1, 2)
    np.testing.assert_array_equal(picture.rows(0, 45), RGB)
    assert frames_in(tmp_path / "a.tif") == [1, 2]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif", ".jpg"])
def test_how_many_frames(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    levels = [PIL.Image.new("RGB", (5, 6), (80 * level,) * 3) for level in range(3)]
    levels[0].save(path, **({} if suffix == ".jpg" else {"save_all": True, "append_images": levels[1:]}))
    picture = PictureFile(path, None)
    assert (picture.frame, picture.frames) == (0, len(frames_in(path)))
    assert picture.frames == (1 if suffix == ".jpg" else 3)


def test_of_a_png_of_16_bits_the_first_frame(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, Image(RGB16))
    picture = PictureFile(path, None)
    assert (picture.frame, picture.frames, frames_in(path)) == (0, 1, [0])
    with pytest.raises(InputError, match="frame 2: cannot be read"):
        PictureFile(path, 1)
