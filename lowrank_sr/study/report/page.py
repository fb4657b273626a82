"""report.html: one file with everything in it, for light and dark screens, wide and narrow ones."""

import base64
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lowrank_sr.files import replacing
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.report.content import TITLE, Block, Report, sections, summary
from lowrank_sr.study.report.figure_quality import panel_title
from lowrank_sr.study.report.figures import Figure
from lowrank_sr.study.report.style import NIGHT, PAPER
from lowrank_sr.study.report.tables import Table
from lowrank_sr.study.report.verdict import AGREES, DISAGREES, IN_PART, NOT_DECIDED, Claim

_VERDICTS = {AGREES: "yes", IN_PART: "part", DISAGREES: "no", NOT_DECIDED: "none"}  # classes in page.css


def write(report: Report, folder: Path) -> None:
    """Write report.html into `folder`, from the results and the files of its figures."""
    parts = []
    for heading, blocks in sections(report, folder):
        inner = "\n".join(_block(block, report, folder) for block in blocks)
        parts.append(f"<section>\n<h2>{escape(heading)}</h2>\n{inner}\n</section>")
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(TITLE)}</title>
<link rel="icon" href="data:,">
<style>
{style}
{_colours()}
</style>
</head>
<body>
<main>
<h1>{escape(TITLE)}</h1>
<p class="lead">{escape(summary(report))}</p>
{chr(10).join(parts)}
</main>
</body>
</html>
"""
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(html, encoding="utf-8")


def _colours() -> str:
    """The figures' colours as variables, by day and by night."""
    day = " ".join(f"{_variable(colour)}: {colour};" for colour in NIGHT)
    night = " ".join(f"{_variable(colour)}: {other};" for colour, other in NIGHT.items())
    return f":root {{ {day} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {night} }} }}"


def _variable(colour: str) -> str:
    return f"--c{colour[1:]}"


def _block(block: Block, report: Report, folder: Path) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        if block.name == "figure4":
            drawing = _details(report.results.crop.panels, folder)
        else:
            svg = (folder / "figures" / f"{block.name}.svg").read_text(encoding="utf-8")
            drawing = inline(svg, block.name, block.caption)
        return f"<figure>\n{drawing}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
    if isinstance(block, list):
        return "\n".join(_claim(claim) for claim in block)
    return f"<p>{escape(block)}</p>"


def _table(table: Table) -> str:
    header = (escape(cell).replace("-", "&#8209;") for cell in table.header)  # no line ends within a word
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    rows = []
    for first, *others in table.rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
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


def _claim(claim: Claim) -> str:
    verdict = claim.measured
    why = f"\n<p><b>Why:</b> {escape(verdict.why)}</p>" if verdict.why else ""
    return f"""<article class="claim {_VERDICTS[verdict.verdict]}">
<h3>{escape(claim.claim)} <span class="verdict">{verdict.verdict}</span></h3>
<blockquote>{escape(claim.poster)}</blockquote>
<p><b>Measured here:</b> {escape(verdict.found)}.</p>
<p><b>Rule:</b> {escape(verdict.rule)}.</p>{why}
</article>"""


def _details(panels: Sequence[Panel], folder: Path) -> str:
    """The details as a grid of images, as many in a row as the screen has room for."""
    cells = []
    for panel in panels:
        data = base64.b64encode((folder / panel.file).read_bytes()).decode()
        lines = "<br>".join(escape(line) for line in panel_title(panel).split("\n"))
        image = f'<img src="data:image/png;base64,{data}" width="192" height="192" alt="{escape(panel.name)}">'
        cells.append(f"<div>{image}<span>{lines}</span></div>")
    return f'<div class="details">{"".join(cells)}</div>'


def inline(svg: str, name: str, caption: str) -> str:
    """An SVG file's drawing as part of a page: its own ids, colours that follow the page, no background."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g id="patch_1">\s*<path d="[^"]*" style="fill: )' + PAPER, r"\1none", svg, count=1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    for colour in NIGHT:
        svg = svg.replace(colour, f"var({_variable(colour)})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
