"""Tiles that nobody sees, whatever the network: the bundled ones, on a bundled picture that none was measured on."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES, NETWORKS

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from tiles import in_tiles


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_of_a_bundled_network(name):
    net = lsr.load(name, method="winograd")
    image = np.rint(255 * read_image(IMAGES / "chelsea.png").pixels[6:294, 60:390]).astype(np.uint8)
    for tiled in in_tiles(net, image):
        print(f"{name}: {tiled}")
        assert tiled.tiles > 1
        assert tiled.most <= 3
        assert tiled.many <= 0.001
