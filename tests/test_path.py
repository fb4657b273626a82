"""How many files a reader opens to follow a picture from the command line to its pixels and into the larger file.

A function handles pixels where it is given or returns an array as wide as the picture, a feature map, or the records of
feature maps that compiled loops take. The files on the way are those of such functions and of all that have called
them; inside a compiled loop nobody can watch.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.conv.epilogue import OPERANDS
from lowrank_sr.conv.feature_map import RECORD, FeatureMap

PACKAGE = Path(lsr.__file__).parent
WIDTH = 53  # a prime, which no kernel's sides are multiples of
MOST_FILES = {"direct": 16, "im2col": 16, "kn2row": 16, "winograd": 17}  # Winograd's dense block is a file more
ALGORITHM = {method: f"conv/{method}.py" for method in MOST_FILES} | {"winograd": "conv/dense_block.py"}


def handles_pixels(value):
    if isinstance(value, FeatureMap):
        return True
    if isinstance(value, np.ndarray) and value.dtype.names:
        return value.dtype in (RECORD, OPERANDS)
    if isinstance(value, np.ndarray):
        return value.ndim > 1 and any(side and side % WIDTH == 0 for side in value.shape)
    return isinstance(value, list | tuple) and any(map(handles_pixels, value))


@contextmanager
def files_on_the_way() -> Iterator[set[str]]:
    """The files of the package in which a function has handled pixels inside the block, or called one that did."""
    files: set[str] = set()

    def watch(frame, event, argument):
        if event == "return":
            handled = handles_pixels(argument)
        else:
            handled = event == "call" and any(map(handles_pixels, frame.f_locals.values()))
        while handled and frame is not None:
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(PACKAGE):
                files.add(file.relative_to(PACKAGE).as_posix())
            frame = frame.f_back

    before = sys.getprofile()
    sys.setprofile(watch)
    threading.setprofile(watch)
    try:
        yield files
    finally:
        sys.setprofile(before)
        threading.setprofile(before)


@pytest.mark.parametrize("method", MOST_FILES)
def test_from_the_command_line_to_the_pixels(tmp_path, method):
    values = np.random.default_rng(0).integers(0, 256, (31, WIDTH, 3), np.uint8)
    PIL.Image.fromarray(values).save(tmp_path / "a.png")
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(tmp_path / "tiny.npz")
    arguments = ["upscale", str(tmp_path / "a.png"), "--weights", str(tmp_path / "tiny.npz"), "--method", method]
    assert main(arguments) == 0  # compiles
    with files_on_the_way() as files:
        assert main([*arguments, "--existing", "overwrite"]) == 0
    # that it sees the picture come in, go through the network, and go out
    stations = {"cli.py", "pictures/by_pillow.py", "network/rrdbnet.py", "conv/methods.py", "pictures/png.py"}
    assert files >= {*stations, ALGORITHM[method]}
    assert len(files) <= MOST_FILES[method], sorted(files)


def test_a_header_is_read_for_the_plan_and_when_the_picture_s_turn_comes(tmp_path, monkeypatch):
    from lowrank_sr.pictures import by_pillow

    PIL.Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(tmp_path / "tiny.npz")
    opened, read = by_pillow._opened, []
    monkeypatch.setattr(by_pillow, "_opened", lambda *arguments: read.append(arguments) or opened(*arguments))
    assert main(["upscale", str(tmp_path / "a.png"), "--weights", str(tmp_path / "tiny.npz")]) == 0
    assert len(read) == 2
