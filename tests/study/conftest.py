import json

import numpy as np
import pytest
from tiny_study import arguments, tiny_network

from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, read_image, write_image


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


@pytest.fixture
def only_sentence(capsys):
    """A function that returns the one line that a command has written to stderr."""

    def line():
        (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
        return line

    return line
