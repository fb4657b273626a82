"""What the environment may ask of Numba and the operating system, and this package cannot do: one sentence each."""

import os
import subprocess
import sys

import numba
import pytest

from lowrank_sr.machine import threads
from lowrank_sr.machine.threads import VARIABLE, thread_count

MOST = numba.config.NUMBA_NUM_THREADS

CALL = """
import numpy as np
import lowrank_sr as lsr
try:
    lsr.RRDBNet.random(8, 1, 4, method="direct")(np.zeros((4, 4, 3), np.float32))
except lsr.InputError as error:
    print(error)
"""

FORK = """
import multiprocessing, sys
import numpy as np
import lowrank_sr as lsr
net = lsr.RRDBNet.random(8, 1, 4, method="direct")
image = np.zeros((4, 4, 3), np.float32)

def enlarge(_):
    try:
        return net(image).shape
    except lsr.InputError as error:
        return str(error)

if sys.argv[1] == "after":
    net(image)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(set(pool.map(enlarge, range(4))))
"""


def said(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_jit_switched_off():
    assert said(CALL, NUMBA_DISABLE_JIT="1").startswith("NUMBA_DISABLE_JIT is set")


@pytest.mark.parametrize("layer", ["no-such-layer", "tbb"])
def test_a_threading_layer_that_is_not_there(layer):
    if layer == "tbb" and said("import importlib.util as u; print(u.find_spec('numba.np.ufunc.tbbpool'))") != "None\n":
        loaded = subprocess.run([sys.executable, "-c", "from numba.np.ufunc import tbbpool"], capture_output=True)
        if loaded.returncode == 0:
            pytest.skip("tbb is installed")
    sentence = said(CALL, NUMBA_THREADING_LAYER=layer)
    assert sentence.startswith(f"NUMBA_THREADING_LAYER={layer}: Numba cannot load it; expected")
    assert sentence.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP and fork are Linux's")
def test_a_forked_process_computes_or_is_told_that_it_cannot():
    shapes = "{(16, 16, 3)}\n"
    assert said(FORK, "before", NUMBA_THREADING_LAYER="omp") == shapes
    assert said(FORK, "after", NUMBA_THREADING_LAYER="workqueue") == shapes
    assert "forked from one that had computed already" in said(FORK, "after", NUMBA_THREADING_LAYER="omp")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (str(MOST + 1), f"{VARIABLE}={MOST + 1}: using {MOST} threads"),
        ("10" * 30, f": using {MOST} threads"),
        ("", f"{VARIABLE} is empty: using {MOST} threads"),
    ],
)
def test_a_variable_above_the_cores_or_empty_is_clamped_with_a_word(monkeypatch, caplog, value, words):
    monkeypatch.setenv(VARIABLE, value)
    threads._of_variable.cache_clear()
    assert [thread_count(), thread_count()] == [MOST, MOST]
    (record,) = caplog.records
    assert words in record.getMessage()
