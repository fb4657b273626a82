"""Vertical first or horizontal first?"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.lowrank import svd

# Horizontal first: W'[n, c, i, j] = Σ_k V[n, k, i] H[k, c, j], so (c, j) belong together, and (i, n). That is the first
# order for the kernel with its taps transposed.
net = lsr.load("psnr-small")
better = {"vertical first": 0, "horizontal first": 0}
largest = 0.0
for layer in net.layers.values():
    if 3 in layer.shape[:2]:
        continue  # three channels on one side: nothing to gain
    errors = []
    for kernel in (layer.weight, layer.weight.transpose(0, 1, 3, 2)):
        energy = svd.singular_values(kernel) ** 2
        rank = int(flops.break_even("svd", *layer.shape) / 2)
        errors.append(np.sqrt(energy[rank:].sum() / energy.sum()))
    better[list(better)[int(errors[1] < errors[0])]] += 1
    largest = max(largest, abs(errors[1] - errors[0]))
print(f"closer to the kernel: {better}; the two errors differ by at most {largest:.4f}")

# Other matrix, other singular values; only their sum of squares, the kernel's, is the same. But the two orders are
# equally good: a network trained on pictures that were turned and mirrored has no reason to prefer one.
layer = net.layers["HRconv"]
first, second = (svd.singular_values(k) for k in (layer.weight, layer.weight.transpose(0, 1, 3, 2)))
assert np.isclose(np.sum(first**2), np.sum(second**2))
assert not np.allclose(first, second, rtol=1e-3)
assert largest < 0.05
