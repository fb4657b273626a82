"""pytest-benchmark over interleaved rounds: contestants are timed in turn, then each test reports its own times."""

from collections.abc import Callable, Mapping

import pytest

from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved


class Replay:
    """A clock that moves by recorded times only, so that pytest-benchmark reports what was measured side by side."""

    def __init__(self):
        self.now, self.times = 0.0, iter(())

    def __call__(self) -> float:
        return self.now

    def advance(self) -> None:
        self.now += next(self.times)


CLOCK = Replay()
_measured: dict[str, dict[str, list[float]]] = {}
_memory: dict[str, dict[str, int | None]] = {}


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=CLOCK))


@pytest.fixture
def report(benchmark):
    """report(group, name, contestants, flops, ...): how `name` did when all contestants were timed in turn."""

    def run(
        group: str, name: str, contestants: Callable[[], Mapping[str, Callable]], flops: float, rounds: int = 5, **info
    ) -> None:
        with limited(None) as threads:
            if group not in _measured:
                runs = contestants()
                _measured[group] = interleaved(runs, rounds)
                _memory[group] = {each: peak_extra_bytes(call) for each, call in runs.items()}
        if name not in _measured[group]:
            pytest.skip(f"{name} is not installed")
        times = _measured[group][name]
        benchmark.group, CLOCK.times = group, iter(times)
        benchmark.pedantic(CLOCK.advance, rounds=len(times), iterations=1)
        benchmark.extra_info.update(
            flops=flops,
            gflops=flops / sorted(times)[len(times) // 2] / 1e9,
            peak_extra_bytes=_memory[group][name],
            **{"method": name, "threads": threads} | info,
        )

    return run
