"""One study of a tiny network from the command line, what it writes, and its tables cell by cell."""

import json
import shutil
import signal

import numpy as np
import pytest
from tiny_study import METHODS, arguments

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.lowrank import svd
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.study import record, run
from lowrank_sr.study.encoding import encode
from lowrank_sr.study.technique import BY_NAME
from lowrank_sr.training import muon

pytestmark = pytest.mark.slow


def without_measured(value):
    """`value` without what depends on the clock or the machine."""
    if isinstance(value, dict):
        return {key: without_measured(item) for key, item in value.items() if key != "measured"}
    return [without_measured(item) for item in value] if isinstance(value, list) else value


def read(folder):
    """What its results.json holds of the network."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["networks"]["tiny.npz"]


def test_the_report_is_there(report):
    names = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    drawn = ("figure2", "figure3", "figure4", "layers", "pareto", "thresholds", "memory")
    assert names >= {f"tiny/figures/{name}.{kind}" for name in drawn for kind in ("png", "svg")}
    assert names >= {f"figures/{name}.{kind}" for name in ("answer", "figure1") for kind in ("png", "svg")}
    assert names >= {"results.json", "report.md", "report.html", "tiny/networks/svd.npz", "tiny/networks/cp-fitted.npz"}
    assert not [name for name in names if "/." in name or name.startswith(".")]  # nothing half written


@pytest.mark.parametrize("name", ["direct", "winograd", "svd", "cp fitted", "svd fitted winograd"])
def test_quality_is_what_evaluate_measures(root, report, results, name):
    if name in METHODS[:3]:
        net = lsr.load(root / "tiny.npz", method=name)
    else:
        file = name.removesuffix(" winograd").replace(" ", "-")
        net = lsr.load(
            report / "tiny" / "networks" / f"{file}.npz", method="winograd" if "winograd" in name else "direct"
        )
    rows = [
        measure_quality(net(low.pixels), high, 4)
        for low, high in (pair.read_images(4) for pair in find_pairs(root / "pictures"))
    ]
    for key in ("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y"):
        assert results["steps"][f"quality/{name}"][key] == pytest.approx(np.mean([row[key] for row in rows]), abs=1e-9)


def test_flops_and_speedups_are_those_of_the_formulas(report, results):
    side = results["settings"]["side"]
    for name in ("svd", "svd-fitted", "cp", "cp-fitted"):
        net, count = lsr.load(report / "tiny" / "networks" / f"{name}.npz"), 0
        for layer_name, layer in net.layers.items():
            (n, c, d), rank = layer.shape, layer.rank
            if isinstance(layer, lsr.Dense):
                cost = d * d * n * c
            else:
                cost = d * rank * (c + n) if isinstance(layer, lsr.Separable) else rank * (c + 2 * d + n)
            enlarged = {"upconv1": 2, "upconv2": 4, "HRconv": 4, "conv_last": 4}.get(layer_name, 1)
            count += 2 * cost * (side * enlarged) ** 2
        row = results["steps"]["time/" + name.replace("-", " ")]
        assert row["gflop"] == pytest.approx(count / 1e9)
        assert row["theoretical_speedup"] >= 2
        assert row["parameters"] == sum(
            array.size for layer in net.layers.values() for array in layer.arrays().values()
        )
    dense = results["steps"]["time/direct"]["gflop"]
    for row in (step for step_name, step in results["steps"].items() if step_name.startswith("time/")):
        assert row["measured"]["gflops"] == pytest.approx(dense / row["measured"]["seconds"])
        assert row["theoretical_speedup"] == pytest.approx(dense / row["gflop"])


def test_condition_numbers_are_numpys(root, results):
    net, found = lsr.load(root / "tiny.npz"), results["steps"]["condition numbers"]
    assert [row["name"] for row in found["layers"]] == list(net.layers)
    for row in found["layers"]:
        matrix = svd.matricise(net.layers[row["name"]].weight.astype(np.float64))
        assert row["condition"] == pytest.approx(np.linalg.cond(matrix), rel=1e-6)
        energy = np.cumsum(np.linalg.svd(matrix, compute_uv=False) ** 2)
        assert row["rank_90"] == np.argmax(energy >= 0.9 * energy[-1]) + 1
        ends = ("conv_first", "conv_last")
        assert row["marked"] == (row["condition"] > found["threshold"] and row["name"] not in ends)
    assert found["marked"] == [row["name"] for row in found["layers"] if row["marked"]]


def test_layers_at_the_posters_rank(results):
    layer = results["steps"]["layer/RRDB_trunk.0.RDB1.conv5"]
    (row,) = [row for row in layer["rows"] if row.get("poster_bound")]
    n, c, d = layer["shape"]
    assert (n, c, d) == (8, 24, 3)
    assert row["rank"] == n * c // (n + c)
    assert row["theoretical_speedup"] == pytest.approx(d * d * n * c / (row["rank"] * (n + c + 2 * d)))
    assert row["gflop"] == pytest.approx(2 * row["rank"] * (n + c + 2 * d) * layer["side"] ** 2 / 1e9)


def test_results_hold_every_step(results):
    steps = results["steps"]
    assembled = record.assemble(steps)
    assert encode(assembled.crop) == steps["crop"]
    assert encode(assembled.sgemm) == steps["sgemm"]
    assert encode(assembled.condition_numbers) == steps["condition numbers"]
    groups = {
        "quality": {technique.name: value for technique, value in assembled.quality.items()},
        "time": {technique.name: value for technique, value in assembled.times.items()},
        "self-check": {technique.name: value for technique, value in assembled.repeats.items()},
        "memory": {technique.name: value for technique, value in assembled.memory.items()},
        "layer": assembled.layers,
        "speed-up": {f"{point.technique.name}/{point.speedup:g}": point for point in assembled.speedups},
        "ablation": {"/".join((row.form, row.ranks, row.layers, row.factors)): row for row in assembled.ablation},
        "alone": {row.layer: row for row in assembled.alone},
        "limit": {f"{point.dropped:g}": point for point in assembled.limits},
        "truncation": {f"{point.condition:g}": point for point in assembled.truncations},
    }
    groups["quality"]["bicubic"] = assembled.bicubic
    for prefix, group in groups.items():
        expected = {name: step for name, step in steps.items() if name.startswith(f"{prefix}/")}
        assert {f"{prefix}/{name}": encode(value) for name, value in group.items()} == expected


def test_outputs_name_no_path_of_this_machine(root, report):
    for name in ("results.json", "report.md", "report.html", "tiny/figures/figure2.svg"):
        assert str(root) not in (report / name).read_text(encoding="utf-8")


def test_a_second_run_recomputes_nothing(root, report, results, monkeypatch, draw_only):
    def refuse(study):
        return {
            name: step._replace(measure=lambda name=name: pytest.fail(f"{name} was computed again"))
            for name, step in real(study).items()
        }

    real = run.steps
    monkeypatch.setattr("lowrank_sr.study.run.steps", refuse)
    draw_only("layers")
    drawing = (report / "tiny" / "figures" / "layers.svg").read_bytes()
    assert main(arguments(root, report)) == 0
    assert read(report) == results
    assert (report / "tiny" / "figures" / "layers.svg").read_bytes() == drawing


def test_an_interrupted_study_goes_on_and_agrees_but_for_times(
    root, report, results, tmp_path, monkeypatch, draw_only, capsys
):
    computed = []

    def stopping(study):
        def run(name, step):
            computed.append(name)
            if computed.count("limit/0.9") == 1 and name == "limit/0.9":
                raise KeyboardInterrupt
            return step.measure()

        return {
            name: step._replace(measure=lambda name=name, step=step: run(name, step))
            for name, step in real(study).items()
        }

    real = run.steps
    monkeypatch.setattr("lowrank_sr.study.run.steps", stopping)
    fewer = arguments(root, tmp_path, "--methods", "svd")  # the half of the steps that takes less time
    assert main(fewer) == 130
    kept = read(tmp_path)["steps"]
    assert "truncation/4" in kept
    assert "limit/0.9" not in kept
    assert f"steps are in {tmp_path / 'results.json'}: the same command goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
    for figures in ("figures", "tiny/figures"):
        shutil.copytree(report / figures, tmp_path / figures, ignore=shutil.ignore_patterns("figure2*"))
    draw_only("figure2")
    assert main(fewer) == 0
    assert computed.count("speed-up/svd fitted/2") == 1
    again = read(tmp_path)["steps"]
    common = again.keys() - {"crop"} - {name for name in again if name.startswith("layer/")}
    assert {"speed-up/svd fitted/2", "threshold/1", "quality/direct"} <= common
    for name in common:
        assert without_measured(again[name]) == without_measured(results["steps"][name])
    drawings = [(folder / "tiny" / "figures" / "figure2.svg").read_bytes() for folder in (tmp_path, report)]
    assert drawings[0] == drawings[1]
    first, second = (lsr.load(folder / "tiny" / "networks" / "svd-fitted.npz") for folder in (report, tmp_path))
    assert first.meta == second.meta
    for name, layer in first.layers.items():
        for key, array in layer.arrays().items():
            np.testing.assert_array_equal(array, second.layers[name].arrays()[key])


def measured_again(monkeypatch):
    """A list that the names of the steps that are measured from now on are added to."""
    names = []
    real = run.steps

    def noting(study):
        return {
            name: step._replace(measure=lambda name=name, step=step: names.append(name) or step.measure())
            for name, step in real(study).items()
        }

    monkeypatch.setattr("lowrank_sr.study.run.steps", noting)
    return names


@pytest.fixture
def copied(root, report, tmp_path, draw_only):
    """A copy of the study's folder, and the command that goes on with it; the figures stay those of the copy."""
    shutil.copytree(report, tmp_path / "report")
    draw_only()
    return tmp_path / "report", arguments(root, tmp_path / "report")


