"""report.html: one file with everything in it, for light and dark screens, wide and narrow ones."""

import base64
import hashlib
from html import escape
from pathlib import Path

from lowrank_sr.files import replacing
from lowrank_sr.study.report.content import TITLE, Report, sections, summary
from lowrank_sr.study.report.inline_svg import variable
from lowrank_sr.study.report.page_blocks import html_of
from lowrank_sr.study.report.style import NIGHT


def write(report: Report, folder: Path) -> None:
    """Write report.html into `folder`, from the results and the files of its figures."""
    parts, links = [], []
    for i, (heading, blocks) in enumerate(sections(report, folder), 1):
        inner = "\n".join(html_of(block, report, folder) for block in blocks)
        parts.append(f'<section id="section-{i}">\n<h2>{escape(heading)}</h2>\n{inner}\n</section>')
        links.append(f'<a href="#section-{i}">{escape(heading)}</a>')
    style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
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
<nav>{" ".join(links)}</nav>
{chr(10).join(parts)}
</main>
<script>{script}</script>
</body>
</html>
"""
    with replacing(folder / "report.html") as temporary:
        temporary.write_text(html, encoding="utf-8")


def _policy(script: str) -> str:
    """A Content Security Policy: nothing is requested from anywhere, and no other script than this one runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _colours() -> str:
    """The figures' colours as variables, by day and by night."""
    day = " ".join(f"{variable(colour)}: {colour};" for colour in NIGHT)
    night = " ".join(f"{variable(colour)}: {other};" for colour, other in NIGHT.items())
    return f":root {{ {day} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {night} }} }}"
