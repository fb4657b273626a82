r"""
Fitting to data: why the decibels come back
===========================================

Half of the FLOPs of the tail, factors from the SVD of the kernels: the picture is ruined. The same ranks, the same
FLOPs, other factors: the picture is as good as before, or nearly. This chapter finds these factors. It needs no
training, only one look at what a layer sees.
"""

# %%
# The equation
# ------------
#
# Let :math:`p` be a *patch*: the d x d pixels of the input around one pixel, with all C channels, as one vector of
# :math:`C d^2` numbers. Written as a matrix of N rows, the kernel :math:`W` gives the output :math:`W p + b`. A cheaper
# kernel :math:`W'` with a bias :math:`b'` gives something else. How far is it off, on average over the patches that
# occur?
#
# .. math:: \mathbb{E} \, \lVert (W - W') \, p + b - b' \rVert^2
#
# Choose the bias first. The best one makes the mean error zero, :math:`b' = b + (W - W') \, \mathbb{E}[p]`. What
# remains is
#
# .. math::
#
#    \operatorname{tr} \, (W - W') \, G \, (W - W')^\top ,
#    \qquad G = \mathbb{E}[p \, p^\top] - \mathbb{E}[p] \, \mathbb{E}[p]^\top .
#
# :math:`G` is the *covariance* of the patches, their second moment about the mean, a matrix of :math:`C d^2` x
# :math:`C d^2`. The patches themselves need not be kept. All that matters about the data is in G and
# :math:`\mathbb{E}[p]`.
#
# The truncated SVD of :doc:`/auto_tour/08_svd` minimises :math:`\lVert W - W' \rVert^2`. That is this expression with
# the identity in the place of G, as if all pixels of a patch had the same variance and nothing to do with each other.
# In a photograph neighbouring pixels are alike, so that most of the variance is in few directions.
#
# In plain NumPy
# --------------
#
# The first layer of the network sees the photograph itself, so its patches have 27 numbers. (It is not worth
# compressing. It is small, and so are its matrices.)

from statistics import median
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression import calibration, fit
from lowrank_sr.compression.patch_statistics import patch_moments
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.factors import pair_kernel
from lowrank_sr.lowrank import refit_svd, svd
from lowrank_sr.lowrank.data_norm import regularise, relative_error
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.esrgan import forward
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
SIDE = 24  # of the crops, in pixels of low resolution
crops = calibration.crops(calibration.read_pictures(), scale=4).low[:8, :SIDE, :SIDE]  # (8, 24, 24, 3)
print(f"{len(crops)} crops of {SIDE} x {SIDE} pixels of the bundled calibration pictures")

kernel = net.layers["conv_first"].weight.astype(np.float64)  # (64, 3, 3, 3)
N, C, d, _ = kernel.shape
windows = np.lib.stride_tricks.sliding_window_view(
    crops.astype(np.float64), (d, d), axis=(1, 2)
)  # (B, 22, 22, C, i, j)
patches = windows.reshape(-1, C * d * d)  # (1936, 27), in the order (c, i, j)
G = np.cov(patches.T, bias=True)  # (27, 27)

energy = np.linalg.eigvalsh(G)[::-1]
print(f"{energy[0] / energy.sum():.0%} of the patches' variance is in the first of 27 directions, ", end="")
print(f"{energy[:5].sum() / energy.sum():.1%} in five")

# %%
# Directions with next to no variance are directions in which an error of the kernel costs nothing. A low rank can let
# go of those and spend itself on the others.
#
# For a pair of kernels, vertical V and horizontal H, there is no formula for the best W'. But with H fixed the problem
# is least squares in V, and with V fixed in H. So we alternate, as ALS does for CP (:doc:`/auto_tour/09_cp_als`).
# Patches go in the order (j, i, c) here, so that a patch falls into its three columns :math:`p_j`; :math:`W_j` is the
# kernel's part for column j and :math:`G_{jl}` the block of G for columns j and l:
#
# .. math::
#
#    \text{for } V \text{ fixed:} \quad
#    & \sum_l (V^\top G_{jl} V) \, H_l = V^\top (G W)_j \quad \text{for every } j \\
#    \text{for } H \text{ fixed:} \quad
#    & \sum_{j, l} G_{jl} \, V \, (H_l H_j^\top) = \sum_j (G W)_j \, H_j^\top
#
# The second is linear in V, whose entries we write one after the other, with Kronecker products as coefficients.

