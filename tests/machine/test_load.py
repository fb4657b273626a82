import subprocess
import sys

import pytest

from lowrank_sr.machine import load


@pytest.mark.slow
def test_another_process_is_seen_and_this_one_is_not():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        seen = max(load.busy_elsewhere() for _ in range(5))
    finally:
        busy.kill()
        busy.wait()
    assert seen > 0.5
    assert 0 <= load.busy_elsewhere() <= len(load._cores())


def test_contention_is_for_cores_that_were_to_be_free():
    assert not load.Load(before=0.1, after=0.2, spare=0).contended
    assert load.Load(before=0.1, after=0.9, spare=0).contended
    assert not load.Load(before=6, after=5, spare=6).contended
    assert load.Load(before=7, after=5, spare=6).contended
