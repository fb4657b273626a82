"""Compiled code, timings and studies know every source file that kernels are made from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lowrank_sr
from lowrank_sr.machine import compiled
from lowrank_sr.machine.cpu import describe
from lowrank_sr.network import auto

RUN = """
import numpy as np
from numba.core import event
from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.compiled import kernels_digest

with event.install_recorder("numba:compile") as compiled:
    out = convolve(np.zeros((1, 1, 1), np.float32), random_layer((1, 1, 3)), "direct")
print(float(out[0, 0, 0]), bool(compiled.buffer), kernels_digest())
"""


@pytest.mark.slow
def test_an_edit_to_an_inlined_file_is_seen_at_once(tmp_path):
    package = tmp_path / "lowrank_sr"
    shutil.copytree(Path(lowrank_sr.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "data"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run():
        done = subprocess.run(
            [sys.executable, "-c", RUN], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        value, compiles, digest = done.stdout.split()
        return float(value), compiles, digest

    value, compiles, digest = run()
    assert (value, compiles) == (0.0, "True")
    assert run() == (0.0, "False", digest)

    source = package / "conv" / "epilogue.py"
    edited = source.read_text(encoding="utf-8").replace(") * self.scales for", ") * self.scales + 1 for")
    assert edited != source.read_text(encoding="utf-8")
    source.write_text(edited, encoding="utf-8")
    value, compiles, new_digest = run()
    assert (value, compiles) == (1.0, "True")
    assert new_digest != digest


def test_the_digest_is_in_the_keys_of_what_is_remembered(monkeypatch):
    before = auto._file()
    assert describe()["kernels"] == compiled.kernels_digest()
    monkeypatch.setattr(auto, "kernels_digest", lambda: "0" * 16)
    assert auto._file() != before


def test_without_a_place_for_a_cache(monkeypatch):
    def refuse(self, function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiled._KernelCache, "__init__", refuse)

    @compiled.compiled()
    def double(x):
        return 2 * x

    assert double(3) == 6
