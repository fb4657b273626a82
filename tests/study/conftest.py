import json

import numpy as np
import pytest
from example_results import METHODS as METHODS_OF_EXAMPLE
from example_results import example
from tiny_study import arguments, tiny_network

from lowrank_sr.cli import main
from lowrank_sr.machine import cpu
from lowrank_sr.pictures.images import Image, read_image, write_image
from lowrank_sr.study.report import figures, page
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.report.page import Report
from lowrank_sr.study.settings import Settings


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
    """The content of its results.json."""
    return json.loads((report / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A folder with the report on the example's results, and what it was written from; its details are plain greys."""
    folder = tmp_path_factory.mktemp("written")
    settings = Settings("tiny.npz", "pictures", True, True, METHODS_OF_EXAMPLE, 0, ("eye", "nose"))
    report = Report(settings, cpu.describe(), example(), judge(example()))
    (folder / "crops").mkdir()
    for i, panel in enumerate((*report.results.crop.panels, *report.results.crop.tail)):
        write_image(folder / panel.file, Image(np.full((32, 32, 3), (i + 1) / 8, np.float32)))
    figures.write(report.results, folder)
    page.write(report, folder)
    return folder, report


@pytest.fixture
def draw_only(monkeypatch):
    """A function after which a study draws these figures alone, its page showing the others as they are in its folder.

    All of them take many times as long as what most tests of a study are about; `report` has them drawn.
    """
    write, figures_of = figures.write, figures.figures_of

    def limit(*names):
        def write_some(results, folder):
            with monkeypatch.context() as patch:
                some = {name: draw for name, draw in figures_of(results, folder).items() if name in names}
                patch.setattr(figures, "figures_of", lambda *_: some)
                write(results, folder)

        monkeypatch.setattr(figures, "write", write_some)

    return limit


@pytest.fixture
def only_sentence(capsys):
    """A function that returns the one line that a command has written to stderr."""

    def line():
        (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
        return line

    return line
