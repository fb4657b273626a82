"""Figures of quality: details side by side (Figure 4), the Pareto front, and the sweeps of thresholds."""

from pathlib import Path

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.record import fastest_exact, points
from lowrank_sr.study.report.style import INK, MUTED, PAPER, TECHNIQUES, WIDTH, canvas, label, look

CAPTION = 0.38  # inches under a detail


def details(steps: dict, folder: Path):
    """The same detail by every technique, from the files in `folder`, PSNR under each."""
    panels = steps["crop"]["panels"]
    columns = 3 if len(panels) <= 6 else 4
    rows = -(-len(panels) // columns)
    figure, axes = canvas(rows * (WIDTH / columns + CAPTION), rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        axis.imshow(read_image(folder / panel["file"]).pixels, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_xlabel(panel_title(panel), fontsize=9)
    return figure


def panel_title(panel: dict) -> str:
    """What stands under a detail."""
    name = {"direct": "network"}.get(panel["name"]) or label(panel["name"])
    return f"{name}\n{panel['psnr_rgb']:.2f} dB" if "psnr_rgb" in panel else f"{name}\n"


LEAST_LOSS = 0.005  # dB: what is less is drawn there, for a logarithm has no zero


def pareto(steps: dict):
    """PSNR lost against theoretical and against measured speed-up, SVD and CP, their factors fitted or not."""
    found, dense = points(steps, "speed-up"), steps["quality/direct"]["psnr_rgb"]
    figure, axes = canvas(6.4, 2, 1, sharey=True)
    for name in dict.fromkeys(row["technique"] for row in found):
        own = [row for row in found if row["technique"] == name]
        style, line = look(name), "-" if "fitted" in name else "--"
        style |= {"markerfacecolor": style["color"] if "fitted" in name else PAPER, "markeredgecolor": style["color"]}
        lost = [max(dense - row["psnr_rgb"], LEAST_LOSS) for row in own]
        axes[0].plot([row["theoretical_speedup"] for row in own], lost, linestyle=line, **style)
        axes[1].plot([row["measured"]["winograd"]["speedup"] for row in own], lost, linestyle=line, **style)
    bicubic = dense - steps["quality/bicubic"]["psnr_rgb"]
    for axis in axes:
        axis.set(yscale="log", ylabel="PSNR lost, RGB (dB)")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.axvline(1, color=MUTED, linewidth=1)
        if bicubic > LEAST_LOSS:
            _level(axis, bicubic, "bicubic", "bottom")
    axes[0].invert_yaxis()  # better is higher, on both: they share the axis
    axes[0].set_xlabel("theoretical speed-up: FLOPs of dense / FLOPs")
    axes[1].set_xlabel("measured speed-up over direct, by Winograd where it applies")
    best = fastest_exact(steps["time"]["techniques"])
    if best != "direct":
        speedup, colour = steps["time"]["techniques"][best]["measured"]["speedup"], TECHNIQUES[best][0]
        axes[1].axvline(speedup, color=colour, linewidth=1.4, linestyle="-.", label=f"{label(best)}, lossless")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, columnspacing=1.2, handletextpad=0.5)
    return figure


def _level(axis, value, text, va):
    """A horizontal line with its name at the right end."""
    axis.axhline(value, color=INK, linewidth=1, linestyle=":")
    axis.text(1, value, text, transform=axis.get_yaxis_transform(), ha="right", va=va, fontsize=9)


def thresholds(steps: dict):
    """Quality and time as the threshold of the condition number falls, in both of its readings."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator

    marking = points(steps, "threshold")
    cutting = points(steps, "truncation")
    figure, axes = canvas(4.9, 2, 2, sharey="row")
    for column, (rows, key) in enumerate(((marking, "threshold"), (cutting, "condition"))):
        at = [row[key] for row in rows]
        style = look("svd") | {"label": None}
        axes[0, column].plot(at, [row["psnr_rgb"] for row in rows], **style)
        measured = [row["measured"] for row in rows]
        axes[1, column].plot(at, [each["speedup"] for each in measured], **style)
        low, high = ([each[f"speedup_{side}"] for each in measured] for side in ("low", "high"))
        axes[1, column].fill_between(at, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axes[1, column].plot(
            at, [row["theoretical_speedup"] for row in rows], color=MUTED, linestyle="--", marker="x", markersize=5
        )
        axes[1, column].axhline(1, color=INK, linewidth=1, linestyle=":")
        _level(axes[0, column], steps["quality/direct"]["psnr_rgb"], "network", "bottom")
        for axis in axes[:, column]:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axis.xaxis.set_major_formatter("{x:g}")
            axis.minorticks_off()
    axes[0, 0].set_ylabel("PSNR, RGB (dB)")
    axes[1, 0].set_ylabel("speed-up over direct")
    axes[1, 0].set_xlabel("layers are marked above\nthis condition number")
    axes[1, 1].set_xlabel("every layer is truncated at\nthis condition number")
    handles = [
        Line2D([], [], **(look("svd") | {"label": "measured"})),
        Line2D([], [], color=MUTED, linestyle="--", marker="x", markersize=5, label="theoretical"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
