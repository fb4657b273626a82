"""What low rank has to beat: the fastest exact method, and what is faster than that or loses next to nothing."""

from lowrank_sr.study.measure.speed import Timing
from lowrank_sr.study.measure.sweeps import LowRankNetwork, measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock
from lowrank_sr.study.report.tables import Table, number, speedup
from lowrank_sr.study.technique import REFERENCE, Technique

INVISIBLE = 0.1  # dB: a loss that is hard to see
LEVEL = "not told apart"
BESIDE = {True: "slower", False: "faster", None: LEVEL}


def fastest(results: Results) -> list[Technique]:
    """The fastest method that computes the network exactly, and those that the clock does not tell apart from it."""
    return clock.fastest(results, [technique for technique in results.times if technique.form is None])


def beside(results: Results) -> Table:
    """Whether each low-rank technique is faster than the fastest exact one, by more than the noise."""
    best, rows = fastest(results)[0], []
    for technique in (each for each in results.times if each.form):
        timings, exact = results.timings(technique), results.timings(best)
        failed = clock.trouble(results, [technique, best], [*timings, *exact])
        answer = "not judged" if failed else BESIDE[clock.slower_than(results, timings, exact)]
        rows.append([technique.label, speedup(timings[0]), answer])
    return Table(["low rank", "measured speed-up", f"beside {best.label}, {speedup(results.timings(best)[0])}"], rows)


def near(results: Results) -> Table:
    """The greatest speed-ups of the sweep at a loss of at most INVISIBLE, in theory and measured; and without loss."""
    networks, rows = _near(results), []
    if networks:
        theory = max(networks, key=lambda name: networks[name].theoretical_speedup)
        rows.append(_row(results, theory, networks[theory], "greatest in theory"))
        ahead = clock.ahead(results, _timings(networks))
        for name in ahead:
            rows.append(_row(results, name, networks[name], "greatest measured" if name == ahead[0] else LEVEL))
    exact = fastest(results)
    for each in exact:
        theoretical, timing = number(results.times[each].theoretical_speedup, 2), results.times[each].measured
        rows.append([each.label, number(0, 2), theoretical, speedup(timing), "exact" if each == exact[0] else LEVEL])
    return Table(["network", "PSNR lost (dB)", "theoretical speed-up", "measured speed-up", "is"], rows)


def disturbed(results: Results) -> str:
    """How many of the times of the networks that lose at most INVISIBLE were disturbed, and of how many."""
    timings = _timings(_near(results)).values()
    return f"{sum(not clock.undisturbed(each) for each in timings)} of {len(timings)}"


def _near(results: Results) -> dict[str, LowRankNetwork]:
    """The networks of the sweep that lose at most INVISIBLE, by technique and speed-up in words."""
    return {
        f"{point.technique.label}, ×{point.speedup:g}": network
        for point, network in measured(results.speedups)
        if _lost(results, network) <= INVISIBLE
    }


def _timings(networks: dict[str, LowRankNetwork]) -> dict[str, list[Timing]]:
    return {name: [network.measured.winograd] for name, network in networks.items()}


def _lost(results: Results, network: LowRankNetwork) -> float:
    return results.quality[REFERENCE].psnr_rgb - network.quality.psnr_rgb


def _row(results: Results, name: str, network: LowRankNetwork, what: str) -> list[str]:
    theoretical, clocked = number(network.theoretical_speedup, 2), speedup(network.measured.winograd)
    return [name, number(_lost(results, network), 2), theoretical, clocked, what]
