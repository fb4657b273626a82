import re
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.commands import upscale_file as module
from lowrank_sr.commands.upscale_file import upscale_file
from lowrank_sr.network.enlarge import enlarge_tile
from lowrank_sr.network.plan import needed_bytes
from lowrank_sr.network.tiles import TilePlan

RANDOM = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
# Random weights give values far beyond 0..1: the last layer is scaled so that the picture is not all black and white.
LAST = lsr.Dense(0.02 * RANDOM.layers["conv_last"].weight, np.full(3, 0.5, np.float32))
NET = lsr.RRDBNet({**RANDOM.layers, "conv_last": LAST}, "direct")


@pytest.fixture
def little(monkeypatch):
    """A budget that is a byte too small for what the network needs to enlarge a picture whole."""
    monkeypatch.setattr(module, "resident_bytes", lambda: 0)
    monkeypatch.setattr(module, "PROCESS_BYTES", 0)
    monkeypatch.setattr(module, "encoding_bytes", lambda *arguments: 0)
    monkeypatch.setattr(module.PictureFile, "decoding_bytes", 0)

    def budget(path, target):
        picture = module.PictureFile(path)
        whole = TilePlan(picture.height, picture.width, picture.height, picture.width, 0)
        kept = np.dtype("u1") if target == "b.bmp" else picture.dtype
        needed = needed_bytes(picture.channels, kept, picture.dtype.itemsize, NET, whole)
        return needed - 1 + module._PARAMETER_BYTES * NET.parameters

    return budget


@pytest.fixture
def picture(tmp_path):
    def make(name, shape=(150, 130, 3), dtype=np.uint8):
        values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        if dtype == np.uint8 and not name.endswith(".tif"):
            PIL.Image.fromarray(values if shape[2] > 1 else values[:, :, 0]).save(tmp_path / name)
        else:
            tifffile.imwrite(
                tmp_path / name, values, rowsperstrip=16, photometric="rgb" if shape[2] > 2 else "minisblack",
                planarconfig="contig", extrasamples=["unassalpha"] if shape[2] in (2, 4) else None,
            )  # fmt: skip
        return tmp_path / name

    return make


def stored(path):
    return module.PictureFile(path).rows(0, module.PictureFile(path).height)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target", "channels", "dtype"),
    [
        ("a.png", "b.png", 3, np.uint8),
        ("a.png", "b.jpg", 1, np.uint8),
        ("a.png", "b.webp", 4, np.uint8),
        ("a.tif", "b.tif", 3, np.uint8),
        ("a.tif", "b.png", 4, np.uint16),
        ("a.tif", "b.bmp", 3, np.uint16),
    ],
)
def test_the_same_picture_in_tiles(tmp_path, picture, little, source, target, channels, dtype):
    path = picture(source, (150, 130, channels), dtype)
    upscale_file(NET, path, tmp_path / "whole" / target)
    calls = []

    def compute(net, inputs, progress):
        for given in inputs:
            calls.append(given.tile)
            progress(given.tile, 1)
            yield enlarge_tile(net, given)

    done = []
    memory = little(path, target)
    upscale_file(NET, path, tmp_path / target, done.append, memory, overlap=24, compute=compute)
    assert len(calls) > 1
    assert sum(done) == pytest.approx(1)
    whole, tiled = stored(tmp_path / "whole" / target), stored(tmp_path / target)
    assert whole.shape == (600, 520, channels)
    assert whole.dtype == (np.uint8 if target == "b.bmp" else dtype)
    assert whole.std() > 1
    np.testing.assert_array_equal(whole, tiled)  # 24 pixels are this network's receptive field, and more


