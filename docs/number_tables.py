"""The tables of README.md and docs/results.md, made from docs/results/*.json, and where these were measured.

In a page stands `<!-- table: NAME ARGUMENTS -->`, then the table, then `<!-- end of table -->`; NAME is one of TABLES.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from provenance import MEASUREMENTS, ROOT, load

from lowrank_sr.study.record import Results, assemble
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.tables import Table, number, seconds, speedup, spread
from lowrank_sr.study.technique import REFERENCE

PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")
_PLACE = re.compile(r"(<!-- table: (.+?) -->\n\n)(.*?)(<!-- end of table -->)", re.DOTALL)
_NAMES = {"auto": "lowrank-sr", "PyTorch channels last": "PyTorch, channels last", "OpenVINO": "OpenVINO, float32"}


def written(page: Path) -> str:
    """The text of a page with its tables as the JSON files have them."""

    def table(place: re.Match[str]) -> str:
        name, *arguments = place[2].split()
        return f"{place[1]}{TABLES[name](*arguments)}\n\n{place[4]}"

    return _PLACE.sub(table, page.read_text(encoding="utf-8"))


def study_table1(network: str) -> str:
    """Table 1 of the study of a network."""
    results = _results(network)
    rows = [["bicubic", *_qualities(results.bicubic), *["–"] * 5]]
    for technique, timed in results.times.items():
        name = "original (direct)" if technique == REFERENCE else technique.label
        memory = next(at.measured.peak_mb for at in results.memory[technique].sides if at.side == timed.side)
        cells = seconds(timed.measured), number(timed.theoretical_speedup, 2), speedup(timed.measured)
        sizes = number(timed.size_mb, 2), number(memory, 0)
        rows.append([name, *_qualities(results.quality[technique]), *cells, *sizes])
    header = ["", "fidelity, dB", "PSNR luma", "SSIM luma", "seconds", "speed-up in theory", "measured", "size, MB"]
    return _table(
        "study",
        Table([*header, "memory, MB"], rows),
        load("study")["found"]["results.json"]["networks"][network]["measured"],
    )


def _qualities(of: Any) -> list[str]:
    return [number(of.fidelity, 2), number(of.psnr_y, 2), number(of.ssim_y, 4)]


def study_claims() -> str:
    """The poster's claims with the verdict for each network, and one line of what was found."""
    networks = load("study")["found"]["results.json"]["networks"]
    judged = {name: judge(_results(name)) for name in networks}
    rows = [
        [claims[0].claim, *(f"**{claim.measured.verdict}**: {claim.measured.short}" for claim in claims)]
        for claims in zip(*judged.values(), strict=True)
    ]
    origins = [part["measured"] for part in networks.values()]
    commits = " and ".join(dict.fromkeys(origin["commit"] for origin in origins))
    header = ["the poster says", *(f"`{name}`" for name in judged)]
    return _table("study", Table(header, rows), origins[-1] | {"commit": commits}, numbers=False)


@cache
def _results(network: str) -> Results:
    return assemble(load("study")["found"]["results.json"]["networks"][network]["steps"])


def quality(colour: str) -> str:
    """PSNR and SSIM on "luma" or "rgb", by network and pictures."""
    end = {"luma": "y", "rgb": "rgb"}[colour]
    names = {"bundled": "bundled photographs", "set5": "Set5", "set14": "Set14"}
    networks = ("bicubic", "psnr-small", "realesrgan-x4plus")
    rows = []
    for file, title in names.items():
        means = _means(load("quality")["found"][f"{file}.json"])
        cells = (f"{means[name][f'psnr_{end}']:.2f} dB, {means[name][f'ssim_{end}']:.4f}" for name in networks)
        rows.append([title, *cells])
    return _table("quality", Table([f"x4, {colour.replace('rgb', 'RGB')}: PSNR, SSIM", *networks], rows))


def low_rank() -> str:
    """How near low-rank networks come to the dense one, on Set5 and Set14."""
    labels = {
        "bicubic": "bicubic",
        "realesrgan-x4plus": "dense",
        "kernels.npz": "SVD pairs at half the FLOPs, of the kernels alone",
        "fitted.npz": "the same, fitted",
        "realesrgan-x4plus-svd": "`realesrgan-x4plus-svd`: fitted by multiplications, and trained",
    }
    found = {data: load("low-rank")["found"][f"{data}.json"] for data in ("set5", "set14")}
    rows = []
    for name, label in labels.items():
        means = {data: _means(every)[name] for data, every in found.items()}
        least = {data: _least(every, name) for data, every in found.items()}
        near = [
            "–" if least[data] is None else f"{number(of['fidelity'], 2)}, {number(least[data], 2)}"
            for data, of in means.items()
        ]
        luma = ", ".join(f"{of['psnr_y']:.2f} / {of['ssim_y']:.4f}" for of in means.values())
        rows.append([label, *near, number(means["set14"]["niqe"], 2), luma])
    header = ["", "fidelity on Set5, least", "on Set14, least", "NIQE on Set14", "luma PSNR / SSIM on Set5, Set14"]
    return _table("low-rank", Table(header, rows))


