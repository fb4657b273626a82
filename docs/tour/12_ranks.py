"""
Ranks for a whole network
=========================

A network, `psnr-small`, is to become twice as cheap.
It has 49 layers that can be factorised, and each may get a rank of its own.
Which ranks cost the picture least?
"""

# %%
# The problem as an equation
# --------------------------
#
# Layer :math:`l` can stay dense or become an SVD pair of rank :math:`K_l` (:doc:`/auto_tour/08_svd`).
# Each choice has a *cost* :math:`c_l(K_l)`, here in FLOPs, and a *loss* :math:`\ell_l(K_l)`, what it adds to the
# picture's mean squared error. With a budget :math:`B` for the whole network,
#
# .. math::
#
#    \min_{K_1, K_2, \ldots} \; \sum_l \ell_l(K_l)
#    \qquad \text{subject to} \qquad \sum_l c_l(K_l) \le B .
#
# With ten ranks for each of 49 layers there are :math:`10^{49}` combinations. A *Lagrange multiplier*
# :math:`\lambda \ge 0`, a price for one FLOP, takes the layers apart: for a given :math:`\lambda` each layer chooses
# by itself,
#
# .. math::
#
#    K_l(\lambda) = \arg\min_K \; \ell_l(K) + \lambda \, c_l(K) .
#
# A higher price buys fewer FLOPs. The price is raised until the budget is kept :cite:p:`shoham1988`.
# For *every* :math:`\lambda` the sum :math:`\sum_l \min_K (\ell_l(K) + \lambda c_l(K)) - \lambda B` is a lower bound of
# what any choice within the budget can lose. So one can tell how far a solution is from the best one.
#
# Two things are still missing: the losses, and a reason why they may be added up.

# %%
# What one layer does to the picture
# ----------------------------------
#
# Let :math:`y_l` be the output of layer :math:`l` and :math:`y_l^{(K)}` its output as an SVD pair of rank :math:`K`.
# The relative error of the layer is
#
# .. math::
#
#    \epsilon_l(K) = \sqrt{ \mathbb E \| y_l^{(K)} - y_l \|^2 \Big/ \mathbb E \| y_l - \mathbb E \, y_l \|^2 } .
#
# It is measured by running that one layer. The rest of the network carries the error to the picture. Where errors are
# small it acts on them as a linear map, so the picture's squared error is proportional to the squared error of the
# layer:
#
# .. math::
#
#    \ell_l(K) = w_l \, \epsilon_l(K)^2 .
#
# One measurement gives the *weight* :math:`w_l`: compress this layer alone, at one rank, and look at the picture.

import math
from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression import calibration
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.compression.fit import refit_biases
from lowrank_sr.compression.prices import TARGETS
from lowrank_sr.compression.ranks import candidates, within_cost
from lowrank_sr.compression.sensitivity import Sensitivity
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.layers import Separable
from lowrank_sr.lowrank import svd
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.esrgan import forward
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
# conv_first and conv_last have 3 channels on one side and stay dense
names = [name for name in net.layers if name not in ("conv_first", "conv_last")]
crops = calibration.crops(calibration.read_pictures(), net.scale).low[:8]  # (8, 64, 64, 3)
probe = crops[:, 26:38, 26:38]  # (8, 12, 12, 3): few pixels, since each layer takes a run of the network

order = {name: i for i, name in enumerate(net.layers)}
run = {name: on_stacks(layer, "winograd") for name, layer in net.layers.items()}
layer_input, layer_output = {}, {}


def remember(name, x):
    """The output of a layer; what went in and what came out are kept."""
    layer_input[name], layer_output[name] = x, run[name](x)
    return layer_output[name]


reference = forward(net.architecture, probe, remember)  # (4, 48, 48, 3): the dense network's


def pairs_of(name, ranks):
    """The outputs of layer `name` as SVD pairs of its kernel: (4, h, w, N) for each rank."""
    n, c, d = net.layers[name].shape
    full = d * min(n, c)  # the rank at which the pair is exact
    vertical, horizontal = svd.truncate(net.layers[name].weight, full)  # (full, C, d), (N, full, d)
    for rank in ranks:
        pair = Separable(vertical[:rank], horizontal[:, :rank], net.layers[name].bias)
        out = on_stacks(pair, "direct")(layer_input[name])
        yield out + (layer_output[name] - out).mean((0, 1, 2))  # the bias keeps each channel's mean


def errors(name, ranks):
    """The relative error of the layer's output at each of the ranks."""
    size = layer_output[name].var((0, 1, 2)).sum()
    return [math.sqrt((out - layer_output[name]).var((0, 1, 2)).sum() / size) for out in pairs_of(name, ranks)]


def picture_loss(changed, rank):
    """The picture's mean squared error with layer `changed` alone as an SVD pair."""
    (out,) = pairs_of(changed, [rank])

    def compute(name, x):
        if order[name] < order[changed]:
            return layer_output[name]  # nothing has changed yet
        return out if name == changed else run[name](x)

    return float(np.square(forward(net.architecture, probe, compute) - reference, dtype=float).mean())


