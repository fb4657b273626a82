"""Matplotlib's SVG files as parts of a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from lowrank_sr.study.report.style import NIGHT, PAPER


@dataclass(frozen=True)
class Point:
    """What a point of a figure says of itself, and the picture that it chooses in the divider, if it has one."""

    says: str
    picture: str | None


def inline(svg: str, name: str, caption: str, points: Mapping[str, Point] | None = None) -> str:
    """A drawing with ids of its own, the page's colours and no background; `points`, by their ids, name themselves."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g id="patch_1">\s*<path d="[^"]*" style="fill: )' + PAPER, r"\1none", svg, count=1)
    for key, point in (points or {}).items():
        svg = svg.replace(f'<g id="{key}">', f'<g id="{key}" {_attributes(point)}><title>{escape(point.says)}</title>')
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    for colour in NIGHT:
        svg = svg.replace(colour, f"var({variable(colour)})")
    role = "group" if points else "img"  # what is inside an img cannot be reached
    return svg.replace("<svg ", f'<svg role="{role}" aria-label="{escape(caption)}" ', 1)


def _attributes(point: Point) -> str:
    said = f'class="point" tabindex="0" aria-label="{escape(point.says)}"'
    return f'{said} role="button" data-picture="{escape(point.picture)}"' if point.picture else f'{said} role="img"'


def variable(colour: str) -> str:
    """The CSS variable of one of the figures' colours."""
    return f"--c{colour[1:]}"
