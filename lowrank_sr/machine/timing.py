"""Times that can be compared: taken in turn, so that whatever else the machine does meets every contestant alike."""

import random
import time
from collections.abc import Callable, Mapping


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    seconds: float = 0,
    sample: float = 0,
    report: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Call each of `runs` once unmeasured, then in turn, at least `rounds` times each and for at least `seconds`.

    Each round has an order of its own: what a contestant leaves behind, in the caches and in threads that still spin,
    is not always to the cost of the same one.

    Where a call takes less than `sample` seconds it is repeated until these have passed, and counts as one, of the mean
    duration: short times otherwise depend on whether the scheduler, which thinks in milliseconds, came between.

    Returns the seconds of each call, by name; `report` is called after each.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    begin, done = time.perf_counter(), 0
    while done < rounds or time.perf_counter() - begin < seconds:
        order = list(runs.items())
        random.Random(done).shuffle(order)
        for name, run in order:
            times[name].append(_mean_seconds(run, sample))
            report()
        done += 1
    return times


def _mean_seconds(run: Callable[[], object], sample: float) -> float:
    start, calls = time.perf_counter(), 0
    while True:
        run()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= sample:
            return elapsed / calls