break_even = {name: flops.break_even("svd", *net.layers[name].shape) for name in names}
grid = {name: [k for k in (4, *range(8, math.ceil(b), 8)) if k >= b / 40] for name, b in break_even.items()}
epsilon = {name: errors(name, grid[name]) for name in names}
weights = {}
for name in names:
    third = min(range(len(grid[name])), key=lambda i: abs(grid[name][i] - break_even[name] / 3))
    weights[name] = picture_loss(name, grid[name][third]) / epsilon[name][third] ** 2

for name in sorted(names, key=weights.get, reverse=True)[:5]:
    print(f"{name:25} weight {weights[name]:.2e}")
print(f"{'median of all':25} weight {median(weights.values()):.2e}")

# %%
# The weights differ by orders of magnitude. The layers after the dense blocks have the largest: what they get wrong,
# no later layer can put right. In a dense block an error is scaled by 0.2, and by 0.2 again, before it meets the trunk.
#
# The bias of the factorised layer is set so that the mean of each channel stays what it was. Without that, errors of
# two layers have something in common, a shift, and do not add up like independent ones
# (:doc:`/auto_tour/11_fitting`). With it the cross terms
# :math:`\mathbb E[\epsilon_l^\top \epsilon_m]` are taken to be zero, and the losses are added up.

# %%
# Choosing by a price
# -------------------
#
# The candidates of each layer: dense, and ranks that are multiples of 8 below the *break-even rank*
# :math:`d N C / (N + C)`, where a pair costs what the dense layer does. Below a fortieth of it there is nothing more to
# save.

width = 1 + max(map(len, grid.values()))
cost = np.full((len(net.layers), width), 1e30)  # (layers, candidates), FLOPs for each pixel of the image
loss = np.full((len(net.layers), width), 1e30)  # where a layer has fewer candidates, what nobody would choose
for i, (name, layer) in enumerate(net.layers.items()):
    area = net.architecture.area(name)  # pixels of this layer's output for each pixel of the image
    cost[i, 0], loss[i, 0] = area * flops.dense(*layer.shape), 0  # dense
    for j, rank in enumerate(grid.get(name, []), start=1):
        cost[i, j] = area * flops.svd(*layer.shape, rank)
        loss[i, j] = weights[name] * epsilon[name][j - 1] ** 2

budget = cost[:, 0].sum() / 2  # half the FLOPs of the dense network
rows = np.arange(len(cost))


def choice_at(price):
    """Each layer's best candidate at this price of a FLOP."""
    return np.argmin(loss + price * cost, axis=1)


low, high = 1e-20, 1.0
for _ in range(100):  # bisection of the logarithm
    price = math.sqrt(low * high)
    if cost[rows, choice_at(price)].sum() > budget:
        low = price
    else:
        high = price
choice = choice_at(high)
by_price = loss[rows, choice].sum()
bound = by_price + high * (cost[rows, choice].sum() - budget)
print(f"by a price: {cost[rows, choice].sum() / budget:.4f} of the budget spent, loss {by_price:.4e}")
print(f"no choice within the budget loses less than {bound:.4e}")

# %%
# The same through the package
# ----------------------------
#
# :func:`lowrank_sr.compression.ranks.within_cost` begins with the cheapest candidates and buys one step after another,
# always the one that saves most loss for its FLOPs. That walks through the same solutions as a falling price does, and
# then spends what the last one has left. So its loss lies between the bound and ours.
#
# It expects each error curve at every rank 0, 1, 2, ...; between the candidates, which is where it never looks, ours is
# interpolated.

sensitivity = {}
for name in names:
    curve = np.interp(np.arange(break_even[name]), [0, *grid[name]], [1, *epsilon[name]])
    sensitivity[name] = Sensitivity(curve, weights[name])
every = candidates(net, sensitivity, "svd", TARGETS["flops"])
every = {name: layer._replace(block=None) for name, layer in every.items()}  # none vanishes, as above
assert all(every[name].ranks == [None, *grid[name]] for name in names)
ranks = within_cost(every, speedup=2)
greedy = np.array([layer.ranks.index(ranks.get(name)) for name, layer in every.items()])
assert cost[rows, greedy].sum() <= budget
# The two loss tables are the same numbers, the package's by way of a logarithm: some units in the last place.
assert bound * (1 - 1e-9) <= loss[rows, greedy].sum() <= by_price * (1 + 1e-9)
by_steps = loss[rows, greedy].sum()
print(f"step by step: loss {by_steps:.4e}, {100 * (by_steps / bound - 1):.2f} % above the bound")

# %%
# Uniform against chosen
# ----------------------
#
# The uniform choice gives every layer the same share of its break-even rank, the share that meets the same budget.
# Both networks get factors of the kernels alone and the biases above; only the ranks differ. They enlarge a photograph
# that no layer was probed on.

