"""What the report says, in order, for Markdown and for the page: headings, paragraphs, tables, figures, claims."""

from pathlib import Path

from lowrank_sr.study.report import tables
from lowrank_sr.study.report.figures import Figure, figures
from lowrank_sr.study.report.tables import Table

Block = str | Table | Figure | list[dict]

TITLE = "Low-rank convolutions in ESRGAN: the poster, measured again"


def sections(results: dict, folder: Path) -> list[tuple[str, list[Block]]]:
    """(heading, blocks) in order; a list of dicts is the list of claims."""
    steps = results["steps"]
    drawn = {figure.name: figure for figure in figures(results, folder)}

    def present(*names: str) -> list[Block]:
        return [drawn[name] for name in names if name in drawn]

    found: list[tuple[str, list[Block]]] = [
        ("The poster's claims", [results["claims"]]),
        ("Quality and speed", [tables.table1(steps), FITTED, tables.poster(steps), *present("figure3", "figure4")]),
        ("Which layers", present("figure2")),
    ]
    if "pareto" in drawn:
        found.append(("Quality against speed-up", [*present("pareto"), tables.speedups(steps)]))
    if "thresholds" in drawn:
        found.append(("Thresholds", [*present("thresholds"), tables.thresholds(steps)]))
    found.append(("FLOPs and the clock", [*present("layers"), _roof(steps)]))
    if "cp" in steps["time"]["techniques"]:
        found[-1][1].append(tables.bound(steps))
    found.append(("Memory", [*present("memory"), tables.memory(steps)]))
    full = tables.full_size(steps)
    if full:
        blocks = f"the dense blocks at a theoretical {steps['full size']['speedup']}"
        note = f"SVD and CP: {blocks}; the other layers dense, by direct beside SVD, by Winograd beside F(4, 3) and CP."
        found.append(("ESRGAN's own size", [full, note]))
    found.append(("How it was measured", _method(results)))
    return found


FITTED = (
    "“Kernel”: factors that minimise the error of the kernel, as on the poster. “Fitted”: factors that minimise the "
    "error of the layer's output on a few calibration pictures, none of which is measured on."
)


def summary(results: dict) -> str:
    """One sentence on what was studied."""
    net, settings = results["steps"]["network"], results["settings"]
    extent = "quick study" if settings["quick"] else "study"
    return (
        f"A {extent} of the network {settings['weights']}: RRDBNet x{net['scale']}, num_block {net['num_block']}, "
        f"num_feat {net['num_feat']}, {net['layers']} layers, {net['parameters']:,} parameters; on "
        f"{len(settings['pictures'])} pictures ({', '.join(settings['pictures'])})."
    )


def _roof(steps: dict) -> str:
    result = steps["sgemm"]
    rate = result["measured"]["gflops"]
    return f"The line is sgemm on {result['side']} x {result['side']} matrices: {rate:.0f} GFLOP/s."


def _method(results: dict) -> list[Block]:
    machine, settings = results["measured"]["machine"], results["settings"]
    return [
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, {machine['simd_bits']}-bit vectors, "
        f"{machine['l2_bytes'] // 1024} KiB of second-level cache; {machine['system']}; Python {machine['python']}, "
        f"NumPy {machine['numpy']}, Numba {machine['numba']}, lowrank-sr {machine['lowrank_sr']}.",
        f"Times: techniques in turn, {settings['rounds']} rounds after one that is not counted, median and quartiles; "
        "a speed-up is the median of the ratios within each round. Single layers: the least time. Memory: the peak of "
        "the process's resident memory above what it held before. FLOPs: 2 for each multiply-add, by the paper's "
        "formulas; effective GFLOP/s: FLOPs of the dense network over seconds. Quality: PSNR and SSIM on 8-bit values, "
        "as many pixels cut from each border as the network enlarges by. SVD pairs, and dense layers beside low-rank "
        "ones, go by direct convolution, so that a difference is the low rank's; by Winograd's algorithm, F(4, 3) and "
        "F(4 x 4, 3 x 3), where it says so.",
        f"Seed {settings['seed']}; every number is in results.json, what depends on the clock under “measured”.",
    ]
