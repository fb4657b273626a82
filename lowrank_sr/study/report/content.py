"""What the report says, in order, for Markdown and for the page: headings, and the blocks under each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowrank_sr.study.measure import memory
from lowrank_sr.study.measure.full_size import LOW_RANK_METHODS, FullSize
from lowrank_sr.study.measure.low_rank import TABLE1_SPEEDUP
from lowrank_sr.study.measure.speed import SAMPLE_SECONDS
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import introduction, tables, tables_causes
from lowrank_sr.study.report.comparison import Comparison
from lowrank_sr.study.report.figures import Figure, figures_of
from lowrank_sr.study.report.introduction import Formula, Glossary
from lowrank_sr.study.report.tables import Table
from lowrank_sr.study.report.verdict import Claim, counted, listed
from lowrank_sr.study.settings import Settings
from lowrank_sr.study.technique import CP_KERNEL, DIRECT, WINOGRAD

Block = str | Formula | Glossary | Table | Figure | Comparison | list[Claim]

TITLE = "Low-rank convolutions in ESRGAN: the poster, measured again"
FITTED = (
    "“Kernel”: factors that minimise the error of the kernel, as on the poster; of every layer at about the same share "
    "of its FLOPs, since ranks go in steps, or only of those whose condition number is above the threshold of Figure "
    "2, marked, or below it, unmarked. “Fitted”: factors that minimise the error of the layer's output on a few "
    "calibration pictures, at the ranks that cost the picture least by an estimate from the same pictures; quality is "
    "measured on other pictures."
)
CHOICES = (
    "Where the poster gives no number, the choice is ours: the threshold of the condition number lies in the widest "
    "gap between those of the layers; low-rank networks are {speedup:g} times cheaper in theory; the first and the "
    "last layer stay dense; weights and pictures are those named above."
)
TUNED = "“Fine-tuned”: trained further on photographs, as the section Fine-tuning says."


@dataclass(frozen=True)
class Report:
    """All that results.json holds: the settings, the machine by `cpu.describe`, the results, the claims."""

    settings: Settings
    machine: dict[str, Any]
    results: Results
    claims: list[Claim]


def sections(report: Report, folder: Path) -> list[tuple[str, list[Block]]]:
    """(heading, blocks) in order."""
    results = report.results
    drawn = {figure.name: figure for figure in figures_of(results, folder)}

    def present(*names: str) -> list[Block]:
        return [drawn[name] for name in names if name in drawn]

    first, tuned = tables.table1(results), [TUNED] if results.tuned else []
    parts: list[tuple[str, list[Block]]] = [
        ("The question", [introduction.QUESTION]),
        ("The network and its low-rank forms", _forms(results, present("figure1"))),
        ("Words", [introduction.words(results)]),
        ("Quality and speed", [first, FITTED, *tuned, tables.poster_table1(results), *present("figure3")]),
        ("The poster's claims", [report.claims]),
        ("Where the loss comes from", _causes(results, present)),
        ("Look", [Comparison(), *present("figure4")]),
        ("Which layers", present("figure2")),
    ]
    if "pareto" in drawn:
        sweep = [*present("pareto"), tables.speedups(results), *present("sweep")]
        parts.append(("Quality against speed-up", sweep))
    if results.tuned:
        parts.append(("Fine-tuning", [_finetuning(report), *present("tuned"), tables.tuning(results)]))
    if "thresholds" in drawn:
        parts.append(("Thresholds", [*present("thresholds"), tables_causes.thresholds(results)]))
    layers = present("layers")
    if CP_KERNEL in results.times.techniques:
        layers.append(tables.bound(results))
    parts.append(("Operations and the clock", layers))
    parts.append(("Memory", [*present("memory"), tables.memory(results)]))
    full = tables.full_size(results)
    if results.full_size and full:
        parts.append(("ESRGAN at full size", [full, *_full_size(results, results.full_size)]))
    parts.append(("How it was measured", _method(report)))
    return [(heading, blocks) for heading, blocks in parts if blocks]


def summary(report: Report) -> str:
    """One sentence on what was studied."""
    net, settings = report.results.network, report.settings
    extent = "quick study" if settings.quick else "study"
    return (
        f"A {extent} of the network {settings.weights}: RRDBNet x{net.scale}, num_block {net.num_block}, "
        f"num_feat {net.num_feat}, {net.layers} layers, {net.parameters:,} parameters; on "
        f"{counted(len(settings.pictures), 'picture')} ({', '.join(settings.pictures)})."
    )


def _full_size(results: Results, full: FullSize) -> list[Block]:
    """Which layers the low-rank networks of the full size have, and which form is missing."""
    methods = {DIRECT: "direct convolution", WINOGRAD: "Winograd's algorithm"}
    beside = [
        f"by {methods[LOW_RANK_METHODS[technique]]} beside {technique.clock_label}"
        for technique in full.techniques
        if technique.form
    ]
    said: list[Block] = []
    if beside:
        said.append(
            f"Low rank: every layer of the dense blocks at a theoretical speed-up of {full.speedup:g}. The other "
            f"layers are dense, {listed(beside)}."
        )
    if CP_KERNEL in results.times.techniques and CP_KERNEL not in full.techniques:
        said.append("CP is not timed here: its dense layers run by Winograd's algorithm, which this study leaves out.")
    return said


def _causes(results: Results, present: Callable[..., list[Block]]) -> list[Block]:
    """The ablation, each layer alone, and pictures of what the layers outside the dense blocks do."""
    blocks: list[Block] = []
    if results.ablation:
        blocks += [*present("ablation"), tables_causes.ablation(results)]
    if results.alone:
        blocks += [*present("alone"), tables_causes.alone(results)]
    return [*blocks, *present("tail")]


def _finetuning(report: Report) -> str:
    """What was trained, on what, and for how long."""
    settings, (first, *_) = report.settings, report.results.tuned.values()
    minutes = f"{settings.extent.minutes:g} minute{'' if settings.extent.minutes == 1 else 's'}"
    return (
        "“Fine-tuned”: all layers of a fitted network of Table 1 trained together, "
        f"{minutes} on this machine, on {first.training.photographs} photographs (the folder "
        f"{settings.photos}): a low-rank network is to make of reduced crops of them what the dense one makes, and the "
        "dense network, trained as long, what the photographs were, so that nobody takes more training for better "
        "factors. Quality is measured on other pictures: none of their files is among the photographs."
    )


def _forms(results: Results, figure1: list[Block]) -> list[Block]:
    """The network, and a dense layer, the SVD pair and CP, each with its formula."""
    return [
        introduction.network(results),
        introduction.CONVOLUTION,
        introduction.DENSE_FORMULA,
        introduction.SVD,
        introduction.SVD_FORMULA,
        introduction.CP,
        introduction.CP_FORMULA,
        introduction.BOUND,
        introduction.BOUND_FORMULA,
        *figure1,
        introduction.WINOGRAD,
    ]


def _method(report: Report) -> list[Block]:
    machine, settings = report.machine, report.settings
    return [
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores, {machine['simd_bits']}-bit vectors, "
        f"{machine['l2_bytes'] // 1024} KiB of second-level cache; {machine['system']}; Python {machine['python']}, "
        f"NumPy {machine['numpy']}, Numba {machine['numba']}, lowrank-sr {machine['lowrank_sr']}.",
        f"Times: each technique runs in turn with direct convolution, {settings.extent.rounds} rounds of at least "
        f"{1000 * SAMPLE_SECONDS:.0f} ms after one that is not counted; median and quartiles. A speed-up is the median "
        "of the ratios within each round. Single layers and sgemm are timed in the same way. Memory: the peak of the "
        f"process's resident memory above what it held before, the median of {memory.TIMES}. FLOPs: 2 for each "
        "multiply-add, by the paper's formulas; effective GFLOP/s: FLOPs of the dense network over seconds. Quality: "
        "PSNR and SSIM on 8-bit values; as many pixels as the network's scale are cut from each border. SVD pairs, and "
        "dense layers in low-rank networks, run by direct convolution, so that a difference comes from the low rank "
        "alone; by Winograd's algorithm, F(6, 3) and F(6 x 6, 3 x 3), where the report says so.",
        CHOICES.format(speedup=TABLE1_SPEEDUP),
        tables_causes.self_check(report.results),
        f"Seed {settings.seed}. Every number is in results.json; what depends on the clock is there under “measured”.",
    ]
