"""The width of vectors, on this processor and on those that Numba is told to compile for."""

import os
import subprocess
import sys

import numpy as np
import pytest
from reference import assert_rounds_to_layer, random_layer

from lowrank_sr.layers import Dense
from lowrank_sr.machine import cpu


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        (None, None, [True, True]),  # this processor
        (None, "-avx512f", [True, False]),  # this processor but for what is said
        ("generic", "", [False, False]),
        ("haswell", "+avx", [True, False]),
        ("haswell", None, [True, True]),  # Numba then compiles for that one's name and for this one's features
    ],
)
def test_vectors_are_those_that_numba_compiles_for(monkeypatch, name, features, expected):
    monkeypatch.setattr(cpu, "_HOST", {"avx": True, "avx512f": True})
    monkeypatch.setattr(cpu.codegen, "get_host_cpu_features", lambda: "+avx,+avx512f")
    monkeypatch.setattr(cpu.config, "CPU_NAME", name)
    monkeypatch.setattr(cpu.config, "CPU_FEATURES", features)
    assert [cpu._has(feature) for feature in ("avx", "avx512f")] == expected


CONVOLVE = """
import sys
import numpy as np
from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import Dense
from lowrank_sr.machine.cpu import LANES

given = np.load(sys.argv[1])
np.save(sys.argv[2], convolve(given["x"], Dense(given["weight"], given["bias"]), "direct"))
print(LANES)
"""


@pytest.mark.slow
def test_the_narrowest_vectors(tmp_path):
    rng = np.random.default_rng(0)
    layer, x = random_layer(Dense, rng, 11, 7), rng.standard_normal((9, 13, 7), dtype=np.float32)
    np.savez(tmp_path / "given.npz", x=x, **layer.arrays())
    done = subprocess.run(
        [sys.executable, "-c", CONVOLVE, tmp_path / "given.npz", tmp_path / "out.npy"],
        env=os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "4\n"
    assert_rounds_to_layer(np.load(tmp_path / "out.npy"), x, layer, "direct")
