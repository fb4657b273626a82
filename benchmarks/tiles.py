"""How far the network looks: what a picture loses beyond which distance from a cut.

    python benchmarks/tiles.py

A picture is enlarged whole and from column CUT on. Of the difference, the largest beyond each distance from the cut is
printed, in steps of 8 bits (255 over the range that the network gives): the bound for an overlap of that many pixels.
"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.resources import IMAGES
from lowrank_sr.text import table

CUT = 24  # a multiple of 4: Winograd's tiles lie as in the whole
DISTANCES = (0, 4, 8, 12, 16, 24, 32, 48, 64)
HEIGHT, WIDTH = 64, 160


def main() -> None:
    """Print the table."""
    pictures = [read_image(path).pixels[20 : 20 + HEIGHT, 20 : 20 + WIDTH] for path in images_in(IMAGES)[:3]]
    networks = {"psnr-small": lsr.load("psnr-small", method="winograd")}
    for blocks in (3, 8, 23):
        for seed in (0, 1):
            name = f"random, {blocks} blocks, seed {seed}"
            networks[name] = lsr.RRDBNet.random(num_block=blocks, seed=seed, method="winograd")
    rows = []
    for name, net in networks.items():
        moved = np.max([_moved(net, picture) for picture in pictures], axis=0)
        rows.append([name, *(f"{moved[distance:].max():.2g}" for distance in DISTANCES)])
    print(table(["pixels from the cut", *map(str, DISTANCES)], rows))


def _moved(net: lsr.RRDBNet, picture: np.ndarray) -> np.ndarray:
    """The largest difference in each column of pixels from the cut on, in steps of 8 bits."""
    whole = net(picture)
    difference = np.abs(net(picture[:, CUT:]) - whole[:, net.scale * CUT :])
    low, high = np.percentile(whole, [0.1, 99.9])
    columns = difference.reshape(difference.shape[0], -1, net.scale, 3).max(axis=(0, 2, 3))
    return columns / (high - low) * 255


if __name__ == "__main__":
    main()