def test_one_more_method_measures_one_more(root, copied, monkeypatch):
    folder, command = copied
    names = measured_again(monkeypatch)
    before = read(folder)["steps"]
    assert main([*command, "kn2row"]) == 0
    assert [name for name in names if not name.startswith("layer/")] == [
        "quality/kn2row", "time/kn2row", "memory/kn2row", "self-check/kn2row",
    ]  # fmt: skip
    after = read(folder)["steps"]
    assert {name: after[name] for name in before if not name.startswith("layer/")} == {
        name: step for name, step in before.items() if not name.startswith("layer/")
    }
    names.clear()
    assert main([*command[: command.index("--methods")], "--methods", "direct"]) == 0  # fewer: nothing is lost
    assert set(read(folder)["steps"]) == set(after)


@pytest.mark.parametrize("damage", ["delete", "edit"])
def test_a_damaged_detail_is_made_again(copied, monkeypatch, capsys, damage):
    folder, command = copied
    path = folder / "tiny" / "crops" / "svd.png"
    before = path.read_bytes()
    path.unlink() if damage == "delete" else path.write_bytes(before[:-1])
    names = measured_again(monkeypatch)
    assert main(command) == 0
    assert names == ["crop"]
    assert path.read_bytes() == before
    assert f"{path}: is missing or has been changed: the details are made again" in capsys.readouterr().err


