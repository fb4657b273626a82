"""What low rank has to beat: the fastest exact method, and what is faster than that or loses next to nothing."""

import math

from lowrank_sr.study.measure.sweeps import LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import FIDELITY, Table, number, speedup

INVISIBLE = 40.0  # dB of fidelity: a root mean square difference of 2.6 levels of 255, which is hard to see


def beside(results: Results) -> Table:
    """Whether each low-rank technique is faster than the fastest exact one, by more than the noise."""
    best, rows = clock.fastest_exact(results)[0], []
    exact = results.timings(best)
    for technique in (each for each in results.times if each.form):
        timings = results.timings(technique)
        failed = clock.trouble(results, [technique, best], [*timings, *exact])
        answer = "not judged" if failed else clock.BESIDE[clock.slower_than(results, exact, timings)]
        rows.append([technique.label, speedup(timings[0]), answer])
    return Table(["low rank", "measured speed-up", f"beside {best.label}, {speedup(exact[0])}"], rows)


def near(results: Results) -> Table:
    """The greatest speed-ups of the sweep at a fidelity of INVISIBLE or more, in theory and measured; and exact."""
    networks, chosen, rows = _near(results), [], []
    if networks:
        chosen.append((max(networks, key=lambda name: networks[name].theoretical_speedup), "greatest in theory"))
        first, *others = clock.ahead(results, {name: [net.measured.winograd] for name, net in networks.items()})
        chosen += [(first, "greatest measured"), *((name, clock.LEVEL) for name in others)]
    for name, what in chosen:
        net = networks[name]
        speedups = number(net.theoretical_speedup, 2), speedup(net.measured.winograd)
        near = number(net.quality.near, 2), number(net.quality.fidelity_ssim, 4)
        rows.append([name, *near, *speedups, what])
    for each in (exact := clock.fastest_exact(results)):
        speedups = number(results.times[each].theoretical_speedup, 2), speedup(results.times[each].measured)
        rows.append(
            [
                each.label,
                number(math.inf, 2),
                number(1, 4),
                *speedups,
                "fastest exact" if each == exact[0] else clock.LEVEL,
            ]
        )
    return Table(["network", *FIDELITY, "theoretical speed-up", "measured speed-up", "is"], rows)


def disturbed(results: Results) -> str:
    """How many of the networks of such a fidelity were timed while other processes worked, of how many."""
    loads = [net.measured.winograd.load for net in _near(results).values()]
    return f"{sum(load.contended for load in loads)} of {len(loads)}"


def _near(results: Results) -> dict[str, LowRankNetwork]:
    """The networks of the sweep of a fidelity of INVISIBLE or more, by technique and speed-up in words."""
    every = {f"{point.technique.label}, ×{point.speedup:g}": net for point, net in measured(results.speedups)}
    return {name: net for name, net in every.items() if net.quality.near >= INVISIBLE}