K = 4  # of full rank 9
m = d * C  # rows of V
Wt = kernel.transpose(3, 2, 1, 0).reshape(d * m, N)  # (27, N), rows in the order (j, i, c)
ridged = regularise(G)  # a thousandth of the mean eigenvalue is added: see below
G_jic = ridged.reshape(C, d, d, C, d, d).transpose(2, 1, 0, 5, 4, 3).reshape(d * m, d * m)


def output_error(approximation):
    """The relative error of the outputs, for a kernel (N, C, d, d)."""
    E, full = (array.reshape(N, -1) for array in (kernel - approximation, kernel))
    return np.sqrt(np.trace(E @ ridged @ E.T) / np.trace(full @ ridged @ full.T))


def alternate(vertical, rounds):
    """The kernel that the pair stands for, fitted from a first vertical half (K, C, i), and the error by round."""
    V = vertical.transpose(2, 1, 0).reshape(m, K)  # rows in the order (i, c)
    GW = (G_jic @ Wt).reshape(d, m, N)
    blocks = G_jic.reshape(d, m, d, m)
    errors = []
    for _ in range(rounds):
        B = np.kron(np.eye(d), V)  # (d m, d K): V for each column of the patch
        H = np.linalg.solve(B.T @ G_jic @ B, B.T @ GW.reshape(d * m, N)).reshape(d, K, N)  # [j, k, n]
        left = sum(np.kron(blocks[j, :, l], H[j] @ H[l].T) for j in range(d) for l in range(d))  # (m K, m K)
        right = np.einsum("jmn,jkn->mk", GW, H)  # (m, K)
        V = np.linalg.solve(left, right.reshape(-1)).reshape(m, K)
        fitted = np.einsum("jkn,ick->ncij", H, V.reshape(d, C, K))
        errors.append(output_error(fitted))
    return fitted, errors


by_svd = pair_kernel(*svd.truncate(kernel, K))
fitted, trace = alternate(svd.truncate(kernel, K)[0], rounds=60)
print(f"relative error of the outputs at rank {K}: SVD of the kernel {output_error(by_svd):.3f}")
print(f"fitted: {trace[0]:.4f} after one round, {trace[-1]:.4f} after sixty")
assert trace[-1] < output_error(by_svd)
assert (np.diff(trace) < 1e-12).all()  # no round makes it larger, but for rounding

# %%
# The same through the package
# ----------------------------
#
# :func:`lowrank_sr.lowrank.refit_svd.refit` minimises the same. It solves for V by conjugate gradients, since for 192
# channels the Kronecker products would be far too large. And it starts elsewhere, from a closed form that would be the
# best pair if G were a Kronecker product. That matters, since descents from different starts may end in different
# minima. To compare, we start there too: that is what it returns after no rounds at all.

by_package = pair_kernel(*refit_svd.refit(kernel, K, G, rounds=60))
whitened_start, _ = refit_svd.refit(kernel, K, G, rounds=0)
from_there, trace_from_there = alternate(whitened_start, rounds=60)
print(f"started there: {trace_from_there[0]:.4f} after one round, {trace_from_there[-1]:.4f} after sixty")
print(f"the package:   {output_error(by_package):.4f}")
# Both have settled: what is left is the ridge of 1e-9 in the package's solver, and rounding.
assert np.isclose(output_error(by_package), trace_from_there[-1], rtol=1e-6)
assert np.abs(by_package - from_there).max() < 1e-4 * np.abs(kernel).max()

# And no fit by the output is a fit of the kernel:
for label, pair in (("SVD", by_svd), ("fitted", by_package)):
    print(f"relative error of the kernel, {label}: {np.linalg.norm(kernel - pair) / np.linalg.norm(kernel):.2f}")

