"""report.md."""

from pathlib import Path

from lowrank_sr.files import replacing
from lowrank_sr.study.report.comparison import Comparison
from lowrank_sr.study.report.content import TITLE, Block, Report, sections, summary
from lowrank_sr.study.report.figures import Figure
from lowrank_sr.study.report.introduction import Formula, Glossary
from lowrank_sr.study.report.tables import Table
from lowrank_sr.study.report.verdict import Verdict


def write(report: Report, folder: Path) -> None:
    """Write report.md into `folder`."""
    parts = [f"# {TITLE}", summary(report)]
    for heading, blocks in sections(report, folder):
        parts.append(f"## {heading}")
        parts.extend(_block(block) for block in blocks)
    with replacing(folder / "report.md") as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return f"{_table(block.header, block.rows)}\n\n*{block.caption}*"
    if isinstance(block, Figure):
        said = f"{block.concludes}\n\n" if block.concludes else ""
        return f"{said}![{block.caption}](figures/{block.name}.svg)\n\n*{block.caption}*"
    if isinstance(block, Formula):
        return "\n\n".join(f"$${equation}$$" for equation in block.equations)
    if isinstance(block, Glossary):
        return _table(["word", "meaning"], [list(entry) for entry in block.entries], numbers=False)
    if isinstance(block, Comparison):
        return "In report.html, a divider compares any two of these pictures."
    if isinstance(block, list):
        rows = [[claim.claim, claim.poster, *_verdict(claim.measured)] for claim in block]
        return _table(["claim", "the poster", "verdict", "measured here", "rule", "why"], rows, numbers=False)
    return block


def _verdict(verdict: Verdict) -> list[str]:
    return [f"**{verdict.verdict}**", verdict.found, verdict.rule, verdict.why]


def _table(header: list[str], rows: list[list[str]], numbers: bool = True) -> str:
    rule = ["---", *(["---:" if numbers else "---"] * (len(header) - 1))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])
