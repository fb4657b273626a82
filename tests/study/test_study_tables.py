"""The tables of a study's report, cell by cell against the steps of its results.json."""

import pytest

from lowrank_sr.study.technique import BY_NAME

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(report):
    """The rows of every table of report.md, each as a dictionary by the header."""
    found, lines = [], (report / "report.md").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if not line.startswith("|"):
            found.append([])
        else:
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
    whole = [table for table in found if len(table) > 2]
    return [[dict(zip(table[0], row, strict=True)) for row in table[2:]] for table in whole]


def with_column(tables, *names):
    """The rows of the first table that has these columns."""
    return next(rows for rows in tables if set(names) <= rows[0].keys())


def by_first_column(rows):
    """The rows under the words of their first column, each of which is there once."""
    by_name = {next(iter(row.values())): row for row in rows}
    assert len(by_name) == len(rows)
    return by_name


def quality(step):
    return {"PSNR RGB (dB)": f"{step['psnr_rgb']:.2f}", "SSIM RGB": f"{step['ssim_rgb']:.4f}"}


def spread(timing):
    return f"{timing['speedup']:.2f} ({timing['speedup_low']:.2f}–{timing['speedup_high']:.2f})"


def test_table_1(tables, results):
    steps, rows = results["steps"], by_first_column(with_column(tables, "size (MB)"))
    names = [name.removeprefix("time/") for name in steps if name.startswith("time/")]
    assert len(rows) == len(names) + 1
    for name in names:
        row = rows["original (direct)" if name == "direct" else BY_NAME[name].label]
        time, memory = steps[f"time/{name}"], steps[f"memory/{name}"]
        (peak,) = [at["measured"]["peak_mb"] for at in memory["sides"] if at["side"] == time["side"]]
        expected = quality(steps[f"quality/{name}"]) | {
            "PSNR luma (dB)": f"{steps[f'quality/{name}']['psnr_y']:.2f}",
            "SSIM luma": f"{steps[f'quality/{name}']['ssim_y']:.4f}",
            "effective GFLOP/s": f"{time['measured']['gflops']:.0f}",
            "theoretical speed-up": f"{time['theoretical_speedup']:.2f}",
            "speed-up by multiplications": f"{steps['time/direct']['multiplications'] / time['multiplications']:.2f}",
            "measured speed-up": spread(time["measured"]),
            "size (MB)": f"{time['size_mb']:.2f}",
            "peak memory (MB)": f"{peak:.0f}" if peak is not None else "–",
        }
        assert {key: row[key] for key in expected} == expected
        assert float(row["seconds"].split()[0]) == pytest.approx(time["measured"]["seconds"], abs=6e-4)


def test_layers_alone(tables, results):
    rows = by_first_column(with_column(tables, "K", "error"))
    steps = {name.removeprefix("alone/"): step for name, step in results["steps"].items() if name.startswith("alone/")}
    assert rows.keys() == steps.keys()
    for name, step in steps.items():
        expected = quality(step) | {"K": str(step["rank"]), "error": f"{step['error']:.3f}"}
        assert {key: rows[name][key] for key in expected} == expected


def test_memory_and_the_self_check(tables, results):
    steps, rows = results["steps"], by_first_column(with_column(tables, "24", "48"))
    for name, step in ((name, step) for name, step in steps.items() if name.startswith("memory/")):
        row = rows[BY_NAME[name.removeprefix("memory/")].label]
        for at in step["sides"]:
            peak = at["measured"]
            assert peak["least_mb"] <= peak["peak_mb"] <= peak["most_mb"]
            least, most = f"{peak['least_mb']:.0f}", f"{peak['most_mb']:.0f}"
            assert row[str(at["side"])] == f"{peak['peak_mb']:.0f} ({least}–{most})"
    rows = by_first_column(with_column(tables, "cores busy elsewhere"))
    assert rows.keys() == {BY_NAME[name.removeprefix("time/")].label for name in steps if name.startswith("time/")}
    for name in (name for name in steps if name.startswith("self-check/")):
        technique = name.removeprefix("self-check/")
        row = rows[BY_NAME[technique].label]
        assert row["first"] == spread(steps[f"time/{technique}"]["measured"])
        assert row["second"] == spread(steps[name]["measured"])


def test_the_sweep(tables, results):
    """A row for each step, in their order, also where a technique has several."""
    rows = with_column(tables, "speed-up asked for")
    steps = [step for name, step in results["steps"].items() if name.startswith("speed-up/")]
    for row, step in zip(rows, steps, strict=True):
        label = BY_NAME[step["technique"]].label
        expected = {"speed-up asked for": f"{step['speedup']:g}"}
        if "refused" in step:
            expected |= {"technique": f"{label}: {step['refused']}"}
        else:
            expected |= quality(step) | {
                "technique": label,
                "layers factorised": str(step["factorised"]),
                "theoretical speed-up": f"{step['theoretical_speedup']:.2f}",
                "measured, direct": spread(step["measured"]),
                "measured, Winograd": spread(step["measured"]["winograd"]),
            }
        assert {key: row[key] for key in expected} == expected
