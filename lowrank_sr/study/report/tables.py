"""The report's tables: rows of text from the results, the same for Markdown and for the page."""

from dataclasses import dataclass

from lowrank_sr.study.record import points
from lowrank_sr.study.report.poster import TABLE1
from lowrank_sr.study.report.style import label


@dataclass(frozen=True)
class Table:
    """A caption, a header and rows; the first column is text, the others numbers."""

    caption: str
    header: list[str]
    rows: list[list[str]]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def seconds(value: float) -> str:
    """Seconds, three significant digits or so."""
    return number(value, 2 if value >= 10 else 3 if value >= 0.1 else 4)


def table1(steps: dict) -> Table:
    """Quality, speed, size and memory of every technique; the poster's own figures in columns named so."""
    side = steps["time"]["side"]
    rows = [["bicubic", *_quality(steps["quality/bicubic"]), *["–"] * 6]]
    for name, row in steps["time"]["techniques"].items():
        measured = row["measured"]
        peak = next(each["measured"]["peak_mb"] for each in steps[f"memory/{name}"]["sides"] if each["side"] == side)
        rows.append(
            [
                "original (direct)" if name == "direct" else label(name),
                *_quality(steps[f"quality/{name}"]),
                seconds(measured["seconds"]),
                number(measured["gflops"], 0),
                number(row["theoretical_speedup"], 2),
                number(measured["speedup"], 2),
                number(row["size_mb"], 2),
                number(peak, 0),
            ]
        )
    header = ["technique", "PSNR RGB (dB)", "SSIM RGB", "PSNR luma (dB)", "SSIM luma", "seconds", "effective GFLOP/s"]
    header += ["theoretical speed-up", "measured speed-up", "size (MB)", "peak memory (MB)"]
    caption = (
        f"Table 1. Quality is the mean over the pictures; seconds are the median for {side} x {side} pixels, memory "
        "beyond what the process held before, size in float32, speed-ups over direct."
    )
    return Table(caption, header, rows)


def poster(steps: dict) -> Table:
    """The poster's own figures, named as the poster's, beside ours."""
    names = {"direct": "original", "im2col": "im2col", "svd": "SVD", "cp": "CP"}
    rows = []
    for name, theirs in TABLE1.items():
        row = steps.get(f"quality/{name}")
        if row:
            fitted = steps.get(f"quality/{name} fitted", {})
            cells = [names[name]]
            for key in ("psnr", "ssim"):
                ours = f"{key}_rgb"
                cells += [number(theirs[key], 2), number(row[ours], 2), number(fitted.get(ours), 2)]
            rows.append(cells)
    header = [
        "technique",
        "the poster's PSNR (dB)",
        "our PSNR (dB)",
        "our PSNR, fitted (dB)",
        "the poster's SSIM",
        "our SSIM",
        "our SSIM, fitted",
    ]
    return Table("The poster's own Table 1, of one picture that it does not name, and ours, in RGB.", header, rows)


def _quality(row: dict) -> list[str]:
    digits = {"psnr_rgb": 2, "ssim_rgb": 4, "psnr_y": 2, "ssim_y": 4}
    return [number(row[key], places) for key, places in digits.items()]


def speedups(steps: dict) -> Table:
    """The points of the Pareto figure."""
    rows = []
    for row in points(steps, "speed-up"):
        rows.append([label(row["technique"]), f"{row['speedup']:g}", *_point(row)])
    return Table(f"Networks at a theoretical speed-up. {_TIMED}", ["form", "asked for", *_POINT], rows)


_TIMED = (
    "Measured speed-ups are over the dense network by direct convolution; pairs, and what is dense beside the factors, "
    "by direct convolution too, or by Winograd's algorithm."
)


def thresholds(steps: dict) -> Table:
    """The points of the figure of thresholds."""
    rows = [["layers marked above", number(row["threshold"], 1), *_point(row)] for row in points(steps, "threshold")]
    rows += [
        ["every layer truncated at", number(row["condition"], 1), *_point(row)] for row in points(steps, "truncation")
    ]
    caption = f"SVD of the kernel alone by a threshold of the condition number, in both readings of the word. {_TIMED}"
    return Table(caption, ["reading", "condition number", *_POINT], rows)


_POINT = ["layers factorised", "theoretical speed-up", "measured, direct", "measured, Winograd"]
_POINT += ["PSNR RGB (dB)", "PSNR luma (dB)", "SSIM RGB"]


def _point(row: dict) -> list[str]:
    measured = row["measured"]
    speedups = row["theoretical_speedup"], measured["speedup"], measured["winograd"]["speedup"]
    quality = number(row["psnr_rgb"], 2), number(row["psnr_y"], 2), number(row["ssim_rgb"], 4)
    return [str(row["factorised"]), *(number(value, 2) for value in speedups), *quality]


def memory(steps: dict) -> Table:
    """Peak memory by technique and size."""
    names = list(steps["time"]["techniques"])
    sides = [row["side"] for row in steps[f"memory/{names[0]}"]["sides"]]
    rows = [
        [label(name), *(number(row["measured"]["peak_mb"], 0) for row in steps[f"memory/{name}"]["sides"])]
        for name in names
    ]
    return Table("Peak memory in MB by side of the picture.", ["technique", *map(str, sides)], rows)


def bound(steps: dict) -> Table:
    """CP at the poster's rank, a row for each shape."""
    rows = []
    for name, layer in steps.items():
        for row in layer["rows"] if name.startswith("layer/") else ():
            if row.get("poster_bound"):
                cells = number(row["theoretical_speedup"], 2), number(row["measured"]["speedup"], 2)
                n, c, _ = layer["shape"]
                rows.append(
                    [name.removeprefix("layer/"), f"{n} x {c}", str(row["rank"]), *cells, number(row["error"], 3)]
                )
    header = ["layer", "N x C", "R", "theoretical speed-up", "measured over direct", "kernel's relative error"]
    return Table("CP at R = NC/(N+C), rounded to a whole number.", header, rows)


def full_size(steps: dict) -> Table | None:
    """ESRGAN's 23 blocks, where they were timed."""
    if "full size" not in steps:
        return None
    result = steps["full size"]
    rows = [
        [
            label(name),
            seconds(row["measured"]["seconds"]),
            number(row["measured"]["gflops"], 0),
            number(row["theoretical_speedup"], 2),
            number(row["measured"]["speedup"], 2),
        ]
        for name, row in result["techniques"].items()
    ]
    header = ["technique", "seconds", "effective GFLOP/s", "theoretical speed-up", "measured speed-up"]
    caption = f"ESRGAN's {result['num_block']} blocks, random weights, {result['side']} x {result['side']} pixels."
    return Table(caption, header, rows)
