import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from example_results import example, report_on
from tiny_study import arguments, tiny_network

from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, read_image, write_image
from lowrank_sr.study import extent
from lowrank_sr.study.report import figures, page
from lowrank_sr.training import finetune


@pytest.fixture(scope="session", autouse=True)
def every_kind_of_step():
    """A quick study leaves out what takes long of a real network; of the tiny one nothing does."""
    steps = {"left_out": (), "marked": (0.1, 1), "condition": (4, 16), "dropped": (0.5, 0.9), "again": True}
    quick, extent.QUICK = extent.QUICK, replace(extent.QUICK, memory_sides=(24, 48), **steps)
    yield
    extent.QUICK = quick


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A folder with the tiny network, another one, and two small pictures."""
    root = tmp_path_factory.mktemp("study")
    tiny_network().save(root / "tiny.npz")
    tiny_network(seed=1).save(root / "other.npz")
    (root / "pictures").mkdir()
    pixels = read_image("data/images/chelsea.png").pixels
    write_image(root / "pictures" / "eye.png", Image(np.ascontiguousarray(pixels[100:148, 100:156])))
    write_image(root / "pictures" / "nose.png", Image(np.ascontiguousarray(pixels[160:208, 160:208])))
    return root


@pytest.fixture(scope="session")
def report(root):
    """The folder of a quick study of the tiny network."""
    assert main(arguments(root, root / "report")) == 0
    return root / "report"


@pytest.fixture(scope="session")
def results(report):
    """What its results.json holds of the network."""
    return json.loads((report / "results.json").read_text(encoding="utf-8"))["networks"]["tiny.npz"]


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A folder with the report on the example's results, of two networks, and what it was written from.

    Its details are plain greys.
    """
    folder = tmp_path_factory.mktemp("written")
    report = report_on(example(), "tiny.npz", "control.npz")
    tiny, results = folder / "tiny", report.chapters[0].results
    (tiny / "crops").mkdir(parents=True)
    for i, panel in enumerate((*results.crop.panels, *results.crop.tail)):
        write_image(tiny / panel.file, Image(np.full((32, 32, 3), (i + 1) / 8, np.float32)))
    figures.write(figures.figures_of(results, tiny), tiny)
    shutil.copytree(tiny, folder / "control")  # of which the report says the same
    figures.write(figures.of_all({chapter.settings.weights: chapter.results for chapter in report.chapters}), folder)
    page.write(report, folder)
    return folder, report


@pytest.fixture
def one_short_step(monkeypatch):
    """A training of so few minutes is over after its first step, however fast that is."""
    monkeypatch.setattr(extent, "QUICK", replace(extent.QUICK, minutes=1e-9))
    monkeypatch.setattr(finetune, "CROPS", 2)
    monkeypatch.setattr(finetune, "SIDE", 8)


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs, and one that is too small."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = read_image("data/images/chelsea.png").pixels
    for name, side in (("a", 40), ("b", 48), ("small", 20)):
        write_image(folder / f"{name}.png", Image(np.ascontiguousarray(pixels[20 : 20 + side, 30 : 30 + side])))
    return folder


@pytest.fixture
def draw_only(monkeypatch):
    """A function after which a study draws these figures alone, its page showing the others as they are in its folder.

    All of them take many times as long as what most tests of a study are about; `report` has them drawn.
    """
    write = figures.write

    def limit(*names):
        def write_some(draw, folder):
            write({name: drawn for name, drawn in draw.items() if name in names}, folder)

        monkeypatch.setattr(figures, "write", write_some)

    return limit


@pytest.fixture
def only_sentence(capsys):
    """A function that returns the one line that a command has written to stderr."""

    def line():
        (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
        return line

    return line
