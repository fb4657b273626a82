"""How far networks look, and what of it is seen where a picture is cut into tiles.

    python benchmarks/tiles.py                  how far each bundled network looks
    python benchmarks/tiles.py --write          the same, into data/weights/overlaps.json, for networks that are new
    python benchmarks/tiles.py --pictures       every bundled picture in tiles, in three amounts of memory

The first table has, for each network, the largest change beyond each distance from a cut through the calibration
pictures, in steps of 8 bits, and the overlap that follows. The second compares pictures in tiles with the whole, as
they are stored: the largest difference, and how many of the pixels differ by more than 1 step.
"""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.network.footprint import alignment
from lowrank_sr.network.overlap import digest, largest_changes, overlap_from, overlap_of
from lowrank_sr.network.plan import needed_bytes, plan_picture
from lowrank_sr.network.tiles import TilePlan, least_plan
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.resources import IMAGES, NETWORKS, OVERLAPS
from lowrank_sr.text import table

DISTANCES = (0, 6, 12, 24, 36, 48, 60, 66, 78, 84, 90)


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    options = parser.parse_args()
    networks = {name: lsr.load(name, method="winograd") for name in options.networks}
    if options.pictures:
        print_pictures(networks)
    else:
        print_reach(networks, options.write)


def print_reach(networks: dict[str, lsr.RRDBNet], write: bool) -> None:
    """The first table; with `write` into the file that comes with the package."""
    rows, overlaps = [], {}
    for name, net in networks.items():
        changes = largest_changes(net)
        overlaps[digest(net)] = overlap_from(changes, net)
        rows.append([name, *(f"{changes[d:].max():.2f}" for d in DISTANCES), str(overlaps[digest(net)])])
    print(table(["pixels from the cut", *map(str, DISTANCES), "overlap"], rows))
    if write:
        known = json.loads(OVERLAPS.read_text(encoding="utf-8"))
        OVERLAPS.write_text(json.dumps(known | overlaps, indent=2) + "\n", encoding="utf-8")


def print_pictures(networks: dict[str, lsr.RRDBNet]) -> None:
    """The second table, a row as soon as it is there."""
    for name, net in networks.items():
        for path in images_in(IMAGES):
            image = np.rint(255 * read_image(path).pixels).astype(np.uint8)
            for tiled in in_tiles(net, image):
                print(f"{name}  {path.stem:10}  {tiled}", flush=True)


class Tiled(NamedTuple):
    """A picture in tiles beside the whole: differences are in steps of 8 bits, `many` pixels differ by more than 1."""

    memory: int  # bytes
    tiles: int
    computed: float  # pixels, of those of the picture
    most: int
    many: float  # of all pixels

    def __str__(self) -> str:
        return (
            f"{self.memory / 1e6:4.0f} MB  {self.tiles:2} tiles  {self.computed:.2f} times the pixels  "
            f"differs by {self.most} at most, by more than 1 in {self.many:.1e} of the pixels"
        )


def in_tiles(net: lsr.RRDBNet, image: np.ndarray) -> Iterator[Tiled]:
    """A picture, (H, W, 3) uint8, in the least memory, and a quarter and half of the way to what the whole needs."""
    height, width = image.shape[:2]
    needs = partial(needed_bytes, 3, image.dtype, 0)
    whole = lsr.enlarge(net, image, memory=10**11).astype(int)
    least = needs(net, least_plan(height, width, overlap_of(net), alignment(net.architecture)))
    most = needs(net, TilePlan(height, width, height, width, 0))
    for part in (0, 0.25, 0.5):
        memory = int(least + part * (most - least))
        plan = plan_picture(net, height, width, needs, memory)
        steps = np.abs(lsr.enlarge(net, image, memory=memory) - whole).max(axis=2)  # (4 H, 4 W)
        yield Tiled(
            memory, plan.count, plan.computed_pixels / (height * width), int(steps.max()), float((steps > 1).mean())
        )


if __name__ == "__main__":
    main()
