import os
import sys

import numpy as np
import pytest
from checkpoint_bytes import valid
from PIL import Image as Pillow
from tiny_study import tiny_network

from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import Image, read_image, write_image

PROGRAMS = {
    "lowrank-sr": "-m lowrank_sr",
    "python": "",
    "pytest": "-m pytest",
    "pytest-benchmark": "-m pytest_benchmark",
}


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of a reader who has all that the how-to pages name, small, and this Python's programs on the path."""
    photo = read_image("data/images/chelsea.png").pixels
    for name, rows, columns, size in (
        ("holiday/beach.png", 100, 100, 10),
        ("holiday/second day/hut.jpg", 160, 160, 12),
        ("old.jpg", 100, 140, 12),
        ("photo.png", 120, 160, 12),
        ("pictures/eye.png", 100, 100, 48),
        ("pictures/nose.png", 160, 160, 48),
        ("photos/hut.png", 80, 80, 136),
        ("photos/sea.png", 120, 200, 128),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_image(file, Image(np.ascontiguousarray(photo[rows : rows + size, columns : columns + size])))
    pages = [Pillow.new("RGB", (9, 7), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    tiny_network().save(tmp_path / "net.npz")
    for seed, name in enumerate(("smooth", "sharp")):
        RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=seed).save(tmp_path / f"{name}.npz")
    (tmp_path / "model.pth").write_bytes(valid("zip", num_feat=8, num_grow_ch=4))
    (tmp_path / "benchmarks").symlink_to(os.path.abspath("benchmarks"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in PROGRAMS.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return tmp_path
