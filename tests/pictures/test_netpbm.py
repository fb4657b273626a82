"""PGM and PPM of 16 bits, by the specification's own words."""

import numpy as np
import pytest

from lowrank_sr.errors import InputError
from lowrank_sr.pictures import netpbm
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.reading import PictureFile

VALUES = np.array([[[0, 300, 65535], [1, 2, 256]]], np.uint16)
PPM = b"P6 2 1 65535\n" + VALUES.astype(">u2").tobytes()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PPM, VALUES),
        (b"P6\n# by a scanner\n2\t# wide\n1\n65535\n" + VALUES.astype(">u2").tobytes(), VALUES),
        (b"P3 2 1 65535\n0 300 65535\n1 2 256\n", VALUES),
        (b"P5 2 1 65535\n\x01\x02\xff\xff", [[[258], [65535]]]),
        (b"P2 2 1 1023\n1023 0", [[[65535], [0]]]),
        (b"P5 2 1 1000\n\x03\xe8\x01\xf4", [[[65535], [32768]]]),  # 500 of 1000: rint(32767.5) is even
    ],
)
def test_by_hand(tmp_path, content, expected):
    (tmp_path / "a.ppm").write_bytes(content)
    picture = PictureFile(tmp_path / "a.ppm")
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture.rows(0, 1), expected)
    assert read_image(tmp_path / "a.ppm").bits == 16


@pytest.mark.parametrize("content", [b"P6 2 1 255\n" + bytes(range(6)), b"P5 2 1 15\n\x00\x0f", b"P3 1 1 255\n1 2 3\n"])
def test_8_bits_are_pillows(tmp_path, content):
    (tmp_path / "a.ppm").write_bytes(content)
    assert netpbm.open_netpbm16(tmp_path / "a.ppm") is None
    assert PictureFile(tmp_path / "a.ppm").dtype == np.uint8


def test_in_bands(tmp_path, monkeypatch):
    monkeypatch.setattr(netpbm, "rows_of", lambda row: 3)
    values = np.random.default_rng(0).integers(0, 65536, (11, 5, 3), np.uint16)
    (tmp_path / "a.ppm").write_bytes(b"P6 5 11 65535 " + values.astype(">u2").tobytes())
    picture = PictureFile(tmp_path / "a.ppm")
    np.testing.assert_array_equal(np.concatenate([picture.rows(0, 4), picture.rows(4, 11)]), values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PPM[:-1], "5 of 6 samples"),
        (b"P3 2 1 65535\n1 2 3", "3 of 6 samples"),
        (b"P2 1 1 300\n301", "samples of 301 to 301, and its header says 0 to 300"),
        (b"P2 1 1 300\n-1", "samples of -1 to -1"),
        (b"P2 1 1 300\nwhite", "invalid literal"),
        (b"P5 0 1 65535\n", "0 x 1 pixels"),
    ],
)
def test_damaged(tmp_path, content, reason):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_image(tmp_path / "a.pgm")
