from types import SimpleNamespace

from lowrank_sr.machine import timing
from lowrank_sr.machine.timing import interleaved


def test_every_contestant_runs_in_every_round():
    calls = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 4, "b": 4}
    assert calls.count("a") == calls.count("b") == 5  # one is not measured


def test_short_calls_are_repeated_and_long_ones_are_not(monkeypatch):
    now, calls = 0.0, {"short": 0, "long": 0}

    def run(name, seconds):
        nonlocal now
        calls[name] += 1
        now += seconds

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))
    times = interleaved({"short": lambda: run("short", 1 / 64), "long": lambda: run("long", 1.0)}, 3, sample=0.25)
    assert calls == {"short": 1 + 3 * 16, "long": 1 + 3}
    assert times == {"short": [1 / 64] * 3, "long": [1.0] * 3}
