"""How near enlarged transparency comes to the true one, by the network and by bicubic interpolation.

    python benchmarks/alpha.py [NETWORK ...]

Masks of 256 x 256 pixels, drawn without stairs, are reduced to 64 x 64, as pictures are, and enlarged again: PSNR in dB
to what was drawn.
"""

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import lowrank_sr as lsr
from lowrank_sr.network.transparency import BICUBIC, NETWORK
from lowrank_sr.pictures.metrics import psnr
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import NETWORKS
from lowrank_sr.text import table

SIDE, FINER, SCALE = 256, 4, 4  # of a mask; how much finer it is drawn; by what it is enlarged
MIDDLE = SIDE * FINER // 2


def letters(draw):
    draw.multiline_text((20, 20), "Rag\n&8g%", fill=255, font=ImageFont.load_default(size=420))


def star(draw):
    corners = [(480 if i % 2 == 0 else 190, i * np.pi / 5) for i in range(10)]
    draw.polygon([(MIDDLE + r * np.sin(angle), MIDDLE - r * np.cos(angle)) for r, angle in corners], fill=255)


def rings(draw):
    for radius, alpha in ((480, 255), (400, 0), (320, 160), (200, 0), (120, 255)):
        draw.ellipse([MIDDLE - radius, MIDDLE - radius, MIDDLE + radius, MIDDLE + radius], fill=alpha)


def hair(draw):
    rng = np.random.default_rng(0)
    for _ in range(60):
        (x, y), angle = rng.uniform(0, 2 * MIDDLE, 2), rng.uniform(0, 2 * np.pi)
        end = x + 600 * np.cos(angle), y + 600 * np.sin(angle)
        draw.line((x, y, *end), fill=int(rng.integers(120, 256)), width=int(rng.integers(4, 14)))


def mask(drawn):
    """(SIDE, SIDE) of 0..1."""
    image = Image.new("L", (SIDE * FINER, SIDE * FINER))
    drawn(ImageDraw.Draw(image))
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) / 255


def glow():
    """A disc that fades out."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.clip(1.2 - np.hypot(rows, columns) / 100, 0, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="of scale 4 (default: those bundled)")
    options = parser.parse_args()
    masks = {drawn.__name__: mask(drawn) for drawn in (letters, star, rings, hair)} | {"glow": glow()}
    ways = {"bicubic": (options.networks[0], BICUBIC)} | {name: (name, NETWORK) for name in options.networks}
    rows = []
    for way, (name, alpha) in ways.items():
        net, cells = lsr.load(name), []
        for true in masks.values():
            low = np.rint(255 * imresize(true, 1 / SCALE).clip(0, 1)).astype(np.uint8)
            picture = np.dstack([np.full((*low.shape, 3), 255, np.uint8), low])
            larger = lsr.enlarge(net, picture, alpha=alpha)[:, :, 3] / 255
            cells.append(f"{psnr(larger, true, channels='y'):.1f}")
        rows.append([way, *cells])
    print(table(["alpha by", *masks], rows))


if __name__ == "__main__":
    main()