def _means(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By network the row of the means over the pictures, as `lowrank-sr evaluate --json` writes it."""
    return {row["network"]: row for row in rows if row["image"] == "mean"}


def _least(rows: Iterable[dict[str, Any]], network: str) -> float | None:
    """The least fidelity of a picture."""
    every = (row["fidelity"] for row in rows if row["network"] == network and row["image"] != "mean")
    return min((value for value in every if value is not None), default=None)


def megapixel() -> str:
    """What a megapixel takes, beside the fastest of the others and PyTorch."""
    rows = load("speed")["found"]["peers.json"]["rows"]
    by_name = {row["name"]: row for row in rows}
    fastest = min(by_name.keys() - {"auto"}, key=lambda name: by_name[name]["seconds"][0])
    chosen = {"auto": "lowrank-sr", fastest: f"{_NAMES.get(fastest, fastest)}, the fastest of the others"}
    chosen.setdefault("PyTorch channels last", _NAMES["PyTorch channels last"])
    cells = [
        [label, f"{by_name[name]['seconds a megapixel']:.1f}", _times(by_name["auto"], name)]
        for name, label in chosen.items()
    ]
    return _table("speed", Table(["", "seconds a megapixel", "times as fast"], cells), commands=slice(1))


def _times(of: dict[str, Any], name: str) -> str:
    """How many times as fast as another contestant, with the quartiles."""
    return "" if name == of["name"] else spread(*of[f"times {name}"], 2)


def peers() -> str:
    """All that was timed beside the peers at 256 x 256 pixels."""
    others = ("PyTorch channels last", "OpenVINO", "MNN")
    rows = [
        [
            _NAMES.get(row["name"], row["name"]),
            spread(*row["seconds"], 2),
            f"{row['seconds a megapixel']:.2f}",
            f"{row['gflops']:.0f}",
            *("1" if other == row["name"] else _times(row, other) for other in others),
            f"{row['error']:.0e}",
        ]
        for row in load("speed")["found"]["peers.json"]["rows"]
    ]
    header = ["256 x 256", "seconds", "seconds a megapixel of the result", "effective GFLOP/s"]
    return _table(
        "speed",
        Table([*header, "times PyTorch", "times OpenVINO", "times MNN", "error"], rows),
        commands=slice(1),
    )


def bundled_speed() -> str:
    """How much faster than the dense network its bundled low-rank form is."""
    rows = [
        [f"{row['size']} x {row['size']}", spread(*row["seconds"], 2), spread(*row["times auto"], 2)]
        for row in load("speed")["found"]["svd.json"]["rows"]
        if row["name"] == "realesrgan-x4plus-svd"
    ]
    header = ["`realesrgan-x4plus-svd`", "seconds", "times the dense network by its best exact method"]
    return _table("speed", Table(header, rows), commands=slice(1, None))


def _table(
    name: str,
    table: Table,
    measured: dict[str, Any] | None = None,
    commands: slice = slice(None),
    numbers: bool = True,
) -> str:
    """A table in Markdown, and below it by which commands, where and when it was measured."""
    content = load(name)
    lines = [table.header, ["---", *[("---:" if numbers else "---")] * (len(table.header) - 1)], *table.rows]
    told = (f"`{re.sub(r' --json [^ ]+', '', command)}`" for command in MEASUREMENTS[name].commands[commands])
    since = "".join(f" Since then: {why}." for why in content.get("since", []))
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n*By {', '.join(told)}; {_where(measured or content['measured'])}.{since}*"


def _where(origin: dict[str, Any]) -> str:
    of = origin["machine"]
    threads = f"{of['threads']} thread{'s' * (of['threads'] != 1)} of an {of['cpu']} ({of['simd_bits']}-bit vectors)"
    versions = f"Python {of['python']}, NumPy {of['numpy']}, SciPy {of['scipy']}, Numba {of['numba']}"
    return f"{threads}, {origin['date']}, commit {origin.get('commit', 'unknown')}, {versions}"


TABLES: dict[str, Callable[..., str]] = {
    "study-table-1": study_table1,
    "study-claims": study_claims,
    "quality": quality,
    "low-rank": low_rank,
    "megapixel": megapixel,
    "peers": peers,
    "bundled-speed": bundled_speed,
}