# %%
# The fitted kernel is further from the kernel, and its outputs are nearer to the outputs.
#
# :func:`lowrank_sr.lowrank.data_norm.regularise` has added a small *ridge* to G. Where the crops have no variance,
# other pictures may have some. There the ridge asks W' to stay near W.
#
# A layer that was lost
# ---------------------
#
# `upconv2` is the layer that cost the picture most in :doc:`/auto_tour/10_condition_numbers`. We let the network run
# over the crops once and look at its input there. :func:`lowrank_sr.compression.patch_statistics.patch_moments` gives
# mean and covariance. Errors are measured on another photograph, which the fit has not seen.

photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]  # (128, 128, 3)
low = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255  # (32, 32, 3)
run = {name: on_stacks(layer, "winograd") for name, layer in net.layers.items()}


def moments_of(name, images):
    """Mean and covariance of the patches that a layer of the dense network sees."""
    seen = {}

    def compute(each, x):
        if each == name:
            seen[name] = patch_moments(x, run[each])
        return run[each](x)

    forward(net.architecture, images, compute)
    return seen[name]


layer = net.layers["upconv2"]
W = layer.weight.astype(np.float64)  # (64, 64, 3, 3)
even = flops.break_even("svd", *layer.shape)  # rank 96 costs what the dense layer does
here, there = moments_of("upconv2", crops), moments_of("upconv2", low[None])

E = (W - pair_kernel(*svd.truncate(W, int(even / 2)))).reshape(64, -1)  # (64, 576), what the SVD drops
constant = np.sum((E @ there.mean) ** 2)
varying = np.trace(E @ there.covariance @ E.T)
print(f"mean squared error of the outputs at half the FLOPs: {constant / (constant + varying):.0%} of it is constant")

ranks = [int(even * share) for share in (0.125, 0.25, 0.5, 0.75, 1)]
by_kernel, by_fit = [], []
for rank in ranks:
    truncated = svd.truncate(W, rank)
    refitted = refit_svd.refit(W, rank, here.covariance, rounds=4)
    by_kernel.append(relative_error(W, pair_kernel(*truncated), there.covariance))
    by_fit.append(relative_error(W, pair_kernel(*refitted), there.covariance))
    print(f"rank {rank:3}, {rank / even:4.0%} of the FLOPs: SVD {by_kernel[-1]:.3f}, fitted {by_fit[-1]:.3f}")
assert all(fit < kernel for fit, kernel in zip(by_fit, by_kernel, strict=True))

# %%
# These are errors of the outputs with the best bias. In the figure, on the left, the variance in each direction that
# patches have: it falls by orders of magnitude, where the identity that the SVD assumes would be a level line. On the
# right, what that means for the error at each rank.

eigenvalues = np.linalg.eigvalsh(here.covariance)[::-1]
fig, (left_axis, right_axis) = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
count = np.arange(1, len(eigenvalues) + 1)
left_axis.loglog(count, eigenvalues / eigenvalues.mean(), "k-", label="patches of upconv2")
left_axis.axhline(1, color="0.5", linestyle="--", label="what the SVD of the kernel assumes")
left_axis.axhline(1e-3, color="0.5", linestyle=":", label="the ridge")
left_axis.set(xlabel="direction, by variance", ylabel="variance, over the mean", title="covariance of the patches")
left_axis.legend(fontsize=8, loc="lower left")
percent = 100 * np.array(ranks) / even
right_axis.semilogy(percent, 100 * np.array(by_kernel), "ks--", label="SVD of the kernel")
right_axis.semilogy(percent, 100 * np.array(by_fit), "ko-", label="fitted to data")
right_axis.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
right_axis.set_yticks([], minor=True)
right_axis.set(xlabel="cost of the pair, % of the dense layer's FLOPs", ylabel="error of the outputs, %")
right_axis.set_title("upconv2 on an unseen photograph")
right_axis.legend(fontsize=9)
plt.show()

