"""Figure 1: a dense layer, the SVD pair and CP as chains of convolutions, with what each holds and costs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowrank_sr.study.report.style import INK, MUTED, PAPER, canvas
from lowrank_sr.study.technique import CP_KERNEL, REFERENCE, SVD_KERNEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PITCH = 1.75  # from one map to the next, in units of a map's height


@dataclass(frozen=True)
class Step:
    """A convolution, the shape of its filters, and the channels of the map that it writes."""

    filters: str
    shape: tuple[float, float]  # of the drawn filter: width, height
    channels: str
    depth: int  # of the drawn map: how many sheets


@dataclass(frozen=True)
class Chain:
    """A form of a layer: its convolutions in order, its multiply-adds a pixel, and its colour."""

    name: str
    steps: tuple[Step, ...]
    cost: str
    colour: str


SQUARE, TALL, WIDE, POINT = (0.45, 0.45), (0.15, 0.45), (0.45, 0.15), (0.15, 0.15)
CHAINS = (
    Chain("dense", (Step("$d\\times d$", SQUARE, "$N$", 6),), "$d^2 N C$", REFERENCE.look.day),
    Chain(
        "SVD pair",
        (Step("$d\\times 1$", TALL, "$K$", 3), Step("$1\\times d$", WIDE, "$N$", 6)),
        "$d K (C + N)$",
        SVD_KERNEL.look.day,
    ),
    Chain(
        "CP",
        (
            Step("$1\\times 1$", POINT, "$R$", 3),
            Step("$d\\times 1$\neach", TALL, "$R$", 3),
            Step("$1\\times d$\neach", WIDE, "$R$", 3),
            Step("$1\\times 1$", POINT, "$N$", 6),
        ),
        "$R (C + 2d + N)$",
        CP_KERNEL.look.day,
    ),
)


def draw(wide: bool) -> "Figure":
    """The three chains, one under the other."""
    figure, axes = canvas(wide, (5.8, 4.2), len(CHAINS), 1)
    longest = max(len(chain.steps) for chain in CHAINS)
    for axis, chain in zip(axes, CHAINS, strict=True):
        axis.set(xlim=(-0.3, longest * PITCH + 1.1), ylim=(-0.55, 1.45), aspect="equal")
        axis.set_axis_off()
        axis.text(-0.3, 1.4, chain.name, weight="bold", va="top", fontsize=11.5)
        axis.text(1.4, 1.4, f"multiply-adds a pixel: {chain.cost}", va="top", color=MUTED)
        _map(axis, 0, 5, "$C$", INK)
        for i, step in enumerate(chain.steps):
            _filter(axis, i * PITCH + 1.28, step, chain.colour)
            _map(axis, (i + 1) * PITCH, step.depth, step.channels, INK)
    return figure


def _map(axis: "Axes", x: float, depth: int, channels: str, colour: str) -> None:
    """A stack of sheets, the channels of a map, with their number under it."""
    from matplotlib.patches import Rectangle

    for sheet in reversed(range(depth)):
        offset = 0.055 * sheet
        axis.add_patch(Rectangle((x + offset, offset), 0.62, 0.62, facecolor=PAPER, edgecolor=colour, linewidth=0.9))
    axis.text(x + 0.31, -0.12, channels, ha="center", va="top")


def _filter(axis: "Axes", x: float, step: Step, colour: str) -> None:
    """An arrow from map to map, the filter on it, and its shape."""
    from matplotlib.patches import Rectangle

    width, height = step.shape
    axis.annotate("", (x + 0.42, 0.31), (x - 0.28, 0.31), arrowprops={"arrowstyle": "->", "color": MUTED}, zorder=0)
    axis.add_patch(
        Rectangle(
            (x + 0.02 - width / 2, 0.31 - height / 2), width, height, facecolor=colour, edgecolor=INK, linewidth=0.8
        )
    )
    axis.text(x + 0.02, -0.0, step.filters, ha="center", va="top", fontsize=9, linespacing=1.0)
