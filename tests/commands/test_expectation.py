"""A batch of more than a minute is announced once, early, with the network that would be faster."""

import io
import sys

import pytest

import lowrank_sr as lsr
from lowrank_sr.commands import expectation
from lowrank_sr.commands.batch import FileOptions, Job, Outcome, Plan
from lowrank_sr.commands.expectation import watched
from lowrank_sr.commands.upscale import _faster, run_batch


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(expectation.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def jobs(tmp_path):
    """Pictures of 100 pixels, 300, and 1."""
    sizes = {"a": (10, 10), "b": (10, 30), "c": (1, 1)}
    return [
        Job(tmp_path / f"{name}.png", tmp_path / f"{name}_x4.png", 0, *size, FileOptions("fail"))
        for name, size in sizes.items()
    ]


def test_the_rate_of_the_first_seconds_is_that_of_all_pixels(clock, jobs):
    done, told = [], []
    report = watched(done.append, jobs, told.append)
    clock[0] += 50
    for _ in range(10):  # the first says only that it has begun; then 2 seconds for a tenth of a picture
        report(0.1)
        clock[0] += 2
    assert len(done) == 10
    ((seconds),) = told
    assert seconds == pytest.approx(4 / (0.2 * 100 / 401))


def test_across_pictures(clock, jobs):
    told = []
    report = watched(lambda share: None, jobs, told.append)
    report(0.5)
    clock[0] += 40
    report(0)  # nothing is done: nothing can be said
    assert told == []
    report(1)  # half of the first, half of the second: 200 pixels of 401
    assert told == [pytest.approx(40 * 401 / 200)]
    report(0.1)
    assert len(told) == 1


def test_a_short_batch_says_nothing(clock, jobs):
    told = []
    report = watched(lambda share: None, jobs, told.append)
    for _ in range(3):
        report(1)
        clock[0] += 10
    assert told == []


def test_a_long_batch_says_so_once_and_names_the_faster_network(clock, jobs, monkeypatch):
    def execute(net, jobs, progress):
        for job in jobs:
            progress(0)
            clock[0] += 1000
            progress(1)
            yield Outcome(job.source, job.target, 0, "enlarged")

    for faster, quiet in (("psnr-small", False), ("psnr-small", True), (None, False)):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        run_batch(None, Plan(jobs, [], []), [], quiet, execute=execute, faster=faster)
        said = sys.stderr.getvalue()
        expected = "lowrank-sr: about 67 minutes; --weights psnr-small would take a quarter of that, and is smoother\n"
        assert said == (expected if faster and not quiet else "")


def test_only_the_default_network_has_a_faster_one():
    assert _faster(None) == _faster(lsr.resources.DEFAULT_NETWORK) == "psnr-small"
    assert _faster("psnr-small") is None
    assert _faster("model.npz") is None
