"""How many threads compute, and that several Python threads may compute at once."""

import importlib
import importlib.util
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import reference
from threadpoolctl import threadpool_info, threadpool_limits

import lowrank_sr as lsr
from lowrank_sr.conv import methods
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import random_layer
from lowrank_sr.machine import threads
from lowrank_sr.machine.threads import VARIABLE, WAITING, limited, parallel_region, thread_count

MOST = numba.config.NUMBA_NUM_THREADS


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("method", METHODS)
def test_the_callers_settings_are_restored(method):
    net = lsr.RRDBNet.random(8, 1, 4, method=method)
    image = np.zeros((5, 5, 3), np.float32)
    before = numba.get_num_threads()
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            net(image)
            assert blas_threads() == {count}
    assert numba.get_num_threads() == before


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_thread_count_changes_nothing_but_rounding(method):
    net = lsr.load("psnr-small", method=method)
    image = np.random.default_rng(0).random((31, 33, 3))
    with limited(1):
        alone = net(image)
    with limited(MOST):
        together = net(image)
        np.testing.assert_array_equal(net(image), together)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


@reference.EVERY_WAY
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 40), (17, 5), (31, 37)], ids=str)
@pytest.mark.parametrize("channels", [[18], [1, 5, 12]], ids=str)
def test_small_maps_on_all_threads(monkeypatch, kind, method, size, channels):
    rng = np.random.default_rng(1)
    layer = reference.random_layer(kind, rng, 35, 18, 20)
    maps = [from_array(rng.standard_normal((*size, count))) for count in channels]
    alone, together = allocate(*size, 35), allocate(*size, 35)
    monkeypatch.setattr(methods, "FLOPS_A_THREAD", 1)
    for count, out in ((1, alone), (MOST, together)):
        with limited(count):
            convolution(layer, method)(maps, out, Epilogue(layer.bias))
    if method in ("im2col", "kn2row"):  # BLAS adds in an order that depends on how many rows it is given
        np.testing.assert_allclose(together.array, alone.array, rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(together.array, alone.array)


def test_blas_has_no_more_threads_than_there_are_cores():
    cores = numba.config.NUMBA_DEFAULT_NUM_THREADS
    before = blas_threads()
    for count in (1, cores, cores + 3):
        with threads.blas_threads(count):
            assert blas_threads() == {min(count, cores)}
    assert blas_threads() == before


def test_small_maps_are_not_shared(monkeypatch):
    seen = []

    def record_threads(threads):
        seen.append(threads)
        return parallel_region(threads)

    monkeypatch.setattr(methods, "parallel_region", record_threads)
    layer = random_layer((64, 64, 3))  # 73,728 FLOPs a pixel
    with limited(MOST):
        convolve(np.zeros((4, 4, 64), np.float32), layer, "direct")
        convolve(np.zeros((96, 96, 64), np.float32), layer, "direct")
    assert seen == [1, MOST]


def test_limited(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert thread_count() == numba.get_num_threads()
    with limited(1) as count:
        assert count == thread_count() == 1
        with limited(MOST):
            assert thread_count() == MOST
        assert thread_count() == 1
    assert thread_count() == numba.get_num_threads()


def test_the_environment_sets_the_threads_of_the_library_too(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    assert thread_count() == 1
    with limited(None) as count:
        assert count == 1
    with limited(MOST):
        assert thread_count() == MOST


@pytest.mark.parametrize("wrong", ["0", "-1", "two", str(MOST + 1)])
def test_thread_counts_that_do_not_exist(monkeypatch, wrong):
    with pytest.raises(lsr.InputError, match=rf"^--threads {wrong}: expected a number of threads"), limited(wrong):
        pass
    if wrong == str(MOST + 1):
        return  # the variable is clamped
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(lsr.InputError, match=rf"^{VARIABLE} {wrong}: expected a number of threads"):
        lsr.load("psnr-small", method="direct")(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(lsr.InputError, match=rf"^{VARIABLE} {wrong}"), limited(None):
        pass


def test_a_progress_callback_may_run_a_network():
    net = lsr.RRDBNet.random(8, 1, 4, method="direct")
    image = np.zeros((5, 5, 3), np.float32)
    pictures = []
    net(image, lambda _: pictures.append(net(image)))
    assert pictures
    np.testing.assert_array_equal(pictures[-1], net(image))


def importable(pool):
    if importlib.util.find_spec(f"numba.np.ufunc.{pool}") is None:
        return False
    try:  # the extension module may be there without the library that it needs
        importlib.import_module(f"numba.np.ufunc.{pool}")
    except ImportError:
        return False
    return True


LAYERS = [
    layer for layer, pool in (("workqueue", "workqueue"), ("omp", "omppool"), ("tbb", "tbbpool")) if importable(pool)
]

START_THREADS = """
import os
from lowrank_sr.machine.threads import WAITING, parallel_region

before = dict(os.environ)
with parallel_region(1):
    pass
assert dict(os.environ) == before
"""


@pytest.mark.skipif("omp" not in LAYERS, reason="Numba's OpenMP layer is not here")
@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, WAITING["GOMP_SPINCOUNT"]),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "0"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "30000000000"),
        ({"GOMP_SPINCOUNT": "77"}, "77"),
    ],
    ids=str,
)
def test_idle_threads_soon_sleep_unless_the_user_says_how_they_wait(given, spins):
    others = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", START_THREADS],
        env=others | given | {"NUMBA_THREADING_LAYER": "omp", "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr  # libgomp prints what it was loaded with


CONCURRENT = """
import threading
import numba, numpy as np
import lowrank_sr as lsr
from lowrank_sr.conv import methods
from lowrank_sr.conv.algorithms import METHODS

methods.FLOPS_A_THREAD = 1  # all threads, however small the map
nets = {name: lsr.RRDBNet.random(8, 1, 4, method=name) for name in METHODS}
image = np.random.default_rng(0).random((24, 24, 3), dtype=np.float32)
photograph = np.random.default_rng(1).random((256, 256, 3), dtype=np.float32)
expected = {name: net(image) for name, net in nets.items()}
failures = []

def enlarge(name):
    for _ in range(20):
        if np.abs(nets[name](image) - expected[name]).max() > 1e-4:
            failures.append(name)

def compress():
    lsr.compress(nets["direct"], speedup=1.5, images=[photograph])

threads = [threading.Thread(target=enlarge, args=(name,)) for name in nets] + [threading.Thread(target=compress)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(numba.threading_layer(), failures)
"""


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_several_python_threads_at_once(layer):
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2", VARIABLE: "2"}
    done = subprocess.run(
        [sys.executable, "-c", CONCURRENT], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{layer} []\n", "")