@pytest.mark.slow
def test_turned_by_exif(tmp_path, little):
    values = np.random.default_rng(0).integers(0, 256, (150, 130, 3), np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 8
    PIL.Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    PIL.Image.fromarray(np.rot90(values, 1)).save(tmp_path / "upright.png")
    upscale_file(NET, tmp_path / "a.png", tmp_path / "b.png", memory=little(tmp_path / "a.png", "b.png"), overlap=24)
    upscale_file(NET, tmp_path / "upright.png", tmp_path / "c.png")
    np.testing.assert_array_equal(stored(tmp_path / "b.png"), stored(tmp_path / "c.png"))


def header_only_png(path, width, height):
    """A PNG that is all header, as far as a reader gets before it decodes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return path


def test_refused_by_its_header(tmp_path, capsys):
    weights = tmp_path / "tiny.npz"
    NET.save(weights)
    source = header_only_png(tmp_path / "a.png", 13_300, 13_300)
    command = ["upscale", str(source), "--weights", str(weights), "--method", "direct"]
    assert main([*command, "--memory", "900MB"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    # what this process holds already counts as well: how much that is depends on the tests before
    needs = r"pixels need (\d(?:\.\d)?) GB of memory even in small tiles: 900 MB can be used"
    sentence = re.fullmatch(f"lowrank-sr: {re.escape(str(source))}: 13300 x 13300 {needs}", error)
    assert sentence, error
    assert float(sentence[1]) >= 2
    assert main([*command, "--memory", "1.5GB", "-o", str(tmp_path / "b.jpg")]) == 2
    error = capsys.readouterr().err
    assert "b.jpg: " not in error
    assert ".jpg files are held whole: expected .png, .tif or .tiff" in error
    assert main([*command, "-o", str(tmp_path / "b.webp")]) == 2
    assert "b.webp: cannot be written: 53200 x 53200 pixels, and .webp has at most 16383" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "tiny.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory", "much"], "size 'much': expected a number and a unit"),
        (["--memory", "50MB"], "even in small tiles: 50 MB can be used"),
        (["--overlap", "-1"], "an overlap of -1 pixels: expected 0 or more"),
    ],
)
def test_options_that_cannot_be_kept(tmp_path, picture, capsys, arguments, message):
    NET.save(tmp_path / "tiny.npz")
    source = str(picture("a.png"))
    assert main(["upscale", source, "--weights", str(tmp_path / "tiny.npz"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a_x4.png").exists()


def test_no_memory_after_all(tmp_path, picture):
    def compute(net, inputs, progress):
        raise MemoryError

    with pytest.raises(lsr.InputError, match=r"a\.png: less memory than the system said was free: expected --memory"):
        upscale_file(NET, picture("a.png"), tmp_path / "b.png", compute=compute)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def _grey_rgb(path, channels):
    """A file whose red, green and blue are equal, but stored."""
    grey = np.random.default_rng(0).integers(0, 256, (40, 30, 1), np.uint8)
    alpha = np.full((40, 30, channels - 3), 255, np.uint8)
    PIL.Image.fromarray(np.concatenate([grey] * 3 + [alpha], axis=2)).save(
        path, quality=95, **({"lossless": True} if path.suffix == ".webp" else {})
    )
    return path


@pytest.mark.parametrize(("name", "channels"), [("a.png", 3), ("a.png", 4), ("a.jpg", 3), ("a.webp", 3), ("a.tif", 3)])
def test_grey_in_grey_out_stored_as_it_came(tmp_path, name, channels):
    source = _grey_rgb(tmp_path / name, channels)
    upscale_file(NET, source, tmp_path / "b.png")
    larger = stored(tmp_path / "b.png")
    assert larger.shape == (160, 120, channels)
    assert (larger[:, :, :1] == larger[:, :, :3]).all()
    np.testing.assert_array_equal(larger[:, :, :1], lsr.enlarge(NET, stored(source)[:, :, :1]))


def test_one_coloured_pixel_at_the_end_makes_a_coloured_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "rows_of", lambda row: 7)
    source = _grey_rgb(tmp_path / "a.png", 3)
    values = stored(source).copy()
    values[-1, -1, 0] ^= 1
    PIL.Image.fromarray(values).save(source)
    upscale_file(NET, source, tmp_path / "b.png")
    np.testing.assert_array_equal(stored(tmp_path / "b.png"), lsr.enlarge(NET, values))


def test_a_large_picture_of_few_bytes_is_planned_from_its_header(tmp_path):
    """As an adversary's, and as a scanned plan: 182 million pixels in 25 KB, more than Pillow opens by itself."""
    source, limit = tmp_path / "plan.png", PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.new("1", (14_000, 13_000)).save(source)
    with pytest.raises(lsr.InputError, match=r"plan\.png: 14000 x 13000 pixels need \d\.\d GB of memory even in small"):
        upscale_file(NET, source, tmp_path / "b.png", memory=10**9)
    picture = module.PictureFile(source)
    assert (picture.height, picture.width, picture.channels) == (13_000, 14_000, 1)
    assert limit == PIL.Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("tile_height", [40, 20])
def test_a_picture_is_grey_where_all_its_rows_are(tmp_path, monkeypatch, tile_height):
    """Of a picture in tiles the rows are looked at some at a time, before any is computed."""
    monkeypatch.setattr(module, "rows_of", lambda row: 7)
    plan = TilePlan(40, 30, tile_height, 30, 0)
    source = _grey_rgb(tmp_path / "a.png", 3)
    assert module._is_grey(module.PictureFile(source), plan, 0)
    values = stored(source).copy()
    values[-1, -1, 2] ^= 1
    PIL.Image.fromarray(values).save(source)
    assert not module._is_grey(module.PictureFile(source), plan, 0)
