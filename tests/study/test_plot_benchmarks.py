import builtins
import json

import pytest

from lowrank_sr.cli import main
from lowrank_sr.pictures.images import read_image


@pytest.mark.parametrize("command", [["study", "-o"], ["plot-benchmarks"]])
def test_without_matplotlib(tmp_path, monkeypatch, only_sentence, command):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main([*command, str(tmp_path / "new")]) == 2
    assert "pip install" in only_sentence()
    assert not (tmp_path / "new").exists()


def benchmark_file(path):
    rows = [
        {"stats": {"median": seconds}, "extra_info": {"flops": flops, "gflops": 0, "method": method, "threads": 2}}
        for method, seconds, flops in [("direct", 0.02, 4e9), ("winograd", 0.01, 4e9), ("PyTorch", 0.03, 5e9)]
    ]
    path.write_text(json.dumps({"benchmarks": [*rows, {"stats": {"median": 1.0}, "extra_info": {}}]}))
    return path


@pytest.mark.parametrize("suffix", [None, ".svg", ".pdf"])
def test_plot_benchmarks(tmp_path, capsys, suffix):
    source = benchmark_file(tmp_path / "b.json")
    target = tmp_path / f"drawing{suffix}" if suffix else tmp_path / "b.png"
    assert main(["plot-benchmarks", str(source), *(["-o", str(target)] if suffix else [])]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    first = target.read_bytes()
    assert main(["plot-benchmarks", str(source), "-o", str(target)]) == 0
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
    assert main(["plot-benchmarks", str(source)]) == 2
    assert sentence in only_sentence()


def test_plot_benchmarks_refuses_a_suffix(tmp_path, only_sentence):
    assert main(["plot-benchmarks", str(benchmark_file(tmp_path / "b.json")), "-o", str(tmp_path / "b.xyz")]) == 2
    assert "expected a name that ends in .png, .svg or .pdf" in only_sentence()
