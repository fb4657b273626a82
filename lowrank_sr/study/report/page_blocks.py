"""The HTML of each kind of block: paragraphs, formulas, words, tables, figures, claims, the divider."""

from html import escape
from pathlib import Path

from lowrank_sr.study.measure.low_rank import TABLE1_SPEEDUP
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.comparison import Comparison, choices, divider, stills
from lowrank_sr.study.report.content import Block, Report
from lowrank_sr.study.report.figure_pareto import slug
from lowrank_sr.study.report.figures import Figure
from lowrank_sr.study.report.inline_svg import Point, inline
from lowrank_sr.study.report.introduction import Formula, Glossary
from lowrank_sr.study.report.tables import Table
from lowrank_sr.study.report.verdict import AGREES, DISAGREES, IN_PART, NOT_DECIDED, Claim
from lowrank_sr.study.technique import ALL, REFERENCE

_VERDICTS = {AGREES: "yes", IN_PART: "part", DISAGREES: "no", NOT_DECIDED: "none"}  # classes in page.css


def html_of(block: Block, report: Report, folder: Path) -> str:
    """A block as HTML; the drawings are read from figures/ in `folder`, the details from crops/."""
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return _figure(block, report, folder)
    if isinstance(block, Formula):
        return _formula(block)
    if isinstance(block, Glossary):
        entries = (f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in block.entries)
        return f"<dl>{''.join(entries)}</dl>"
    if isinstance(block, Comparison):
        return divider(report.results)
    if isinstance(block, list):
        return "\n".join(_claim(claim) for claim in block)
    return f"<p>{escape(block)}</p>"


def _formula(formula: Formula) -> str:
    from latex2mathml.converter import convert

    equations = (convert(equation, display="block") for equation in formula.equations)
    return f'<div class="formula">{"".join(equations)}</div>'


def _figure(figure: Figure, report: Report, folder: Path) -> str:
    crop = report.results.crop
    details = {"figure4": crop.panels, "tail": crop.tail, "sweep": crop.sweep}
    if figure.name in details:
        drawing = stills(details[figure.name], folder)
    else:
        points = _points(report.results) if figure.name == "pareto" else None
        drawings = []
        for file, wide in figure.files().items():
            if file.endswith(".svg"):
                svg = (folder / "figures" / file).read_text(encoding="utf-8")
                size = "wide" if wide else "narrow"
                drawings.append(f'<div class="{size}">{inline(svg, Path(file).stem, figure.caption, points)}</div>')
        drawing = "\n".join(drawings)
    if figure.name == "sweep":
        drawing = f"<details><summary>The pictures of all its points</summary>{drawing}</details>"
    said = f'<p class="concludes">{escape(figure.concludes)}</p>\n' if figure.concludes else ""
    return f"{said}<figure>\n{drawing}\n<figcaption>{escape(figure.caption)}</figcaption>\n</figure>"


def _points(results: Results) -> dict[str, Point]:
    """What the points of the Pareto figure say, by their ids in the drawing."""
    pictures = {choice.value for choice in choices(results)}
    dense = results.quality[REFERENCE].psnr_rgb
    points: dict[str, Point] = {}
    for point, network in measured(results.speedups):
        says = (
            f"{point.technique.label}: {network.quality.psnr_rgb - dense:+.3f} dB; speed-up "
            f"{network.theoretical_speedup:.2f} in theory, {network.measured.winograd.speedup:.2f} measured"
        )
        in_table1 = point.speedup == TABLE1_SPEEDUP and point.technique.layers == ALL
        value = point.technique.name + ("" if in_table1 else f"/{point.speedup:g}")
        picture = value if value in pictures else None
        points |= {f"point-{slug(point)}-{panel}": Point(says, picture) for panel in ("theory", "clock")}
    return points


def _table(table: Table) -> str:
    header = (escape(cell).replace("-", "&#8209;") for cell in table.header)  # no line ends within a word
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    rows = []
    for first, *others in table.rows:
        cells = "".join(map(_cell, others))
        rows.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    caption = escape(table.caption)
    return f"""<div class="table" role="region" aria-label="{caption}" tabindex="0">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{chr(10).join(rows)}
</tbody>
</table>
</div>
<p class="caption">{caption}</p>"""


def _cell(text: str) -> str:
    """A cell of a table; what stands in brackets, quartiles, goes to a line of its own where it is narrow."""
    number, bracket, rest = text.partition(" (")
    return f"<td>{escape(number)} <span>({escape(rest)}</span></td>" if bracket else f"<td>{escape(text)}</td>"


def _claim(claim: Claim) -> str:
    verdict = claim.measured
    why = f"\n<p><b>Why:</b> {escape(verdict.why)}</p>" if verdict.why else ""
    return f"""<article class="claim {_VERDICTS[verdict.verdict]}">
<h3>{escape(claim.claim)} <span class="verdict">{verdict.verdict}</span></h3>
<blockquote>{escape(claim.poster)}</blockquote>
<p><b>Measured here:</b> {escape(verdict.found)}.</p>
<p><b>Rule:</b> {escape(verdict.rule)}.</p>{why}
</article>"""
