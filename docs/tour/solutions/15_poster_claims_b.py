"""Each of the four layers with the largest condition numbers, factorised alone at half its FLOPs."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]
small = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255
original = net(small)
marked = ("trunk_conv", "upconv1", "upconv2", "HRconv")


def changed(names):
    """Mean squared change of the picture, its mean change, and the PSNR lost in dB."""
    pairs = {}
    for name in names:
        rank = int(flops.break_even("svd", *net.layers[name].shape) / 2)
        pairs[name] = from_kernel(net.layers[name], "svd", rank)[0]
    picture = lsr.RRDBNet({**net.layers, **pairs}, "winograd")(small)
    lost = lsr.psnr(original, photograph, crop=4) - lsr.psnr(picture, photograph, crop=4)
    return np.square(picture - original).mean(), (picture - original).mean(), lost


alone = {name: changed([name]) for name in marked}
together = changed(marked)
for name, (square, mean, lost) in {**alone, "all four": together}.items():
    print(f"{name:10} loses {lost:6.2f} dB, mean change {mean:+.4f}, {100 * mean**2 / square:3.0f} % of the square")

# Most of what upconv1, upconv2 and HRconv do is a shift of the whole picture, all in one direction. Shifts add up
# before they are squared, so the four together do more than the sum of what each does alone. The layers do not need
# each other for that: upconv2 or HRconv suffices. trunk_conv, whose condition number is the largest, does the least.
squares, means = ([results[i] for results in alone.values()] for i in (0, 1))
assert together[0] > 1.5 * sum(squares)
assert abs(together[1] / sum(means) - 1) < 0.25
assert min(alone, key=lambda name: alone[name][0]) == "trunk_conv"
print(f"together {together[0] / sum(squares):.2f} times the sum of the four, the shift {together[1] / sum(means):.2f}")
