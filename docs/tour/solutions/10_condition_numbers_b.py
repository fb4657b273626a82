"""What a limit on the condition number makes of the network's FLOPs."""

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.lowrank import ranks, svd

net = lsr.load("psnr-small")
names = [name for name in net.layers if name not in ("conv_first", "conv_last")]
spectra = {name: svd.singular_values(net.layers[name].weight) for name in names}
dense = {name: flops.per_pixel(net.layers[name]) * net.architecture.area(name) for name in names}
rest = net.flops_per_pixel - sum(dense.values())  # the first and the last layer

speedups = {}
for limit in (2, 3, 5, 10, 20, 50, 1000):
    total, dearer = rest, 0
    for name, sigma in spectra.items():
        rank = ranks.condition_rank(sigma, limit)
        cost = flops.svd(*net.layers[name].shape, rank) * net.architecture.area(name)
        dearer += cost > dense[name]
        total += cost
    speedups[limit] = net.flops_per_pixel / total
    print(f"limit {limit:4}: theoretical speed-up {speedups[limit]:.2f}; {dearer:2} of {len(names)} layers cost more")

# A limit on κ is a limit on how small a singular value may be, and near full rank a pair costs up to twice the dense
# layer: a "lower threshold" for the singular values makes the network slower.
assert speedups[2] > 1 > speedups[50]
