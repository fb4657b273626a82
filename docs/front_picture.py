"""The README's picture, docs/front.png: a part of a photograph as it is, by bicubic interpolation, and by the network.

python docs/front_picture.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import DEFAULT_NETWORK, IMAGES

TOP, LEFT, HEIGHT, WIDTH = 74, 96, 96, 120  # of chelsea.png
PIXELS_PER_INCH = 100

photo = read_image(IMAGES / "chelsea.png").pixels
low = photo[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]  # (96, 120, 3)
large = lsr.enlarge(lsr.load(), photo)[4 * TOP : 4 * (TOP + HEIGHT), 4 * LEFT : 4 * (LEFT + WIDTH)]
panels = {
    f"{WIDTH} x {HEIGHT} pixels of a photograph": low.repeat(4, axis=0).repeat(4, axis=1),
    "bicubic, 4 times": lsr.imresize(low, 4),
    f"lowrank-sr upscale ({DEFAULT_NETWORK})": large,
}
width, height = 4 * WIDTH / PIXELS_PER_INCH, 4 * HEIGHT / PIXELS_PER_INCH
figure, axes = plt.subplots(1, 3, figsize=(3 * width + 0.3, height + 0.4), dpi=PIXELS_PER_INCH)
for ax, (title, picture) in zip(axes, panels.items(), strict=True):
    ax.imshow(np.clip(picture, 0, 1), interpolation="nearest")
    ax.set_title(title, fontsize=13)
    ax.set_axis_off()
figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=1 - 0.4 / (height + 0.4), wspace=0.02)
figure.savefig(Path(__file__).parent / "front.png")
