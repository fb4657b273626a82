import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.errors import InputError
from lowrank_sr.pictures import tiff
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.pictures.writing import check_format, write_rows

RNG = np.random.default_rng(0)
SMOOTH = (np.linspace(0, 1, 40 * 30 * 4).reshape(40, 30, 4) * 65535).astype(np.uint16)


@given(
    st.sampled_from([".png", ".tif", ".webp", ".bmp", ".jpg"]),
    st.sampled_from([8, 16]),
    st.integers(1, 4),
    st.lists(st.integers(1, 39), max_size=4),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_the_same_file_in_any_bands(tmp_path_factory, suffix, bits, channels, cuts, noisy):
    if suffix in (".jpg", ".bmp") and channels in (2, 4):
        channels -= 1
    if suffix not in (".png", ".tif"):
        bits = 8
    values = RNG.integers(0, 65536, SMOOTH.shape, np.uint16) if noisy else SMOOTH
    values = (values if bits == 16 else values >> 8).astype(f"u{bits // 8}")[:, :, :channels]
    folder = tmp_path_factory.getbasetemp()
    once, parts = folder / f"once{suffix}", folder / f"parts{suffix}"
    write_rows(once, values.shape, bits, [values], b"a profile")
    write_rows(parts, values.shape, bits, np.split(values, sorted(set(cuts))), b"a profile")
    a, b = (PictureFile(path).rows(0, 40) for path in (once, parts))
    np.testing.assert_array_equal(a, b)
    if suffix == ".webp" and channels < 3:
        values = np.concatenate([np.repeat(values[:, :, :1], 3, axis=2), values[:, :, 1:]], axis=2)
    if suffix != ".jpg":
        np.testing.assert_array_equal(a, values)


def test_png_picks_the_filter_that_suits_a_row(tmp_path):
    """Smooth rows come out far smaller than they are; noise hardly larger."""
    noise = RNG.integers(0, 256, (100, 100, 3), np.uint8)
    ramp = np.add.outer(np.arange(100), np.arange(100))[:, :, None].astype(np.uint8).repeat(3, axis=2)
    for values, most in ((noise, 1.02), (ramp, 0.05)):
        write_rows(tmp_path / "a.png", values.shape, 8, [values], None)
        assert (tmp_path / "a.png").stat().st_size < most * values.size
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), values)


def test_large_tiffs_are_bigtiffs(tmp_path, monkeypatch):
    values = SMOOTH[:, :, :3]
    write_rows(tmp_path / "small.tif", values.shape, 16, [values], None)
    monkeypatch.setattr(tiff, "_CLASSIC_BYTES", values.nbytes - 1)
    write_rows(tmp_path / "large.tif", values.shape, 16, [values], None)
    for name, large in (("small.tif", False), ("large.tif", True)):
        with tifffile.TiffFile(tmp_path / name) as file:
            assert file.is_bigtiff == large
            np.testing.assert_array_equal(file.asarray(), values)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("a.webp", (4, 16_384, 3), "16384 x 4 pixels, and .webp has at most 16383 a side; expected .png or .tif"),
        ("a.jpg", (65_501, 4, 3), "at most 65500 a side"),
        ("a.JPEG", (65_501, 4, 3), "at most 65500 a side"),
        ("a.bmp", (40_000, 40_000, 3), "more than .bmp has room for"),
        ("a.jpg", (4, 4, 4), "cannot keep transparency"),
        ("a.xyz", (4, 4, 3), "no image format has this suffix"),
    ],
)
def test_what_a_format_cannot_keep(name, shape, message):
    with pytest.raises(InputError, match=message):
        check_format(name, shape)


def test_what_it_can():
    for name, shape in [("a.jpg", (65_500, 65_500, 3)), ("a.webp", (16_383, 16_383, 4)), ("a.tif", (10**6, 10**6, 4))]:
        check_format(name, shape)


def test_an_error_in_the_rows_leaves_no_file(tmp_path):
    def bands():
        yield np.zeros((4, 4, 3), np.uint8)
        raise InputError("b.png: is damaged further down")

    for suffix in (".png", ".tif", ".jpg"):
        with pytest.raises(InputError, match=r"^b\.png: is damaged further down$"):
            write_rows(tmp_path / f"a{suffix}", (8, 4, 3), 8, bands(), None)
    assert not list(tmp_path.iterdir())
