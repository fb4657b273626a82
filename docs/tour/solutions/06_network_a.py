"""How far a pixel of the image reaches: counted, and measured with a value that is not a number."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.network.footprint import receptive_field

# direct: winograd computes whole tiles, and a NaN reaches all of its tile
net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="direct")

# Every 3 x 3 convolution reaches one pixel further, of the resolution at which it runs.
low = 1 + 15 + 1  # conv_first, an RRDB of 3 dense blocks of 5, trunk_conv
tail = 1 / 2 + 1 / 4 + 1 / 4 + 1 / 4  # upconv1 at twice, the other three at four times the resolution
counted = low + int(np.ceil(tail))

image = np.random.default_rng(8).random((48, 48, 3)).astype(np.float32)
image[24, 24, 1] = np.nan
reached = np.isnan(net(image)).any(axis=2)  # (192, 192)
rows, columns = np.nonzero(reached)
measured = max(np.abs(rows // 4 - 24).max(), np.abs(columns // 4 - 24).max())

assert measured == counted == receptive_field(net.architecture)
assert reached[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()  # a square: nothing is left out
print(f"{counted} pixels in each direction: {(2 * counted + 1) ** 2} pixels of the image")
