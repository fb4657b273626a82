"""How the figures look: colours that also differ as greys, and files that are the same every time.

Matplotlib is imported where a figure is made, so that everything else works without it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.study.technique import BY_NAME, LOOKS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of 96 CSS pixels. Each figure is drawn twice: across the page, and for a telephone, which shows it smaller.
WIDE, NARROW = 10.6, 5.2
FIDELITY_AXIS = "fidelity to the dense network's picture (dB)"
INK, MUTED, GRID, PAPER = "#1b1b1f", "#6a6a72", "#d9d9de", "#fffffe"

NIGHT = {INK: "#ececf0", MUTED: "#a6a6b0", GRID: "#3a3a42", PAPER: "#17171b"} | {look.day: look.night for look in LOOKS}
_OTHER_MARKERS = "<hX*dp"  # of names that are no technique of ours, such as a benchmark's peers


def need(*modules: str) -> None:
    """Raise InputError, which says how to install them, where one of these modules of the extra `plot` is missing."""
    for name in modules:
        try:
            __import__(name)
        except ImportError:
            raise InputError(f"figures and reports need {name}: pip install 'lowrank-sr[plot]'") from None


def look(name: str, index: int = 0) -> dict[str, Any]:
    """Colour, marker and label of a technique by its name; for another name, `index` says which marker."""
    if name in BY_NAME:
        technique = BY_NAME[name]
        return {"color": technique.look.day, "marker": technique.look.marker, "label": technique.label}
    return {"color": MUTED, "marker": _OTHER_MARKERS[index % len(_OTHER_MARKERS)], "label": name}


def clock_look(name: str, index: int = 0) -> dict[str, Any]:
    """The same where only the time counts, which does not depend on the factors."""
    return look(name, index) | ({"label": BY_NAME[name].look.label} if name in BY_NAME else {})


@contextmanager
def styled() -> Iterator[None]:
    """Use our Matplotlib settings inside the block, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc("svg", hashsalt="lowrank-sr")
        matplotlib.rc("font", family="DejaVu Sans", size=10.5)
        matplotlib.rc("text", color=INK)
        matplotlib.rc("axes", edgecolor=MUTED, labelcolor=INK, facecolor="none", grid=True, axisbelow=True)
        matplotlib.rc("axes.spines", top=False, right=False)
        matplotlib.rc("grid", color=GRID, linewidth=0.7)
        matplotlib.rc("xtick", color=MUTED, labelcolor=INK, labelsize=9.5)
        matplotlib.rc("ytick", color=MUTED, labelcolor=INK, labelsize=9.5)
        matplotlib.rc("legend", fontsize=9.5, frameon=False)
        matplotlib.rc("lines", linewidth=1.6, markersize=6.5)
        matplotlib.rc("hatch", linewidth=0.8)
        yield


def canvas(
    wide: bool, heights: tuple[float, float], rows: int = 1, columns: int = 1, **options: Any
) -> tuple["Figure", Any]:
    """A figure across the page or, where it is not `wide`, for a telephone, of one of two heights, and its axes."""
    figure = paper(*((WIDE, heights[0]) if wide else (NARROW, heights[1])))
    return figure, figure.subplots(rows, columns, **options)


def paper(width: float, height: float) -> "Figure":
    """A figure without axes, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure in the format that the suffix of `path` names; raises InputError where it cannot be written."""
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise InputError(f"{path}: expected a name that ends in .png, .svg or .pdf")
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:].lower(), {})
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160, metadata=dated)


def note(axis: "Axes", text: str, place: tuple[float, float], offset: tuple[float, float], **options: Any) -> None:
    """Write `text` so many points away from a place in the data."""
    axis.annotate(text, place, offset, textcoords="offset points", **options)


def key(figure: "Figure", columns: int, handles: "Sequence[Artist] | None" = None, **options: Any) -> None:
    """A legend above the axes, of `handles` or of what is labelled in the last axes."""
    known = figure.axes[-1].get_legend_handles_labels()[0] if handles is None else handles
    figure.legend(handles=known, loc="outside upper center", ncols=columns, **options)
