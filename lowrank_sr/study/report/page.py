"""report.html and report.md: what they say is in report.j2, how a block looks in html.j2 and in markdown.j2."""

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from lowrank_sr.files import replacing
from lowrank_sr.study import technique
from lowrank_sr.study.measure import ablation, crops, memory, networks, speed
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report import clock, draw_loss, figures, gains, lossless, style, tables, verdict
from lowrank_sr.study.report.style import NIGHT, PAPER
from lowrank_sr.study.report.verdict import Claim
from lowrank_sr.study.settings import Settings
from lowrank_sr.study.technique import (
    ALL,
    BY_NAME,
    CP_KERNEL,
    DIRECT,
    REFERENCE,
    SVD_BUNDLED,
    SVD_FITTED,
    SVD_KERNEL,
)

MODULES = [ablation, clock, draw_loss, figures, gains, lossless, memory, networks, speed]
MODULES += [style, tables, technique, verdict]


@dataclass(frozen=True)
class Chapter:
    """All that results.json holds of a network: the settings, the results, the claims."""

    settings: Settings
    results: Results
    claims: list[Claim]

    @property
    def slug(self) -> str:
        """The name of its folder, and what its ids begin with."""
        return self.settings.slug


@dataclass(frozen=True)
class Report:
    """All that results.json holds: the machine by `cpu.describe`, and a chapter for each network."""

    machine: dict[str, Any]
    chapters: list[Chapter]


class Choice(NamedTuple):
    """What the divider can show: its value, its name, and what page.js shows of it, by the names of data attributes."""

    value: str
    name: str
    data: dict[str, str | None]


def write(report: Report, folder: Path) -> None:
    """Write report.html and report.md into `folder`, from the results and the files of figures and details."""
    markdown = re.sub(r"\n{3,}", "\n\n", rendered("markdown.j2", report, folder)).strip()
    for name, text in (("report.md", markdown + "\n"), ("report.html", rendered("html.j2", report, folder))):
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def rendered(kind: str, report: Report, folder: Path) -> str:
    """The report by the blocks of a template, "html.j2" or "markdown.j2"; both read our MODULES by their names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=kind == "html.j2",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in MODULES}
    drawn = {
        chapter.slug: figures.figures_of(chapter.results, folder / chapter.slug).keys() for chapter in report.chapters
    }
    environment.globals |= {"kind": kind, "report": report, "drawn": drawn}
    environment.globals |= {function.__name__: function for function in (choices, details, front)}
    if kind == "html.j2":
        environment.globals |= _of_the_page(folder)
    return environment.get_template("report.j2").render()


def _of_the_page(folder: Path) -> dict[str, Any]:
    """What only html.j2 needs: style and script, and how drawings and details come into the page."""
    from markupsafe import Markup

    here = Path(__file__).parent
    css, script = (Markup((here / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))

    def drawing(chapter: Chapter | None, name: str, caption: Markup) -> Markup:
        """A figure of a chapter, or of all."""
        slug = chapter.slug if chapter else ""
        points = _points(chapter) if chapter and name.startswith("pareto") else {}
        svg = (folder / slug / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        unique = f"{slug}-{name}" if slug else name
        return Markup(_inline(svg, unique, caption.unescape(), points))

    def picture(chapter: Chapter, panel: Panel) -> str:
        content = (folder / chapter.slug / panel.file).read_bytes()
        return "data:image/png;base64," + base64.b64encode(content).decode()

    return {
        "css": css,
        "script": script,
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "headings": [],
        "drawing": drawing,
        "picture": picture,
        "picture_id": picture_id,
    }


def _inline(svg: str, name: str, caption: str, points: dict[str, str]) -> str:
    """A drawing with ids of its own, the page's colours and no background; `points` are attributes of parts by id."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g id="patch_1">\s*<path d="[^"]*" style="fill: )' + PAPER, r"\1none", svg, count=1)
    for key, attributes in points.items():
        svg = svg.replace(f'<g id="{key}">', f'<g id="{key}" {attributes}')
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    for colour in NIGHT:
        svg = svg.replace(colour, f"var(--c{colour[1:]})")
    role = "group" if points else "img"  # what is inside an img cannot be reached
    return svg.replace("<svg ", f'<svg role="{role}" aria-label="{escape(caption)}" ', 1)