def test_an_edited_step_is_measured_again(copied, monkeypatch, capsys):
    folder, command = copied
    path = folder / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["networks"]["tiny.npz"]["steps"]["quality/bicubic"] = {"psnr_rgb": "much"}
    path.write_text(json.dumps(content), encoding="utf-8")
    names = measured_again(monkeypatch)
    assert main(command) == 0
    assert names == ["quality/bicubic"]
    assert "the step 'quality/bicubic' of tiny.npz has been changed" in capsys.readouterr().err


def test_another_study_is_refused_or_kept_aside(copied, only_sentence, monkeypatch):
    folder, command = copied
    before = (folder / "results.json").read_bytes()
    assert main([*command, "--seed", "1"]) == 2
    assert "holds another study: seed 0, here 1: expected another folder, or --fresh" in only_sentence()
    assert (folder / "results.json").read_bytes() == before
    monkeypatch.setattr("lowrank_sr.study.run.steps", lambda _: {"network": run.Measurement(stop)})
    assert main([*command, "--seed", "1", "--fresh"]) == 130
    assert (folder / "results-1.json").read_bytes() == before


def stop(*_):
    raise KeyboardInterrupt


@pytest.fixture
def unhandled():
    """SIGTERM as it is where nothing handles or ignores it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_terminated_study_says_so(root, tmp_path, monkeypatch, capsys, unhandled):
    terminated = run.Measurement(lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr("lowrank_sr.study.run.steps", lambda _: {"network": terminated})
    assert main(arguments(root, tmp_path)) == 128 + signal.SIGTERM
    assert f"0 of 1 steps are in {tmp_path / 'results.json'}" in capsys.readouterr().err


@pytest.mark.usefixtures("one_short_step")
def test_photographs_join_a_study_and_leave_it(root, report, tmp_path, photos, monkeypatch, draw_only, capsys):
    shutil.copytree(report, tmp_path / "report")
    draw_only("tuned")
    plain = arguments(root, tmp_path / "report")
    command = [*plain, "--photos", str(photos)]
    text = tmp_path / "report" / "report.md"
    first, first_text = read(tmp_path / "report"), text.read_text(encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(muon, "step", stop)
        assert main(command) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert main(command) == 0
    second = read(tmp_path / "report")
    added = [name for name in second["steps"] if name not in first["steps"]]
    each = ("fine-tuning", "quality", "time", "memory")
    assert added == [*(f"{step}/{name} tuned" for name in ("direct", "svd", "cp") for step in each), "stages"]
    names = ["direct", "direct tuned", "svd", "svd fitted", "svd tuned", "cp", "cp fitted", "cp tuned"]
    assert list(second["steps"]["stages"]["techniques"]) == names
    assert {name: second["steps"][name] for name in first["steps"]} == first["steps"]
    assert second["claims"] == first["claims"]
    written = text.read_text(encoding="utf-8")
    assert "### Fine-tuning" in written
    for label in ("SVD, fine-tuned", "CP, fine-tuned", "dense, fine-tuned"):
        assert f"| {label} |" in written
    for ending in (".png", ".svg", "-narrow.svg"):
        assert (tmp_path / "report" / "tiny" / "figures" / f"tuned{ending}").exists()
    networks = tmp_path / "report" / "tiny" / "networks"
    records = {name: lsr.load(networks / f"{name}-tuned.npz").meta["finetuning"] for name in ("direct", "svd", "cp")}
    steps = second["steps"]["fine-tuning/cp tuned"]["measured"]["steps"]
    assert steps == records["cp"]["steps"] <= 1  # 0: taken back
    assert (records["svd"]["target"], records["direct"]["target"]) == ("teacher", "photographs")
    assert main(plain) == 0
    assert text.read_text(encoding="utf-8") == first_text
    third = read(tmp_path / "report")
    assert third["steps"] == second["steps"]  # kept for the next time
    assert third["settings"] == first["settings"]


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
