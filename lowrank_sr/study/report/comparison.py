"""The divider: one detail by two techniques side by side, their numbers, and their difference; page.js moves it.

Its pictures are the stills of Figure 4 and of the sweep, which the page shows without a script too.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.sweeps import measured
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.figure_quality import panel_name, panel_title
from lowrank_sr.study.report.tables import seconds
from lowrank_sr.study.technique import BY_NAME, DIRECT, SVD_FITTED, Technique

OTHERS = "To compare with"  # a group of choices
GAINS = (2, 8, 32)  # of the amplified difference


@dataclass(frozen=True)
class Comparison:
    """The place of the divider among the blocks of a section."""


@dataclass(frozen=True)
class Choice:
    """What the divider can show: its group, value and name, the picture of it, and what stands beside it."""

    group: str
    value: str
    name: str
    panel: Panel
    time: str = ""
    speedup: str = ""


def choices(results: Results) -> list[Choice]:
    """Every panel that is no technique, then every technique; methods that compute the same network share a panel."""
    panels = {panel.name: panel for panel in results.crop.panels}
    found = [Choice(OTHERS, name, name, panel) for name, panel in panels.items() if name not in BY_NAME]
    for technique, row in results.times.techniques.items():
        panel = panels.get(_pictured(technique).name)
        if panel is not None:
            speedup = f"{row.measured.speedup:.2f} × direct, {row.theoretical_speedup:.2f} in theory"
            time = f"{seconds(row.measured)} s for {results.times.side} x {results.times.side} pixels"
            found.append(Choice("Table 1", technique.name, technique.label, panel, time, speedup))
    found += [_of_sweep(results, panel) for panel in results.crop.sweep]
    found += [Choice("SVD outside the dense blocks", panel.name, panel.name, panel) for panel in results.crop.tail]
    return found


def _of_sweep(results: Results, panel: Panel) -> Choice:
    """The choice of a network of the sweep, by the name of its panel."""
    name, _, asked = panel.name.partition("/")
    speedup = ""
    for point, network in measured(results.speedups):
        if point.technique.name == name and f"{point.speedup:g}" == asked:
            clock = network.measured.winograd.speedup
            speedup = f"{clock:.2f} × direct by Winograd, {network.theoretical_speedup:.2f} in theory"
    return Choice("Other speed-ups", panel.name, panel_name(panel), panel, "", speedup)


def _pictured(technique: Technique) -> Technique:
    return replace(technique, method=DIRECT)


def picture_id(panel: Panel) -> str:
    """The id of a still on the page."""
    return "picture-" + panel.name.replace(" ", "-").replace(",", "").replace("/", "-")


def stills(panels: Sequence[Panel], folder: Path) -> str:
    """Details as a grid of images, as many in a row as the screen has room for."""
    cells = []
    for panel in panels:
        data = base64.b64encode((folder / panel.file).read_bytes()).decode()
        lines = "<br>".join(escape(line) for line in panel_title(panel).split("\n"))
        source = f'src="data:image/png;base64,{data}" width="192" height="192" alt="{escape(panel.name)}"'
        cells.append(f'<div><img id="{picture_id(panel)}" {source}><span>{lines}</span></div>')
    return f'<div class="details">{"".join(cells)}</div>'


def divider(results: Results) -> str:
    """The divider, hidden until page.js has its pictures."""
    every = choices(results)
    values = [choice.value for choice in every]
    first = "bicubic" if "bicubic" in values else values[0]
    second = SVD_FITTED.name if SVD_FITTED.name in values else values[-1]
    gains = "".join(f'<option value="{gain}">difference × {gain}</option>' for gain in GAINS)
    return f"""<div class="compare" hidden>
<div class="choose">
<label>Left<br>{_select(every, first)}</label>
<label>Right<br>{_select(every, second)}</label>
<label>View<br><select class="gain"><option value="0">divider</option>{gains}</select></label>
</div>
<div class="stage">
<img alt="" width="192" height="192"><img alt="" width="192" height="192"><canvas width="1" height="1"></canvas>
<input type="range" min="0" max="100" step="1" value="50" aria-label="Divider between the left and the right picture">
</div>
<div class="beside" aria-live="polite">
<p class="left"></p>
<p class="right"></p>
</div>
</div>
<noscript><p>With JavaScript, a divider here compares any two of these pictures.</p></noscript>"""


def _select(every: Sequence[Choice], selected: str) -> str:
    groups: dict[str, list[str]] = {}
    for choice in every:
        panel = choice.panel
        beside = {"picture": picture_id(panel), "seconds": choice.time, "speedup": choice.speedup}
        if panel.psnr_rgb is not None:
            beside |= {"psnr": f"{panel.psnr_rgb:.2f} dB", "ssim": f"SSIM {panel.ssim_rgb:.4f} in the detail"}
        data = " ".join(f'data-{key}="{escape(value)}"' for key, value in beside.items() if value)
        chosen = " selected" if choice.value == selected else ""
        option = f'<option value="{escape(choice.value)}" {data}{chosen}>{escape(choice.name)}</option>'
        groups.setdefault(choice.group, []).append(option)
    parts = (f'<optgroup label="{escape(group)}">{"".join(some)}</optgroup>' for group, some in groups.items())
    return f"<select>{''.join(parts)}</select>"
