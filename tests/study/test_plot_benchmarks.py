"""`benchmarks/plot.py`, the program that draws what pytest-benchmark has measured."""

import builtins
import csv
import importlib.util
import json
from pathlib import Path

import pytest

from lowrank_sr import cli
from lowrank_sr.pictures.images import read_image

SPEC = importlib.util.spec_from_file_location("plot", Path(__file__).parents[2] / "benchmarks" / "plot.py")
plot = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(plot)


STUDY = cli.main, ["study", "--workers", "2", "-o"]


@pytest.mark.parametrize(
    ("missing", "program", "command"),
    [("matplotlib", *STUDY), ("jinja2", *STUDY), ("matplotlib", plot.main, [])],
)
def test_without_the_extra(tmp_path, monkeypatch, only_sentence, missing, program, command):
    """Said before any worker is started."""
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] in (missing, "distributed"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert program([*command, str(tmp_path / "new")]) == 2
    assert only_sentence().endswith(f"need {missing}: pip install 'lowrank-sr[plot]'")
    assert not (tmp_path / "new").exists()


def benchmark_file(path, machine="Some CPU"):
    rows = [
        {"stats": {"median": seconds}, "extra_info": {"flops": flops, "gflops": 0, "method": method, "threads": 2}}
        for method, seconds, flops in [("direct", 0.02, 4e9), ("winograd", 0.01, 4e9), ("PyTorch", 0.03, 5e9)]
    ]
    layer = {"flops": 4e9, "method": "winograd", "threads": 2, "multiplications": 5e8, "bytes": 4e7}
    layer |= {"shape": [64, 64, 3, 96, 96], "rank": None}
    for sweep, x in (("", None), ("threads", 1), ("threads", 2), ("size", 96), ("channels", 64)):
        more = {"sweep": sweep, "x": x, "weights": "cold"} if sweep == "channels" else {"sweep": sweep, "x": x}
        rows.append({"stats": {"median": 0.01, "q1": 0.009, "q3": 0.02}, "extra_info": layer | more, "group": "layer"})
    limits = {"bandwidth": {"flops": 1e8, "bytes": 8e8}, "sgemm": {"flops": 7e9}}
    for method, info in limits.items():
        rows.append({"stats": {"median": 0.05}, "extra_info": {"method": method, "threads": 2} | info})
    others = [{"stats": {"median": 1.0}, "extra_info": {}}]
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": machine}}, "benchmarks": rows + others}))
    return path


def test_limits_are_read_and_the_rest_are_rows(tmp_path):
    machine = plot.read(benchmark_file(tmp_path / "b.json"))
    assert machine.name == "b: Some CPU"
    assert machine.bandwidth == pytest.approx(16)  # 0.8 GB in 50 ms
    assert machine.sgemm == pytest.approx(140)
    assert {row.method for row in machine.rows} == {"direct", "winograd", "PyTorch"}
    (layer,) = [row for row in machine.rows if row.is_layer and not row.sweep]
    assert layer.operations == 1e9
    assert (layer.seconds_low, layer.seconds_high) == (0.009, 0.02)
    assert machine.rows[0].multiplications == machine.rows[0].flops / 2  # where the file does not say


@pytest.mark.slow
def test_two_machines_in_one_figure_and_one_table(tmp_path):
    sources = [benchmark_file(tmp_path / f"{name}.json", name) for name in ("here", "there")]
    table = tmp_path / "rows.csv"
    one, both = tmp_path / "one.png", tmp_path / "both.png"
    assert plot.main([str(sources[0]), "-o", str(one)]) == 0
    assert plot.main([*map(str, sources), "-o", str(both), "--csv", str(table)]) == 0
    assert read_image(both).pixels.shape[1] == pytest.approx(2 * read_image(one).pixels.shape[1], abs=2)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["machine"] for row in rows} == {"here: here", "there: there"}
    assert len(rows) == 2 * 8
    assert rows[0]["seconds"] == "0.02"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [None, ".svg", ".pdf"])
def test_plot_benchmarks(tmp_path, capsys, suffix):
    source = benchmark_file(tmp_path / "b.json")
    target = tmp_path / f"drawing{suffix}" if suffix else tmp_path / "b.png"
    assert plot.main([str(source), *(["-o", str(target)] if suffix else [])]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    first = target.read_bytes()
    assert plot.main([str(source), "-o", str(target)]) == 0
    assert target.read_bytes() == first
    if suffix is None:
        assert read_image(target).pixels.std() > 0.01


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not the JSON that pytest-benchmark writes"),
        ("[]", "is not the JSON that pytest-benchmark writes"),
        ('{"benchmarks": []}', "has no benchmark with FLOPs"),
        (None, "cannot be read"),
    ],
)
def test_plot_benchmarks_refuses(tmp_path, only_sentence, text, sentence):
    source = tmp_path / "b.json"
    if text is not None:
        source.write_text(text)
    assert plot.main([str(source)]) == 2
    assert sentence in only_sentence()


def test_plot_benchmarks_refuses_a_suffix(tmp_path, only_sentence):
    assert plot.main([str(benchmark_file(tmp_path / "b.json")), "-o", str(tmp_path / "b.xyz")]) == 2
    assert "expected a name that ends in .png, .svg or .pdf" in only_sentence()
