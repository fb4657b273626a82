"""A layer that loses its mark, and a picture that stays what it was."""

from dataclasses import replace

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.lowrank import conditioning, svd
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
layer = net.layers["upconv2"]
M = svd.matricise(layer.weight.astype(np.float64))  # (C d, d N)
U, sigma, Qt = np.linalg.svd(M, full_matrices=False)
raised = np.maximum(sigma, sigma[0] / 50)  # no singular value below a fiftieth of the largest
N, C, d = layer.shape
kernel = (U * raised @ Qt).reshape(C, d, d, N).transpose(3, 0, 1, 2)

changed = lsr.RRDBNet({**net.layers, "upconv2": replace(layer, weight=kernel)}, "winograd")
truth = read_image(IMAGES / "chelsea.png").pixels[60:140, 130:210]
low = lsr.imresize(truth, 1 / 4).clip(0, 1)
before, after = net(low), changed(low)

print(f"{np.count_nonzero(raised > sigma)} of {len(sigma)} singular values are raised")
print(f"condition number {sigma[0] / sigma[-1]:.0f}, then {conditioning.condition_number(raised):.0f}")
print(f"the kernel changes by {np.linalg.norm(raised - sigma) / np.linalg.norm(sigma):.2%} of its norm")
print(f"PSNR of the two pictures against each other: {lsr.psnr(before, after, crop=4, channels='rgb'):.1f} dB")
print(f"against the photograph: {[round(lsr.psnr(x, truth, crop=4, channels='rgb'), 2) for x in (before, after)]} dB")
assert conditioning.condition_number(raised) < 60 < sigma[0] / sigma[-1]
assert abs(lsr.psnr(before, truth, crop=4) - lsr.psnr(after, truth, crop=4)) < 0.1
