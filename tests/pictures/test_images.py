import contextlib
import itertools
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import SUFFIXES
from lowrank_sr.pictures.images import Image, images_in, read_image, write_image
from lowrank_sr.pictures.png import Png16, write_png
from lowrank_sr.pictures.reading import frames_in

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 13, 3), np.uint8)
GREY = RGB[:, :, 0]
RGB16 = RNG.integers(0, 65536, (9, 13, 3), np.uint16)
SMOOTH = np.linspace(0.1, 0.9, 64 * 48 * 3, dtype=np.float32).reshape(48, 64, 3)


def as_8_bit(values):
    return np.rint(values * 255).astype(np.uint8)


def save(path, pixels, mode=None, **options):
    picture = PIL.Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def encoded(suffix, image):
    """Return the bytes of a file that `write_image` makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"image{suffix}")
        write_image(path, image)
        with open(path, "rb") as file:
            return file.read()


# Round trips


@pytest.mark.parametrize(
    ("suffix", "transparent"),
    [(".bmp", False), *itertools.product([".png", ".tif", ".tiff", ".webp"], [False, True])],
)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_lossless_formats_keep_everything(tmp_path, suffix, bits, grey, transparent):
    top = 2**bits - 1
    values = (RNG.integers(0, top + 1, (9, 13, 4)) / top).astype(np.float32)
    pixels = np.repeat(values[:, :, :1], 3, axis=2) if grey else values[:, :, :3]
    image = Image(pixels, values[:, :, 3] if transparent else None, grey, bits, icc=b"a profile")
    write_image(tmp_path / f"image{suffix}", image)
    again = read_image(tmp_path / f"image{suffix}")

    kept = 16 if bits == 16 and suffix in (".png", ".tif", ".tiff") else 8
    assert again.bits == kept
    assert again.grey == (grey and suffix != ".webp")
    assert again.pixels.dtype == np.float32
    assert again.pixels.flags.c_contiguous
    tolerance = 0 if kept == bits else 0.51 / 255
    np.testing.assert_allclose(again.pixels, image.pixels, rtol=0, atol=tolerance)
    if transparent:
        np.testing.assert_allclose(again.alpha, image.alpha, rtol=0, atol=tolerance)
    else:
        assert again.alpha is None
    assert again.icc == (None if suffix == ".bmp" or (suffix == ".webp" and grey) else b"a profile")


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 4])).flatmap(
        lambda shape: st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: arrays(dtype, shape))
    ),
    st.sampled_from([".png", ".tif"]),
)
@settings(deadline=None, max_examples=80)
def test_stored_values_survive(tmp_path_factory, stored, suffix):
    values = (stored / np.iinfo(stored.dtype).max).astype(np.float32)
    grey = stored.shape[2] < 3
    pixels = np.repeat(values[:, :, :1], 3, axis=2) if grey else values[:, :, :3]
    alpha = values[:, :, -1] if stored.shape[2] in (2, 4) else None
    path = tmp_path_factory.getbasetemp() / f"survives{suffix}"
    write_image(path, Image(pixels, alpha, grey, bits=8 * stored.itemsize))
    again = read_image(path)
    np.testing.assert_array_equal(again.pixels, pixels)
    np.testing.assert_array_equal(again.alpha, alpha)
    assert (again.grey, again.bits) == (grey, 8 * stored.itemsize)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
@pytest.mark.parametrize("grey", [False, True])
def test_jpeg(tmp_path, suffix, grey):
    pixels = np.repeat(SMOOTH[:, :, :1], 3, axis=2) if grey else SMOOTH
    write_image(tmp_path / f"image{suffix}", Image(pixels, grey=grey, bits=16, icc=b"a profile"))
    again = read_image(tmp_path / f"image{suffix}")
    assert (again.grey, again.bits, again.alpha, again.icc) == (grey, 8, None, b"a profile")
    assert np.abs(again.pixels - pixels).max() < 3 / 255


def test_values_are_clipped_and_rounded_to_nearest(tmp_path):
    values = np.array([-0.5, 0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1, 1.5], np.float32)
    write_image(tmp_path / "a.png", Image(np.broadcast_to(values[None, :, None], (1, 7, 3))))
    stored = np.asarray(PIL.Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(stored[0, :, 0], [0, 0, 0, 1, 254, 255, 255])


# Reading what others wrote


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
def test_8_bit_colour(tmp_path, suffix):
    image = read_image(save(tmp_path / f"a{suffix}", RGB, **({"lossless": True} if suffix == ".webp" else {})))
    np.testing.assert_array_equal(as_8_bit(image.pixels), RGB)
    assert (image.grey, image.bits, image.alpha, image.icc) == (False, 8, None, None)


def test_one_bit(tmp_path):
    image = read_image(save(tmp_path / "a.png", GREY, "1"))
    assert image.grey
    np.testing.assert_array_equal(image.pixels[:, :, 1], np.asarray(PIL.Image.fromarray(GREY).convert("1")))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparent_colour(tmp_path, mode):
    # tRNS: one palette entry, one grey level or one colour is fully transparent.
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 1] = 204  # in Pillow's standard palette
    picture = PIL.Image.fromarray(stored).convert(mode)
    key = {"P": picture.getpixel((1, 0)), "L": 204, "RGB": (204, 204, 204)}[mode]
    picture.save(tmp_path / "a.png", transparency=key)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.alpha, [[1, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(as_8_bit(image.pixels), stored)
    assert image.grey == (mode == "L")


def test_palette(tmp_path):
    picture = PIL.Image.fromarray(RGB).quantize(16)
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(as_8_bit(image.pixels), np.asarray(picture.convert("RGB")))
    assert image.alpha is None


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_is_converted_and_loses_its_profile(tmp_path, suffix):
    save(tmp_path / f"a{suffix}", np.full((8, 8, 3), (200, 100, 50), np.uint8), "CMYK", icc_profile=b"of inks")
    image = read_image(tmp_path / f"a{suffix}")
    assert np.abs(as_8_bit(image.pixels).astype(int) - (200, 100, 50)).max() <= 2
    assert image.icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, suffix, orientation):
    upright = as_8_bit(np.kron(np.linspace(0, 1, 6).reshape(2, 3), np.ones((16, 16))))
    # By the EXIF standard's table of where row 0 and column 0 of the stored image belong when it is upright.
    stored = {
        1: upright,
        2: np.fliplr(upright),
        3: np.rot90(upright, 2),
        4: np.flipud(upright),
        5: upright.T,
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a{suffix}", stored, exif=exif)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.pixels.shape == (32, 48, 3)
    assert np.abs(image.pixels[:, :, 0] * 255 - upright).max() < 8
    assert image.pixels.flags.c_contiguous


def test_16_bit_tiff_is_turned_upright_too(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.rot90(RGB16, 1), photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(np.rint(read_image(tmp_path / "a.tif").pixels * 65535), RGB16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_colour_tiff(tmp_path, byteorder, compression, planar):
    stored = RGB16 if planar == "contig" else np.moveaxis(RGB16, 2, 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="rgb",
        byteorder=byteorder,
        compression=compression,
        planarconfig=planar,
    )
    image = read_image(tmp_path / "a.tif")
    assert image.bits == 16
    np.testing.assert_array_equal(np.rint(image.pixels * 65535), RGB16)


def test_16_bit_tiff_where_white_is_zero(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB16[:, :, 0], photometric="miniswhite")
    image = read_image(tmp_path / "a.tif")
    assert image.grey
    np.testing.assert_array_equal(np.rint(image.pixels[:, :, 2] * 65535), 65535 - RGB16[:, :, 0])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_first_frame(tmp_path, suffix):
    frames = [PIL.Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 200)]
    options = {".webp": {"lossless": True}}.get(suffix, {})
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **options)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.pixels.shape == (8, 8, 3)
    assert (as_8_bit(image.pixels) == 40).all()


def test_content_decides_the_format(tmp_path):
    save(tmp_path / "a.jpg", RGB, format="PNG")
    np.testing.assert_array_equal(as_8_bit(read_image(tmp_path / "a.jpg").pixels), RGB)


# 16-bit PNG, which is read and written here, against the specification


def png(width, height, colour_type, filtered, interlaced=0, extra=b""):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(filtered)), chunk(b"IEND", b"")]
    )


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filter_rows(pixels, kind):
    """Filter rows as section 9.2 of the specification says, a byte at a time."""
    rows = pixels.astype(">u2").view(np.uint8).reshape(pixels.shape[0], -1).astype(int)
    step, out = 2 * pixels.shape[2], b""
    for y, row in enumerate(rows):
        out += bytes([kind])
        for x, value in enumerate(row):
            a = rows[y, x - step] if x >= step else 0
            b = rows[y - 1, x] if y else 0
            c = rows[y - 1, x - step] if y and x >= step else 0
            out += bytes([(value - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) % 256])
    return out


def read_png16(path):
    return np.concatenate(list(Png16(path).bands()))


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_png_filters(tmp_path, kind, channels, colour_type):
    pixels = RNG.integers(0, 65536, (7, 5, channels), np.uint16)
    (tmp_path / "a.png").write_bytes(png(5, 7, colour_type, filter_rows(pixels, kind)))
    np.testing.assert_array_equal(read_png16(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("shape", [(9, 13), (1, 1), (8, 8), (2, 5), (5, 1)])
def test_interlaced_png(tmp_path, shape):
    pixels = RNG.integers(0, 65536, (*shape, 3), np.uint16)
    # The pattern of section 8.1: which of the seven passes each pixel of an 8 x 8 block is in.
    pattern = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
    filtered = b""
    for number in "1234567":
        mask = np.array([[pattern[y % 8][x % 8] == number for x in range(shape[1])] for y in range(shape[0])])
        if mask.any():
            filtered += filter_rows(pixels[np.ix_(mask.any(axis=1), mask.any(axis=0))], 4)
    (tmp_path / "a.png").write_bytes(png(shape[1], shape[0], 2, filtered, interlaced=1))
    np.testing.assert_array_equal(np.rint(read_image(tmp_path / "a.png").pixels * 65535), pixels)


def test_transparent_colour_of_a_16_bit_png(tmp_path):
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    key = struct.pack(">HHH", 1, 2, 3)
    chunk = struct.pack(">I", 6) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
    (tmp_path / "a.png").write_bytes(png(2, 1, 2, filter_rows(pixels, 0), extra=chunk))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, [[0, 1]])


def test_others_read_our_16_bit_png(tmp_path):
    pixels = RGB16[:, :, :1]
    write_png(tmp_path / "a.png", pixels.shape, [pixels])
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), pixels[:, :, 0])
    write_png(tmp_path / "a.png", RGB16.shape, [RGB16], icc=b"a profile")
    picture = PIL.Image.open(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(picture), RGB16 >> 8)
    assert picture.info["icc_profile"] == b"a profile"


# What cannot be read


def one_sentence(error, path):
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert not message.endswith(".")
    return message


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"hello, I am a text file\n", "not an image of a known format"), (b"", "empty")],
)
def test_not_an_image(tmp_path, suffix, content, reason):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        read_image(path)
    assert "PNG, JPEG, TIFF, WebP, BMP, GIF, PPM, AVIF or HEIC" in one_sentence(error, path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="No such file") as error:
        read_image(tmp_path / "a.png")
    one_sentence(error, tmp_path / "a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be opened for another reason there")
def test_folder_where_a_file_is_expected(tmp_path):
    with pytest.raises(InputError, match="Is a directory") as error:
        read_image(tmp_path)
    one_sentence(error, tmp_path)


@pytest.mark.parametrize(
    ("suffix", "bits"),
    [(".png", 8), (".png", 16), (".jpg", 8), (".tif", 8), (".tif", 16), (".webp", 8), (".bmp", 8)],
)
def test_truncated_file_is_never_half_a_picture(tmp_path, suffix, bits):
    noise = RNG.random((40, 31, 3)).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    write_image(path, Image(noise, bits=bits))
    content, whole = path.read_bytes(), read_image(path).pixels
    lengths = sorted({*range(0, len(content), len(content) // 97), *range(len(content) - 20, len(content))})
    refused = 0
    for length in lengths:
        path.write_bytes(content[:length])
        try:
            pixels = read_image(path).pixels
        except InputError:
            refused += 1
        else:  # only what follows the pixels is missing
            np.testing.assert_array_equal(pixels, whole)
    assert refused >= len(lengths) - 20


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_damaged_file_is_an_image_or_an_input_error(tmp_path_factory, data):
    suffix, bits = data.draw(st.sampled_from([(".png", 8), (".png", 16), (".jpg", 8), (".tif", 16), (".webp", 8)]))
    content = bytearray(encoded(suffix, Image(SMOOTH[:9, :7], bits=bits)))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert read_image(path).pixels.shape[2] == 3


@pytest.mark.parametrize("depth", [8, 16])
def test_decompression_bomb(tmp_path, depth):
    path = tmp_path / "a.png"
    content = bytearray(png(50_000, 50_000, 2, b"0"))
    content[24] = depth
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(InputError, match="2500000000 pixels") as error:
        read_image(path)
    one_sentence(error, path)


def test_decompression_bomb_in_a_16_bit_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb", compression="zlib")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for name in ("ImageWidth", "ImageLength"):
            tag = file.pages[0].tags[name]
            struct.pack_into("<H" if tag.dtype == 3 else "<I", content, tag.valueoffset, 60_000)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match="incomplete TIFF header"):
        read_image(tmp_path / "a.tif")


def test_png_whose_data_unfolds_without_end(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, 1, 2, b"\0" + b"\1\2\3\4\5\6" + bytes(50_000_000)))
    np.testing.assert_array_equal(read_png16(tmp_path / "a.png"), [[[0x102, 0x304, 0x506]]])


@pytest.mark.parametrize(
    ("stored", "options", "message"),
    [
        (RGB.astype(np.float32), {"photometric": "rgb"}, "32-bit TIFF samples"),
        (GREY.astype(np.uint32), {"photometric": "minisblack"}, "32-bit TIFF samples"),
        (GREY.astype(np.int16), {"photometric": "minisblack"}, "16-bit TIFF samples of format 2"),
        (np.dstack([RGB16, RGB16[:, :, 0]]), {"photometric": "separated"}, "neither greyscale nor RGB"),
        (
            np.dstack([RGB16, RGB16[:, :, 0]]),
            {"photometric": "rgb", "extrasamples": ["assocalpha"]},
            "not straight alpha",
        ),
    ],
)
def test_tiff_of_another_kind(tmp_path, stored, options, message):
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    with pytest.raises(InputError, match=message) as error:
        read_image(tmp_path / "a.tif")
    one_sentence(error, tmp_path / "a.tif")


def test_a_compression_that_takes_a_package(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", RGB16, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(5)  # LZW, says the header
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"LZW are read by imagecodecs, which pip install 'lowrank-sr\[tiff\]' adds"):
        read_image(tmp_path / "a.tif")


def test_pages_that_lead_back(tmp_path, capfd):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb")
    with tifffile.TiffFile(path) as file:
        (offset,) = (page.offset for page in file.pages)
        tags = len(file.pages[0].tags)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, offset + 2 + 12 * tags, offset)  # the next page is this one
    path.write_bytes(content)
    assert frames_in(path) == [0]
    np.testing.assert_array_equal(np.rint(read_image(path).pixels * 255), RGB)
    assert capfd.readouterr() == ("", "")


def test_heic_takes_a_package(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"pip install 'lowrank-sr\[heif\]' adds"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(("suffix", "tolerance"), [(".gif", 60), (".ppm", 0), (".avif", 60)])
def test_formats_that_are_only_read(tmp_path, suffix, tolerance):
    image = read_image(save(tmp_path / f"a{suffix}", RGB))
    assert np.abs(np.rint(image.pixels * 255) - RGB).mean() <= tolerance
    assert image.pixels.shape == (9, 13, 3)
    with pytest.raises(InputError, match="no image format has this suffix"):
        write_image(tmp_path / f"b{suffix}", image)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes as POSIX has them")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="it is not a file"):
        read_image(tmp_path / "a.png")


def test_reading_does_not_warn(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", RGB.size // 3 - 1)
    save(tmp_path / "a.png", RGB)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


# What cannot be written


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp"])
def test_transparency_is_refused(tmp_path, suffix):
    with pytest.raises(InputError, match=r"transparency; expected \.png") as error:
        write_image(tmp_path / f"a{suffix}", Image(SMOOTH, alpha=SMOOTH[:, :, 0]))
    one_sentence(error, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("a.gif", SMOOTH, r"no image format has this suffix; expected \.png, .* or \.bmp"),
        ("a", SMOOTH, "no image format has this suffix"),
        ("a.png", np.full((2, 2, 3), np.nan, np.float32), "not a number"),
        ("a.png", np.full((2, 2, 3), np.inf, np.float32), "infinite"),
        ("a.png", SMOOTH[:, :, 0], r"shape \(48, 64\)"),
        ("a.png", SMOOTH[:0], r"shape \(0, 64, 3\)"),
        ("a.webp", np.zeros((1, 16384, 3), np.float32), "16383"),
        ("none/a.png", SMOOTH, "No such file"),
    ],
)
def test_refuses_to_write(tmp_path, name, pixels, message):
    with pytest.raises(InputError, match=message) as error:
        write_image(tmp_path / name, Image(pixels))
    one_sentence(error, tmp_path / name)
    assert not list(tmp_path.iterdir())


@contextlib.contextmanager
def mounted(folder, options):
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small or read-only folder takes root")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="mounts a file system as POSIX systems do")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bits", [8, 16])
def test_full_disk_leaves_what_was_there(tmp_path, suffix, bits):
    noise = RNG.random((200, 200, 3)).astype(np.float32)
    with mounted(tmp_path / "small", "size=16k") as folder:
        path = folder / f"a{suffix}"
        path.write_bytes(b"before")
        with pytest.raises(InputError, match="cannot be written: No space left") as error:
            write_image(path, Image(noise, bits=bits))
        one_sentence(error, path)
        assert [entry.name for entry in folder.iterdir()] == [path.name]
        assert path.read_bytes() == b"before"


@pytest.mark.skipif(sys.platform == "win32", reason="mounts a file system as POSIX systems do")
def test_read_only_folder(tmp_path):
    with mounted(tmp_path / "fixed", "ro") as folder:
        with pytest.raises(InputError, match="cannot be written: Read-only file system") as error:
            write_image(folder / "a.png", Image(SMOOTH))
        one_sentence(error, folder / "a.png")


def test_replaces_an_older_file_and_leaves_no_other(tmp_path):
    (tmp_path / "a.png").write_bytes(b"before")
    write_image(tmp_path / "a.png", Image(SMOOTH))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    assert read_image(tmp_path / "a.png").pixels.shape == SMOOTH.shape


# Folders


def test_images_in(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.txt", ".hidden.png", "10.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert images_in(tmp_path) == [tmp_path / name for name in ("10.webp", "a.jpg", "b.PNG")]


def test_a_folder_that_may_be_listed_but_not_searched(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.X_OK and allowed(path, mode))  # even root
    with pytest.raises(InputError, match="cannot be listed: Permission denied; expected a folder of images"):
        images_in(tmp_path)


def test_images_in_nothing(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="expected") as error:
            images_in(folder)
        one_sentence(error, folder)


def test_import_is_light():
    code = "import sys, lowrank_sr.pictures.images; print({'PIL', 'imageio', 'tifffile'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


NO_CACHE = """
import sys
from pathlib import Path
from numba.core import caching

def refuse(self, function):
    raise RuntimeError("cannot cache function: no locator available for file")

caching.FunctionCache.__init__ = refuse  # as on a read-only installation for a user without a home
from lowrank_sr.pictures.images import read_image
print(read_image(Path(sys.argv[1])).bits)
"""


@pytest.mark.slow
def test_16_bit_png_is_read_where_no_compiled_code_can_be_kept(tmp_path):
    path = tmp_path / "deep.png"
    write_image(path, Image(np.full((3, 4, 3), 0.5, np.float32), bits=16))
    command, environment = [sys.executable, "-c", NO_CACHE, path], os.environ | {"NUMBA_OPT": "0"}  # compiles sooner
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "16\n", "")
