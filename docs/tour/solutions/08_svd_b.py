"""d x 1 and 1 x d, or d x d and 1 x 1?"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.lowrank import svd

# W'[n, c, i, j] = Σ_r P[n, r] S[r, c, i, j]: the matrix has a row for each n and a column for each (c, i, j).
# It costs R (d² C + N), so the break-even rank is d² N C / (d² C + N); full rank is min(N, d² C) = N.
net = lsr.load("psnr-small")
closer = {"d x 1, 1 x d": [], "d x d, 1 x 1": []}
for name, layer in net.layers.items():
    N, C, d = layer.shape
    if 3 in (N, C):
        continue
    pair = svd.singular_values(layer.weight) ** 2
    pair_error = np.sqrt(pair[int(flops.break_even("svd", N, C, d) / 2) :].sum() / pair.sum())

    split = np.linalg.svd(layer.weight.reshape(N, -1).astype(np.float64), compute_uv=False) ** 2
    rank = int(d * d * N * C / (d * d * C + N) / 2)
    split_error = np.sqrt(split[rank:].sum() / split.sum())
    closer[list(closer)[int(split_error < pair_error)]].append(name)
    if name in ("RRDB_trunk.0.RDB1.conv1", "RRDB_trunk.1.RDB1.conv5", "HRconv"):
        print(f"{name:24} d x 1, 1 x d {pair_error:.3f}    d x d, 1 x 1 {split_error:.3f}")

print({form: len(names) for form, names in closer.items()})
# The pair is closer on every layer: these kernels repeat themselves more along their columns and rows than from one
# output channel to the next.
assert not closer["d x d, 1 x 1"]
