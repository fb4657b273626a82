"""How much strips with extra rows compute twice."""

import math

# From the last stage to the first: how far above its own first row a strip's data must begin. A 3 x 3 convolution needs
# one row more, and a map that was enlarged by f has a row for every f-th of them.
factors = {"upconv1": 2, "upconv2": 2, "HRconv": 1, "conv_last": 1}
extra = {}  # rows of each layer's output that a strip computes beyond those above its edge
reach = 0
for name, factor in reversed(factors.items()):
    extra[name] = reach
    reach = math.ceil((reach + 1) / factor)
print(f"{reach} rows of features above and below; of the outputs of the layers {extra}")
assert reach == 2
assert extra == {"conv_last": 0, "HRconv": 1, "upconv2": 2, "upconv1": 2}

# Row 0 of the output: conv_last reads row -1, HRconv -2, upconv2 -3 of its enlarged input, which is row -2 of upconv1's
# output; upconv1 reads -3, which is row -2 of the features.
row = 0
for factor in reversed(factors.values()):
    row = (row - 1) // factor
assert row == -reach

# A strip of 8 rows of features gives 16 rows of upconv1's output and 32 of the others', which cost the same a row and
# channel but for the last, with 3 channels instead of 64; a row of upconv1 has half as many pixels.
rows = {"upconv1": 16, "upconv2": 32, "HRconv": 32, "conv_last": 32}
cost = {"upconv1": 64 / 2, "upconv2": 64, "HRconv": 64, "conv_last": 3}
needed = sum(rows[name] * cost[name] for name in rows)
computed = sum((rows[name] + 2 * extra[name]) * cost[name] for name in rows)
print(f"multiply-adds: {computed / needed:.3f} times as many, in the tail alone")
assert 1.09 < computed / needed < 1.12
# Bands have their rows in the windows and compute them once, whatever their height.
