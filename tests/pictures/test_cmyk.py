"""Pictures in inks: through a profile that is written here by hand."""

import struct

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from lowrank_sr.pictures import cmyk
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.reading import PictureFile

CORNERS = {(0, 0, 0, 0): 100, (1, 0, 0, 0): 50}  # L* in CIELAB, neutral, of paper and of full cyan; others are black


def profile():
    """A press whose cyan is a grey of L* 50: ICC version 2, its table a lut8Type of two points a channel (6.5.8)."""
    table = bytearray()
    for corner in np.ndindex(2, 2, 2, 2):
        table += bytes([round(CORNERS.get(corner, 0) * 255 / 100), 128, 128])
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * int(i % 4 == 0) for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + bytes(table) + 3 * ramp
    text = b"text" + bytes(4) + b"none\0\0\0\0"
    description = b"desc" + bytes(4) + struct.pack(">I", 6) + b"press\0" + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in (0.9642, 1, 0.8249)))
    tags = {b"desc": description, b"cprt": text, b"wtpt": white, b"A2B0": lut}
    start, directory, content = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        directory += name + struct.pack(">II", start + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(content), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", *(round(65536 * value) for value in (0.9642, 1, 0.8249)))
    return header.ljust(128, b"\0") + directory + content


INKS = PIL.Image.new("CMYK", (16, 16), (255, 0, 0, 0))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_through_the_profile(tmp_path, suffix):
    """L* = 50 is Y = ((50 + 16) / 116)^3 = 0.1842, and sRGB 1.055 Y^(1/2.4) - 0.055 = 0.466: 119 of 255."""
    INKS.save(tmp_path / f"a{suffix}", icc_profile=profile())
    image = read_image(tmp_path / f"a{suffix}")
    assert np.abs(255 * image.pixels - 119).max() <= 2  # 8 bits of L* are 0.4, of sRGB about 1
    assert image.icc is None
    assert PictureFile(tmp_path / f"a{suffix}").notice is None


def test_paper_is_white(tmp_path):
    PIL.Image.new("CMYK", (16, 16)).save(tmp_path / "a.tif", icc_profile=profile())
    assert read_image(tmp_path / "a.tif").pixels.min() >= 254 / 255


@pytest.mark.parametrize(
    "given", [None, b"of inks", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_without_a_profile_of_inks_the_plain_formula_and_a_notice(tmp_path, given):
    INKS.save(tmp_path / "a.tif", icc_profile=given)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0, 0], [0, 1, 1])
    assert PictureFile(tmp_path / "a.tif").notice == cmyk.NO_PROFILE
