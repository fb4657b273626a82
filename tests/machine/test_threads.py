import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import lowrank_sr as lsr
from lowrank_sr.conv.methods import METHODS
from lowrank_sr.machine.threads import VARIABLE, limited


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("method", METHODS)
def test_the_callers_settings_are_restored(method):
    net, image = lsr.RRDBNet.random(8, 1, 4, method=method), np.zeros((5, 5, 3), np.float32)
    net(image)
    for count in (1, max(blas_threads())):
        with threadpool_limits(count, "blas"):
            net(image)
            assert set(blas_threads()) == {count}


@pytest.mark.parametrize("method", METHODS)
def test_the_thread_count_changes_nothing_but_rounding(method):
    net, image = lsr.load(method=method), np.random.default_rng(0).random((17, 19, 3))
    with limited(1):
        alone = net(image)
        np.testing.assert_array_equal(net(image), alone)
    together = net(image)
    np.testing.assert_array_equal(net(image), together)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_limited(monkeypatch):
    before = numba.get_num_threads()
    with limited(1) as count:
        assert count == numba.get_num_threads() == 1
    monkeypatch.setenv(VARIABLE, "1")
    with limited(None) as count:
        assert count == numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
    for wrong in ("0", "-1", "two", str(numba.config.NUMBA_NUM_THREADS + 1)):
        monkeypatch.setenv(VARIABLE, wrong)
        with (
            pytest.raises(lsr.InputError, match=rf"^{VARIABLE} {wrong}: expected a number of threads"),
            limited(None),
        ):
            pass
        with pytest.raises(lsr.InputError, match=rf"^--threads {wrong}"), limited(wrong):
            pass
