"""How the figures look: colours that also differ as greys, a marker for each technique, and deterministic files.

Matplotlib is imported where a figure is made, so that everything else works without it.
"""

from contextlib import contextmanager
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing

WIDTH = 5.2  # inches of 96 CSS pixels: read at its own size on a desk and at three quarters of it on a telephone
INK, MUTED, GRID, PAPER = "#1b1b1f", "#6a6a72", "#d9d9de", "#fffffe"

# technique: colour by day, colour by night, marker, hatch, label
TECHNIQUES = {
    "direct": ("#1b1b20", "#f4f4f6", "o", "", "direct"),
    "im2col": ("#a3a3ab", "#85858f", "s", "....", "im2col + GEMM"),
    "kn2row": ("#4f8a5b", "#8fcf9c", "D", "\\\\\\\\", "kn2row"),
    "winograd": ("#7d3f98", "#d3a4ea", "v", "xxxx", "Winograd"),
    "svd": ("#1f5aa6", "#6cb0ff", "^", "////", "SVD, kernel"),
    "svd fitted": ("#1f5aa5", "#6cb0fe", "^", "////", "SVD, fitted"),
    "svd winograd": ("#1f5aa8", "#6cb0fc", ">", "xx//", "SVD, F(4, 3)"),
    "svd fitted winograd": ("#1f5aa7", "#6cb0fd", ">", "xx//", "SVD, fitted, F(4, 3)"),
    "cp": ("#d98218", "#ffc069", "P", "----", "CP, kernel"),
    "cp fitted": ("#d98219", "#ffc068", "P", "----", "CP, fitted"),
}
NIGHT = {INK: "#ececf0", MUTED: "#a6a6b0", GRID: "#3a3a42", PAPER: "#17171b"} | {
    day: night for day, night, *_ in TECHNIQUES.values()
}
_OTHERS = "<hX*dp"  # markers of names that are no technique of ours, such as a benchmark's peers


def need_matplotlib() -> None:
    """Raise InputError, which says how to install it, where Matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("figures need Matplotlib: pip install 'lowrank-sr[plot]'") from None


def look(name: str, index: int = 0) -> dict:
    """Colour, marker and label of a technique; of a name that is none, the `index`-th marker that is left."""
    if name in TECHNIQUES:
        colour, _, marker, _, label = TECHNIQUES[name]
        return {"color": colour, "marker": marker, "label": label}
    return {"color": MUTED, "marker": _OTHERS[index % len(_OTHERS)], "label": name}


def label(name: str) -> str:
    """A technique's name for people."""
    return TECHNIQUES[name][4] if name in TECHNIQUES else name


@contextmanager
def styled():
    """Matplotlib's settings inside the block: ours, whatever the user's are."""
    import matplotlib

    ours = {
        "svg.hashsalt": "lowrank-sr",
        "font.family": "DejaVu Sans",
        "font.size": 10.5,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "legend.fontsize": 9.5,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 6.5,
        "hatch.linewidth": 0.8,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        yield


def canvas(height: float, rows: int = 1, columns: int = 1, **options):
    """A figure of our width and `height` inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor=PAPER)
    return figure, figure.subplots(rows, columns, **options)


def save(figure, path: Path) -> None:
    """Write a figure in the format that the suffix of `path` names; raises InputError where it cannot be written."""
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise InputError(f"{path}: expected a name that ends in .png, .svg or .pdf")
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:].lower(), {})
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160, metadata=dated)
