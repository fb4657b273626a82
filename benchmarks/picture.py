"""Draw the README's picture: a detail at low resolution, by bicubic, by the bundled network, and as it was.

python benchmarks/picture.py [-o docs/picture.png]          needs the extra `plot`
"""

import argparse

import matplotlib.pyplot as plt

import lowrank_sr as lsr
from lowrank_sr.evaluate import measure, pairs
from lowrank_sr.images import Image
from lowrank_sr.resources import IMAGES

NAME, TOP, LEFT, SIDE = "chelsea", 76, 108, 128  # the detail, in pixels of the original


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="docs/picture.png")
    output = parser.parse_args().output

    net = lsr.load()
    low, high = next(pair for pair in pairs(IMAGES) if pair.name == NAME).read(net.scale)
    estimates = {"bicubic": lsr.imresize(low.pixels, net.scale), "lowrank-sr": net(low.pixels)}
    panels = [(f"low resolution\n{SIDE // net.scale} x {SIDE // net.scale} pixels", low.pixels, net.scale)]
    for name, pixels in estimates.items():
        result = measure(Image(pixels), high, net.scale)
        panels.append((f"{name} x{net.scale}\n{result['psnr_y']:.2f} dB, SSIM {result['ssim_y']:.3f}", pixels, 1))
    panels.append((f"ground truth\n{SIDE} x {SIDE} pixels", high.pixels, 1))

    figure, axes = plt.subplots(1, len(panels), figsize=(12, 3.6), layout="constrained")
    for axis, (title, pixels, shrunk) in zip(axes, panels, strict=True):
        rows = slice(TOP // shrunk, (TOP + SIDE) // shrunk)
        columns = slice(LEFT // shrunk, (LEFT + SIDE) // shrunk)
        axis.imshow(pixels[rows, columns].clip(0, 1), interpolation="nearest")
        axis.set_title(title, fontsize=13)
        axis.set_axis_off()
    figure.savefig(output, dpi=100)


if __name__ == "__main__":
    main()