# %%
# The picture
# -----------
#
# Now the four layers outside the dense blocks together, at half their FLOPs, in three versions of equal cost: factors
# of the kernels; the same with fitted biases; and fitted factors. :func:`lowrank_sr.compression.fit.factorised` fits
# the layers in turn, first to last. Each sees what the compressed layers before it give, and is fitted towards what it
# gives in the dense network. So it also corrects a part of the errors made before it :cite:p:`zhang2015`.
#
# One thing more: not every channel of an output matters to the picture as much as every other. Let :math:`e` be the
# error of an output at a pixel, and :math:`M` the mean of :math:`J^\top J` over the pixels, :math:`J` the Jacobian of
# the picture by the output there. To first order :math:`e^\top M e` is what the error does to the picture, and that is
# what the fit makes small. One walk back through the network measures :math:`M` of every layer
# (:mod:`lowrank_sr.training.output_metric`).

names = ["trunk_conv", "upconv1", "upconv2", "HRconv"]
chosen = {name: int(flops.break_even("svd", *net.layers[name].shape) / 2) for name in names}
print("ranks:", chosen)


def psnr(network):
    return lsr.psnr(network(low), photograph, crop=4, channels="rgb")


seen = calibration.calibrated(net, crops, 0)  # the crops, and M of every layer
versions = {
    "kernels alone": fit.factorised(net, "svd", chosen, None, 0, lambda: None)[0],
    "with fitted biases": fit.factorised(net, "svd", chosen, seen, 0, lambda: None, part=fit.BIAS)[0],
}
begin = perf_counter()
versions["fitted factors"] = fit.factorised(net, "svd", chosen, seen, 0, lambda: None)[0]
seconds = perf_counter() - begin
db = {name: psnr(net) - psnr(small) for name, small in versions.items()}
for name, value in db.items():
    print(f"{name:18} {value:6.2f} dB lost on the photograph")
assert db["kernels alone"] > db["with fitted biases"] > db["fitted factors"]

# %%
# So the decibels come back in two parts. What is constant in the error, the shift of brightness and colour, the bias
# takes away. What varies is taken away by factors that are wrong where patches have no variance, and right where they
# do. For a network of which every layer is compressed, ranks matter too (:doc:`/auto_tour/12_ranks`).
# :func:`lowrank_sr.compress` does all of it.
#
# What the clock says
# -------------------
#
# Fitted factors have the shapes that they had before, so that the network takes the same time: the ratio below is 1 but
# for chance. The fit itself is paid once. Most of its time goes into the second moments, products of all patches with
# each other's numbers, and it grows with the number of patches and the square of the channels.

with limited(1):
    runs = {name: lambda small=small: small(low) for name, small in versions.items() if name != "with fitted biases"}
    times = interleaved({"dense": lambda: net(low), **runs}, rounds=5)
ratio = median(a / b for a, b in zip(times["kernels alone"], times["fitted factors"], strict=True))
print(f"kernels alone take {ratio:.2f} times as long as fitted factors")
print(f"the fit took as long as the dense network takes for {seconds / median(times['dense']):.0f} such pictures")

# %%
# Exercises
# ---------
#
# **1.** Two layers in a row, both compressed. Fit the second one to the inputs that it has in the dense network; and to
# those that the compressed first one gives it, towards the outputs of the dense network
# (:func:`lowrank_sr.lowrank.data_norm.target_kernel`). Which is better, and by how much?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/11_fitting_a.py
#
# **2.** How many patches does a fit need? Fit `HRconv`, whose patches have 576 numbers, to 100, 400, 1600 and 6400
# patches, and measure the error on patches of another photograph.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/11_fitting_b.py
#
# References
# ----------
#
# - Kernels judged by their outputs, and layers that correct those before them: :cite:p:`zhang2015`.
# - Decompositions in the norm of the data's covariance: :cite:p:`kalle2025`.
# - The pair: :cite:p:`tai2015`. Kronecker products as preconditioners: :cite:p:`vanloan2000`.
