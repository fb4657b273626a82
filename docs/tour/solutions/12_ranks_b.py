"""Why layers without a measured weight all get the same share.

With the price λ each layer minimises c (1 - s)² + λ c s over its share s. The derivative, -2 c (1 - s) + λ c, is zero
at s = 1 - λ / 2. The dense cost c has cancelled: s is the same for every layer, whatever its size.
"""

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression.prices import TARGETS
from lowrank_sr.compression.ranks import candidates, within_cost

net = lsr.load("psnr-small", method="direct")
names = [name for name in net.layers if name not in ("conv_first", "conv_last")]
every = candidates(net, dict.fromkeys(names), "svd", TARGETS["flops"])  # None: no weight was measured
ranks = within_cost(every, speedup=2)

shares = {name: ranks[name] / flops.break_even("svd", *net.layers[name].shape) for name in names}
for name in ("RRDB_trunk.0.RDB1.conv1", "RRDB_trunk.0.RDB1.conv5", "upconv1"):
    print(f"{name:25} rank {ranks[name]:3}, {100 * shares[name]:.0f} % of break-even")

# Ranks are whole multiples of 8, so a share is off by one such step at most, of the layer with the smallest break-even.
step = max(8 / flops.break_even("svd", *net.layers[name].shape) for name in names)
assert max(shares.values()) - min(shares.values()) <= step
