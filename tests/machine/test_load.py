import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from lowrank_sr.machine import load

TICK = 0.02  # seconds: how coarsely systems count a process's time, and to spare


def work(seconds):
    """Keep a core busy until this process has been given so many seconds more."""
    process = psutil.Process()
    end = load._own(process) + seconds
    while load._own(process) < end:
        sum(range(10_000))


def test_this_process_is_not_seen_and_others_are(monkeypatch):
    process, others = psutil.Process(), iter([100.0, 100.1])
    monkeypatch.setattr(load, "_busy", lambda cores: load._own(process) + next(others))
    monkeypatch.setattr(load, "time", SimpleNamespace(perf_counter=iter([0.0, 0.2]).__next__, sleep=work))
    assert load.busy_elsewhere() == pytest.approx(0.1 / 0.2, abs=2 * TICK / 0.2)


@pytest.mark.parametrize(("others", "seen"), [((0.0, 9.0), 2), ((9.0, 0.0), 0)])
def test_no_more_than_the_cores_and_no_less_than_none(monkeypatch, others, seen):
    monkeypatch.setattr(load, "_cores", lambda: [0, 1])
    counters = iter(others)
    monkeypatch.setattr(load, "_busy", lambda cores: next(counters))
    assert load.busy_elsewhere() == seen


def test_the_time_of_another_process_is_counted():
    cores = load._cores()
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as busy:
        busy.stdout.readline()
        process = psutil.Process(busy.pid)
        own, before = load._own(process), load._busy(cores)
        while load._own(process) < own + 0.3:
            pass
        counted, own = load._busy(cores) - before, load._own(process) - own
        busy.kill()
    assert counted > own - 2 * TICK


def test_contention_is_for_cores_that_were_to_be_free():
    assert not load.Load(before=0.1, after=0.2, spare=0).contended
    assert load.Load(before=0.1, after=0.9, spare=0).contended
    assert not load.Load(before=6, after=5, spare=6).contended
    assert load.Load(before=7, after=5, spare=6).contended