fixed = cost[:, 0].sum() - sum(every[name].costs[0] for name in names)  # conv_first and conv_last
share = (budget - fixed) / (cost[:, 0].sum() - fixed)
uniform = {name: int(share * break_even[name]) for name in names}


def with_ranks(ranks):
    """The network with layers of these ranks, from the kernels alone, biases set on the crops."""
    pairs = {name: from_kernel(net.layers[name], "svd", rank)[0] for name, rank in ranks.items()}
    return refit_biases(net, lsr.RRDBNet({**net.layers, **pairs}, "direct"), probe)


photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]  # (128, 128, 3)
small = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255  # (32, 32, 3)
networks = {"dense": net.with_method("direct"), "uniform": with_ranks(uniform), "chosen": with_ranks(ranks)}
for name, network in networks.items():
    print(
        f"{name:8} {net.flops_per_pixel / network.flops_per_pixel:.2f} times fewer FLOPs, "
        f"PSNR {lsr.psnr(network(small), photograph, crop=4):.2f} dB"
    )

# %%
# How good is the model?
# ----------------------
#
# The line of each layer is :math:`w_l \, \epsilon_l(K)^2`, its weight from a single rank. The markers are losses of
# the picture measured at other ranks. As far as the model holds the markers lie on their line. At the lowest ranks the
# error is as large as the output itself, no longer small, and the model need not hold.

shown = {"upconv2": ("-", "o"), "trunk_conv": ("--", "s"), "RRDB_trunk.2.RDB3.conv3": (":", "^")}
figure, (left, right) = plt.subplots(2, 1, figsize=(8, 8.5), layout="constrained")
for name, (line, marker) in shown.items():
    percent = 100 * np.array(grid[name]) / break_even[name]
    (drawn,) = left.semilogy(percent, weights[name] * np.square(epsilon[name]), line, label=name)
    for i in (0, len(percent) // 2, -1):
        lost = picture_loss(name, grid[name][i])
        left.semilogy(percent[i], lost, marker, color=drawn.get_color(), markeredgecolor="black")
left.set(xlabel="rank, % of break-even", ylabel="mean squared error of the picture", title="Model and measurement")
left.legend()
kept = [100 if name not in ranks else 100 * ranks[name] / break_even[name] for name in names]
is_dense = np.array([name not in ranks for name in names])
place = np.arange(len(names))
right.axhline(100 * share, color="grey", linestyle="--", label="uniform")
right.plot(place[~is_dense], np.array(kept)[~is_dense], "o", color="#1f5aa6", label="chosen rank")
right.plot(place[is_dense], np.array(kept)[is_dense], "s", color="black", markerfacecolor="white", label="stays dense")
ticks = [names.index(name) for name in names if name.endswith("RDB1.conv1")] + [len(names) - 4]
right.set_xticks(ticks, ["block 0", "block 1", "block 2", "trunk_conv"])
right.set(ylabel="FLOPs, % of the dense layer", title="Where the FLOPs go", ylim=(0, 115))
right.legend(loc="upper left")
plt.show()

# %%
# What the clock says
# -------------------
#
# The two factorised networks have the same FLOPs. They need not take the same time: ranks that are no multiple of the
# processor's vectors waste part of each, and layers that stay dense run at another rate than pairs do. On one machine
# the chosen ranks may be faster, on another slower; ``compress(..., target="measured")`` therefore spends seconds
# instead of FLOPs.

runs = {name: (lambda network=network: network(small)) for name, network in networks.items()}
times = interleaved(runs, rounds=3)
for name in ("uniform", "chosen"):
    ratio = median(dense / own for dense, own in zip(times["dense"], times[name], strict=True))
    print(f"{name:8} {ratio:.2f} times as fast as the dense network, both by direct convolution")

# %%
# :func:`lowrank_sr.compress <lowrank_sr.compression.network.compress>` does all of this with more care: it probes each
# layer with factors fitted to its input, on more patches, reads its error curve from the same data, and then fits the
# factors of the chosen ranks (:doc:`/auto_tour/11_fitting`).
#
# Exercises
# ---------
#
# **1.** Is the greedy walk really near the optimum? Make five layers with six candidates each, losses and costs at
# random, and compare :func:`lowrank_sr.lowrank.ranks.allocate` with all :math:`6^5` combinations. How large is the
# difference at most?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/12_ranks_a.py
#
# **2.** Without pictures there is no weight to measure. The package then takes :math:`\ell_l = c_l (1 - s_l)^2`, where
# :math:`c_l` is the dense cost and :math:`s_l` the share of it that the pair costs. Show that the best choice gives
# every layer the same share.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/12_ranks_b.py
#
# References
# ----------
#
# The price for each bit, here each FLOP, is from :cite:p:`shoham1988`; that losses of layers add up while they are
# small was used for the bits of weights by :cite:p:`zhou2018`; ranks from the energy that each layer keeps are in
# :cite:p:`zhang2015`.
