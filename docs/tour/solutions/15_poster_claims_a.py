"""How wide a layer must be for CP to come near d² at R = N C / (N + C), and how large the layer then is.

The formula gives d² s / (s + 2 d) with s = N + C. It is at least 0.8 d² where s >= 0.8 (s + 2 d), that is s >= 8 d.
The CP layer has R (N + C + 2 d) numbers and the kernel d² N C: the same quotient, since every number is used once for
each pixel.
"""

from lowrank_sr import flops
from lowrank_sr.layers import random_layer

d = 3
for n, c in ((3, 64), (8, 16), (12, 12), (32, 64), (64, 64), (64, 192)):
    in_theory = d * d * (n + c) / (n + c + 2 * d)
    near = in_theory >= 0.8 * d * d - 1e-12  # 1e-12: 8 and 16 channels meet the limit exactly
    assert near == (n + c >= 8 * d)
    rank = round(n * c / (n + c))
    dense, cp = random_layer((n, c, d)), random_layer((n, c, d), "cp", rank)
    speedup = flops.per_pixel(dense) / flops.per_pixel(cp)
    numbers = (cp.parameters - n) / (dense.parameters - n)  # without the biases
    assert abs(numbers * speedup - 1) < 1e-12
    print(
        f"N = {n:2}, C = {c:3}: {in_theory:.2f} by formula, {speedup:.2f} at rank {rank}, {numbers:.3f} of the numbers"
    )
