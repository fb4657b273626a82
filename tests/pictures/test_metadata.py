"""What pictures say of themselves, from file to file; read back by Pillow."""

import struct
import zlib
from functools import reduce

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

import lowrank_sr as lsr
from lowrank_sr.commands.upscale_file import upscale_file
from lowrank_sr.pictures import metadata
from lowrank_sr.pictures.metadata import Metadata
from lowrank_sr.pictures.reading import PictureFile

NET = lsr.RRDBNet.random(num_feat=4, num_block=1, num_grow_ch=2, method="direct")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" tiff:ImageWidth="20" '
    b'exif:PixelYDimension="10"><tiff:ImageLength>10</tiff:ImageLength><dc:title>teal</dc:title>'
    b"</rdf:Description></x:xmpmeta>"
)
UPRIGHT = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x78\x00\x04teal"  # record 2, data set 120: the caption
PICTURE = PIL.Image.new("RGB", (20, 10), "teal")


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunks(path, before=b"", after=b""):
    """A PNG with chunks before and after its pixels."""
    PICTURE.save(path)
    content = path.read_bytes()
    data, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    path.write_bytes(content[:data] + before + content[data:end] + after + content[end:])
    return path


def chunks_of(path):
    content, place, found = path.read_bytes(), 8, []
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        found.append((name, content[place + 8 : place + 8 + length]))
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length])[0] == zlib.crc32(
            content[place + 4 : place + 8 + length]
        )
        place += 12 + length
    return found


def larger(source, extension, **options):
    target = source.with_name(f"larger.{extension}")
    upscale_file(NET, source, target, **options)
    return target


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_xmp_with_the_sides_and_the_orientation_of_what_is_written(tmp_path, kind, extension):
    source = tmp_path / f"a.{kind}"
    if kind == "png":
        with_chunks(source, after=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)))
    elif kind == "tif":
        PICTURE.save(source, tiffinfo={700: XMP})
    else:
        PICTURE.save(source, xmp=XMP)
    with PIL.Image.open(larger(source, extension)) as written:
        written.load()
        across, down = (str(side).encode() for side in written.size)  # turned, where Pillow sees XMP's orientation
        replaced = (b'"20"', b'"%s"' % across), (b'"10"', b'"%s"' % down), (b">10<", b">%s<" % down)
        assert written.info["xmp"] == reduce(lambda text, pair: text.replace(*pair), replaced, UPRIGHT)
    with PIL.Image.open(larger(source, extension, strip=True)) as written:
        written.load()
        assert "xmp" not in written.info


@pytest.mark.parametrize("kind", ["jpg", "tif"])
@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_iptc(tmp_path, kind, extension):
    source = tmp_path / f"a.{kind}"
    options = {"tiffinfo": {33723: IPTC}} if kind == "tif" else {"extra": metadata.photoshop_segment(IPTC)}
    PICTURE.save(source, **options)
    for strip in (False, True):
        with PIL.Image.open(larger(source, extension, strip=strip)) as written:
            if extension == "tif":
                assert written.tag_v2.get(33723) == (None if strip else IPTC)
            else:
                assert written.info.get("photoshop", {}).get(0x0404) == (None if strip else IPTC)


TEXTS = [
    (b"tEXt", b"parameters\0a cat, 20 steps"),
    (b"zTXt", b"prompt\0\0" + zlib.compress(b"a cat")),
    (b"iTXt", b"workflow\0\0\0\0\0{}"),
]
COLOURS = [
    (b"cICP", bytes([9, 16, 0, 1])),
    (b"gAMA", struct.pack(">I", 100_000)),
    (b"cHRM", struct.pack(">8I", *(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))),
    (b"sRGB", b"\0"),
]


@pytest.mark.parametrize("bits", [8, 16])
def test_texts_and_colours_of_a_png_stay_as_they_are(tmp_path, bits):
    source = tmp_path / "a.png"
    joined = [b"".join(chunk(*each) for each in every) for every in (COLOURS, TEXTS)]
    if bits == 16:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(b"\0\1\2\3\4"))
        source.write_bytes(b"\x89PNG\r\n\x1a\n" + header + joined[0] + data + joined[1] + chunk(b"IEND", b""))
    else:
        with_chunks(source, *joined)
    written = chunks_of(larger(source, "png"))
    assert [each for each in written if each[0] in {name for name, _ in COLOURS}] == COLOURS
    assert [each for each in written if each[0] in {name for name, _ in TEXTS}] == TEXTS
    names = [name for name, _ in written]
    assert max(names.index(name) for name, _ in COLOURS) < names.index(b"IDAT")  # as the specification wants
    stripped = chunks_of(larger(source, "png", strip=True))
    assert {name for name, _ in stripped} == {b"IHDR", b"IDAT", b"IEND"} | {name for name, _ in COLOURS}
    larger(source, "tif"), larger(source, "webp")  # which have no place for them


@pytest.mark.parametrize(
    "damage",
    [
        chunk(b"tEXt", b"a\0b")[:-1] + b"x",  # its checksum is wrong
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not compressed"),
    ],
)
def test_damaged_texts_cost_nothing(tmp_path, damage):
    one, other = (b"tEXt", b"one\0text"), (b"tEXt", b"other\0text")
    source = with_chunks(tmp_path / "a.png", after=chunk(*one) + damage + chunk(*other))
    picture = PictureFile(source)
    assert picture.metadata.xmp is None
    assert picture.metadata.text == (one, other)
    np.testing.assert_array_equal(picture.rows(0, 10), np.asarray(PICTURE))


def test_no_room_in_a_jpeg(tmp_path):
    source = with_chunks(tmp_path / "a.png", after=chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes(4) + bytes(70_000)))
    with PIL.Image.open(larger(source, "jpg")) as written:
        assert "xmp" not in written.info
    assert metadata.photoshop_segment(bytes(70_000)) is None


def test_a_square_has_two_sides():
    given = Metadata(xmp=b'tiff:ImageWidth="1" tiff:ImageLength="2"')
    assert given.for_upright(5, 5).xmp == b'tiff:ImageWidth="5" tiff:ImageLength="5"'
