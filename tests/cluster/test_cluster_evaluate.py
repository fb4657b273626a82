import importlib.util
import json
import shutil
import sys

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr import cli
from lowrank_sr.pictures.images import Image, write_image


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, height, width in (("a", 64, 67), ("b", 61, 80), ("c", 66, 60)):
        write_image(folder / f"{name}.png", Image(rng.random((height, width, 3), dtype=np.float32)))
    return folder


def evaluate(data, numbers, *options):
    """The rows of the command `evaluate` without their seconds."""
    assert cli.main(["evaluate", "--data", str(data), "--json", str(numbers), *options]) == 0
    rows = json.loads(numbers.read_text())
    assert all(row.pop("seconds") > 0 for row in rows)
    return rows


@pytest.fixture(scope="module")
def here(data, tmp_path_factory):
    return evaluate(data, tmp_path_factory.mktemp("here") / "here.json")


@pytest.mark.parametrize("options", [[], ["--shared-files"]])
def test_the_numbers_are_those_of_here(cluster, data, here, tmp_path, options, capsys):
    assert evaluate(data, tmp_path / "rows.json", "--cluster", cluster.address, *options) == here


def test_the_fidelity_is_that_of_here(cluster, data, tmp_path):
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(tmp_path / "net.npz")
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=1).save(tmp_path / "other.npz")
    options = [str(tmp_path / "net.npz"), "--reference", str(tmp_path / "other.npz"), "--method", "im2col"]
    here = evaluate(data, tmp_path / "here.json", *options)
    assert all(row["fidelity"] for row in here)
    assert evaluate(data, tmp_path / "rows.json", "--cluster", cluster.address, *options) == here


@pytest.mark.slow
def test_in_processes_of_this_machine(data, here, tmp_path, capsys):
    assert evaluate(data, tmp_path / "rows.json", "--workers", "2") == here
    dashboard = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("dashboard: http://127.0.0.1:")
    ]
    assert len(dashboard) == (importlib.util.find_spec("bokeh") is not None)


def test_a_message_names_the_client_s_file(cluster, data, tmp_path, capsys, monkeypatch):
    """As if the picture had been damaged after it was checked."""
    from lowrank_sr.pictures.pairs import Pair

    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    (folder / "b.png").write_bytes((data / "b.png").read_bytes()[:1000])
    monkeypatch.setattr(Pair, "read_images", lambda self, scale: None)
    assert cli.main(["evaluate", "--data", str(folder), "--cluster", cluster.address]) == 2
    assert f"lowrank-sr: {folder / 'b.png'}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shared-files"], "--shared-files needs --cluster"),
        (["--workers", "0"], "--workers 0: expected at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message, capsys):
    assert cli.main(["evaluate", *options]) == 2
    assert message in capsys.readouterr().err


def test_where_dask_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(["evaluate", "--workers", "2"]) == 2
    assert capsys.readouterr().err == "lowrank-sr: several processes need Dask: pip install 'lowrank-sr[cluster]'\n"
