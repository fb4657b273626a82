"""From which rank on the pair by F(6, 3) takes fewer multiplications than the dense layer by Winograd.

The dense layer takes 9 N C · 16/81 for each pixel, the pair 3 K (N + C) · 4/9. The pair takes fewer where

    K < 9 N C · 16/81 · 9/4 / (3 (N + C)) = 4/3 · N C / (N + C),

4/9 of the break-even rank 3 N C / (N + C). In other words the theoretical speed-up S has to be above 9/4.
"""

import math

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.conv import algorithms
from lowrank_sr.layers import random_layer

net = lsr.load("psnr-small", method="direct")
for shape in sorted({layer.shape for layer in net.layers.values()}):
    dense = algorithms.multiplications(random_layer(shape), "winograd")
    limit = flops.break_even("svd", *shape) * 4 / 9
    below = math.ceil(limit) - 1  # the largest whole rank below the limit
    if below >= 1:
        assert algorithms.multiplications(random_layer(shape, "svd", below), "winograd") < dense
    assert algorithms.multiplications(random_layer(shape, "svd", math.ceil(limit)), "winograd") >= dense
    print(f"N, C, d = {shape}: fewer multiplications up to rank {below}, break-even {9 / 4 * limit:.1f}")
