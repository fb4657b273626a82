import time

from lowrank_sr.machine.timing import interleaved


def test_every_contestant_runs_in_every_round():
    calls = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 4, "b": 4}
    assert calls.count("a") == calls.count("b") == 5  # one is not measured


def test_short_calls_are_repeated_and_long_ones_are_not():
    calls = {"short": 0, "long": 0}

    def run(name, seconds):
        calls[name] += 1
        time.sleep(seconds)

    times = interleaved({"short": lambda: run("short", 0.001), "long": lambda: run("long", 0.03)}, 3, sample=0.02)
    assert calls["long"] == 1 + 3
    assert 1 + 3 < calls["short"] <= 1 + 3 * 20
    assert all(seconds >= 0.001 for seconds in times["short"])
    assert all(seconds >= 0.03 for seconds in times["long"])
