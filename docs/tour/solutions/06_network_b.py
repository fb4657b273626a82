"""The network without one of its RRDBs, and without what all of them add."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.layers import Dense
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
photo = read_image(IMAGES / "chelsea.png").pixels[40:232, 90:282]  # (192, 192, 3)
image = lsr.imresize(photo, 1 / 4).astype(np.float32)  # (48, 48, 3)


def quality(layers):
    """PSNR of the picture by a network of these layers."""
    result = lsr.RRDBNet(layers, method="winograd")(image)
    return lsr.psnr(np.clip(result, 0, 1), photo, crop=4)


def without(block):
    """The layers but those of one RRDB; the later RRDBs move up."""
    kept = {}
    for name, layer in net.layers.items():
        if name.startswith("RRDB_trunk."):
            _, i, rest = name.split(".", 2)
            if int(i) == block:
                continue
            name = f"RRDB_trunk.{int(i) - (int(i) > block)}.{rest}"
        kept[name] = layer
    return kept


whole = quality(net.layers)
lost = [whole - quality(without(block)) for block in range(3)]
trunk_conv = net.layers["trunk_conv"]
nothing = Dense(0 * trunk_conv.weight, 0 * trunk_conv.bias)
lost_by_all = whole - quality({**net.layers, "trunk_conv": nothing})

for block, decibels in enumerate(lost):
    print(f"without RRDB {block}: {decibels:.2f} dB less")
print(f"without what all of them add: {lost_by_all:.2f} dB less, worse than bicubic interpolation")

# Each only adds a residual, times 0.2, to a sum that goes on without it; the layers behind it hardly notice.
assert max(lost) < 1
assert lost_by_all > 3 * sum(lost)
bicubic = lsr.psnr(np.clip(lsr.imresize(image, 4), 0, 1), photo, crop=4)
assert whole - lost_by_all < bicubic < whole - max(lost)