def _points(chapter: Chapter) -> dict[str, str]:
    """What the points of the Pareto figure say of themselves, and which picture they choose in the divider."""
    results = chapter.results
    pictures = {choice.value for some in choices(chapter).values() for choice in some}
    points: dict[str, str] = {}
    for point, network in measured(results.speedups):
        says = escape(
            f"{point.technique.label}: fidelity {network.quality.near:.2f} dB; speed-up "
            f"{network.theoretical_speedup:.2f} in theory, {network.measured.winograd.speedup:.2f} measured"
        )
        in_table1 = point.speedup == networks.TABLE1_SPEEDUP and point.technique.layers == ALL
        value = point.technique.name + ("" if in_table1 else f"/{point.speedup:g}")
        chosen = f'role="button" data-of="{chapter.slug}" data-picture="{escape(value)}"'
        role = chosen if value in pictures else 'role="img"'
        said = f'class="point" tabindex="0" aria-label="{says}" {role}><title>{says}</title>'
        points |= {f"point-{draw_loss.slug(point)}-{panel}": said for panel in ("theory", "clock")}
    return points


def details(chapter: Chapter) -> dict[str, tuple[Panel, ...]]:
    """The pictures of the figures that are made of pictures, by the figures' names."""
    crop = chapter.results.crop
    return {"figure4": crop.panels, "tail": crop.tail, "sweep": crop.sweep}


def front(chapter: Chapter) -> list[Panel]:
    """The pictures of the detail that a chapter begins with: the network's, its best one in low rank, bicubic."""
    panels = {panel.name: panel for panel in chapter.results.crop.panels}
    low_rank = [each.name for each in (SVD_BUNDLED, SVD_FITTED, SVD_KERNEL, CP_KERNEL) if each.name in panels]
    return [panels[name] for name in (REFERENCE.name, crops.BICUBIC, *low_rank[:1]) if name in panels]


def choices(chapter: Chapter) -> dict[str, list[Choice]]:
    """What the divider can show, by groups; methods that compute the same network share a panel."""
    results = chapter.results
    crop, side = results.crop, results.side
    panels, table1, sweep = {panel.name: panel for panel in crop.panels}, [], []
    for each, row in results.times.items():
        if panel := panels.get(replace(each, method=DIRECT).name):
            time = f"{tables.seconds(row.measured)} s for {side} x {side} pixels"
            speedup = f"{row.measured.speedup:.2f} × direct, {row.theoretical_speedup:.2f} in theory"
            table1.append(_choice(chapter, panel, each.label, each.name, time, speedup))
    points = {f"{point.technique.name}/{point.speedup:g}": network for point, network in measured(results.speedups)}
    for panel in crop.sweep:
        clock, theory = points[panel.name].measured.winograd.speedup, points[panel.name].theoretical_speedup
        speedup = f"{clock:.2f} × direct by Winograd, {theory:.2f} in theory"
        sweep.append(_choice(chapter, panel, figures.panel_name(panel), speedup=speedup))
    groups = {
        "To compare with": [_choice(chapter, panel, name) for name, panel in panels.items() if name not in BY_NAME],
        "Table 1": table1,
        "Other speed-ups": sweep,
        "SVD outside the dense blocks": [_choice(chapter, panel, panel.name) for panel in crop.tail],
    }
    return {group: some for group, some in groups.items() if some}


def _choice(
    chapter: Chapter,
    panel: Panel,
    name: str,
    value: str | None = None,
    time: str | None = None,
    speedup: str | None = None,
) -> Choice:
    known = panel.psnr_rgb is not None
    data = {
        "data-picture": picture_id(chapter, panel),
        "data-psnr": f"{panel.psnr_rgb:.2f} dB" if known else None,
        "data-ssim": f"SSIM {panel.ssim_rgb:.4f} in the detail" if known else None,
        "data-seconds": time,
        "data-speedup": speedup,
    }
    return Choice(value or panel.name, name, data)


def picture_id(chapter: Chapter, panel: Panel) -> str:
    """The id of a still on the page."""
    return f"{chapter.slug}-picture-" + panel.name.replace(" ", "-").replace(",", "").replace("/", "-")
