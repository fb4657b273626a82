r"""
Two kernels for one: the SVD pair
=================================

A 3 x 3 convolution can be replaced by two cheaper ones: first 3 x 1, down the columns, then 1 x 3, along the rows. For
which kernels is that exact? For the others, which pair comes closest, and how close? One matrix and its singular values
answer both questions.
"""

# %%
# The equation
# ------------
#
# A *kernel* :math:`W` is an array of shape (N, C, d, d): N output channels, C input channels, d x d taps, here d = 3.
# The pair has two kernels. The *vertical* one, :math:`V` of shape (K, C, d), makes K channels from C. The *horizontal*
# one, :math:`H` of shape (N, K, d), makes N channels from these K. K is called the *rank* of the pair.
#
# .. math::
#
#    \mathrm{middle}[y, x, k] &= \sum_{i, c} V[k, c, i] \; \mathrm{in}[y + i - 1,\; x,\; c] \\
#    \mathrm{out}[y, x, n] &= \sum_{j, k} H[n, k, j] \; \mathrm{middle}[y,\; x + j - 1,\; k]
#
# The rows :math:`y` and columns :math:`x` count pixels; :math:`i` and :math:`j` count taps, down and along. Put the
# first line into the second: the two convolutions together are one, with the kernel
#
# .. math:: W'[n, c, i, j] = \sum_{k=1}^{K} H[n, k, j] \; V[k, c, i] .
#
# Now comes the step that makes this a problem about matrices. V knows of c and i, H of j and n. So we write the kernel
# as a matrix :math:`M` with a row for each pair (c, i) and a column for each pair (j, n),
#
# .. math:: M[(c, i), (j, n)] = W[n, c, i, j] ,
#
# of size C d x d N. The sum over :math:`k` is then a product of two matrices, (C d x K) times (K x d N). A matrix is
# such a product exactly if its rank is at most K. That is why K is called so.
#
# The *singular value decomposition* (SVD) writes every matrix as
#
# .. math:: M = \sum_{k=1}^{m} \sigma_k \, u_k \, q_k^\top, \qquad \sigma_1 \ge \sigma_2 \ge \ldots \ge \sigma_m \ge 0,
#
# where :math:`m = d \min(C, N)`, and the columns :math:`u_k` have length 1 and are perpendicular to each other; so are
# the :math:`q_k`. The numbers :math:`\sigma_k` are the *singular values*. The sum of the first K terms is the closest
# matrix of rank K, and what it misses is known at once :cite:p:`eckart1936`:
#
# .. math:: \lVert W - W' \rVert^2 = \sum_{k > K} \sigma_k^2 ,
#
# where :math:`\lVert \cdot \rVert^2` is the sum of the squares of all entries.
#
# In plain NumPy
# --------------
#
# We take a small kernel of random numbers, N = 5 and C = 4, and cut its decomposition at K = 6 of m = 12.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.conv.methods import convolve
from lowrank_sr.factors import pair_kernel
from lowrank_sr.layers import Dense, Separable, random_layer
from lowrank_sr.lowrank import svd
from lowrank_sr.machine.threads import blas_threads, limited
from lowrank_sr.machine.timing import interleaved

rng = np.random.default_rng(0)
N, C, d, K = 5, 4, 3, 6
W = rng.standard_normal((N, C, d, d))

M = W.transpose(1, 2, 3, 0).reshape(C * d, d * N)  # (C, i, j, N) -> (C d, d N)
U, sigma, Qt = np.linalg.svd(M, full_matrices=False)  # (12, 12), (12,), (12, 15)
share = np.sqrt(sigma[:K])  # half of each singular value, in digits, for either kernel
V = (U[:, :K] * share).T.reshape(K, C, d)  # (K, C d) -> (K, C, i)
H = (share[:, None] * Qt[:K]).reshape(K, d, N).transpose(2, 0, 1)  # (K, d N) -> (N, K, j)

closest = np.einsum("nkj,kci->ncij", H, V)  # (N, C, d, d)
error = np.linalg.norm(W - closest)
print(f"‖W - W'‖ = {error:.6f}; the root of the sum of the dropped σ² = {np.sqrt(np.sum(sigma[K:] ** 2)):.6f}")


def correlate(x, kernel):
    """(H, W, C) and (N, C, a, b) -> (H, W, N), zeros beyond the border."""
    a, b = kernel.shape[2:]
    height, width, _ = x.shape
    padded = np.pad(x, ((a // 2, a // 2), (b // 2, b // 2), (0, 0)))
    return sum(padded[i : i + height, j : j + width] @ kernel[:, :, i, j].T for i in range(a) for j in range(b))


x = rng.standard_normal((8, 7, C))  # (H, W, C)
middle = correlate(x, V[:, :, :, None])  # (8, 7, K), by K x C kernels of 3 x 1
out = correlate(middle, H[:, :, None, :])  # (8, 7, N), by N x K kernels of 1 x 3
at_once = correlate(x, closest)  # (8, 7, N), by the kernel that the pair stands for
print(f"the two convolutions against the one: {np.abs(out - at_once).max():.1e}")
assert np.abs(out - at_once).max() < 1e-12  # float64 rounding of sums of about a hundred products

# %%
# The same through the package
# ----------------------------
#
# :func:`lowrank_sr.lowrank.svd.truncate` gives the two kernels. :class:`lowrank_sr.layers.Separable` is a layer that
# holds such a pair, and :mod:`lowrank_sr.conv.separable` computes it, both halves in one go.

vertical, horizontal = svd.truncate(W, K)
# The sign of a pair (u_k, q_k) is free, so we compare what the pair stands for.
assert np.allclose(pair_kernel(vertical, horizontal), closest, atol=1e-13)

pair = Separable(vertical, horizontal, np.zeros(N))  # float32 from here on
by_package = convolve(x, pair, "direct")
# Some sixty products of size 1 in float32, eps 1.2e-7.
assert np.abs(by_package - out).max() < 1e-4
print(f"package, float32, against NumPy, float64: {np.abs(by_package - out).max():.1e}")

exact = pair_kernel(*svd.truncate(W, d * min(C, N)))
print(f"at full rank, K = {d * min(C, N)}, the pair is exact: {np.abs(W - exact).max():.1e}")

# %%
# What does the pair cost?
# ------------------------
#
# Count multiply-adds for a pixel: a dense layer does :math:`d^2 N C`, the pair does :math:`d K (C + N)`. They cost the
# same at the *break-even rank*
#
# .. math:: K^* = \frac{d N C}{N + C} .
#
# Compare that with full rank, :math:`m = d \min(C, N)`. For N = C the break-even rank is :math:`m / 2`. So an exact
# pair would cost twice as much as the dense layer, and a pair that costs as much as the dense layer has already lost
# half of its singular values. Whether low rank pays is up to how small that half is.
#
# What the singular values say
# ----------------------------
#
# Here are the singular values of three layers of `psnr-small`, and those of a kernel of noise. If a few are
# large and the rest is small, a low rank loses little: such a spectrum is called *steep*. Noise has no structure for
# a low rank to find, and serves for comparison.

net = lsr.load("psnr-small")
shown = {
    "RRDB_trunk.0.RDB1.conv1": ("C0", "-", "o"),
    "RRDB_trunk.1.RDB1.conv5": ("C1", "--", "s"),
    "HRconv": ("C2", "-.", "^"),
    "noise, 64 to 64": ("0.4", ":", "x"),
}
kernels = {name: net.layers[name].weight for name in shown if name in net.layers}
kernels["noise, 64 to 64"] = rng.standard_normal((64, 64, 3, 3))


def errors_by_rank(values):
    """‖W - W'‖ / ‖W‖ for K = 0, 1, ..., m."""
    dropped = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0)  # [K]: sum of σ_k² over k > K
    return np.sqrt(dropped / dropped[0])


spectra = {name: svd.singular_values(kernel) for name, kernel in kernels.items()}
print("                           m     K*  error at dense cost, at half of it")
for name, values in spectra.items():
    shape = kernels[name].shape[:3]
    even = flops.break_even("svd", *shape)
    errors = errors_by_rank(values)
    print(f"{name:24} {len(values):3}  {even:5.1f}  {errors[int(even)]:18.1%} {errors[int(even / 2)]:15.1%}")

# %%
# Read the last two columns. At half the cost even the best pair misses a large part of each kernel. The two layers of
# the dense blocks lose least, and `HRconv`, in the tail, is nearly as bad as noise. (In the figure, the last few
# singular values of these two drop far below the others: square matrices do that, and
# :doc:`/auto_tour/10_condition_numbers` comes back to it.) An error of the kernel is not yet an error of the picture,
# though. What the picture loses is the subject of :doc:`/auto_tour/10_condition_numbers`, and how far factors can be
# improved without a higher rank that of :doc:`/auto_tour/11_fitting`.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
for name, (color, line, marker) in shown.items():
    values = spectra[name]
    style = {"color": color, "linestyle": line, "marker": marker, "markersize": 5, "label": name}
    place = 100 * np.arange(1, len(values) + 1) / len(values)
    left.semilogy(place, values / values[0], markevery=0.12, **style)
    cost = 100 * np.arange(len(values) + 1) / flops.break_even("svd", *kernels[name].shape[:3])
    right.plot(cost, 100 * errors_by_rank(values), markevery=0.12, **style)
left.set(xlabel="k, % of full rank", ylabel="singular value σ_k / σ_1", title="spectra", ylim=(1e-2, 1.3))
right.axvline(100, color="black", linewidth=0.8)
right.text(102, 92, "dense layer's cost", fontsize=9)
right.set(xlabel="cost of the pair, % of the dense layer's FLOPs", ylabel="error of the kernel, %", title="errors")
right.set(xlim=(0, 205), ylim=(0, 102))
left.legend(fontsize=8, loc="lower left")
plt.show()

# %%
# What the clock says
# -------------------
#
# FLOPs are a promise: dense FLOPs over those of the pair is the *theoretical speed-up*. We time a layer of 64 to 64
# channels against pairs of four ranks, on a map of 48 x 48 pixels and one thread, all by direct convolution. More often
# than not a little less arrives than was promised: the pair writes and reads its K channels in between, which the count
# does not see, and ranks are computed in whole vectors. If the dense layer is short of its best on your machine, more
# may arrive. :doc:`/auto_tour/13_svd_winograd` asks what Winograd's algorithm changes about this comparison.

shape = (64, 64, 3)
even = flops.break_even("svd", *shape)  # 96
contestants: dict[str, Dense | Separable] = {"dense": random_layer(shape)}
contestants |= {f"K = {rank}": random_layer(shape, "svd", rank) for rank in (24, 32, 48, 96)}
picture = rng.standard_normal((48, 48, 64)).astype(np.float32)
runs = {name: lambda layer=layer: convolve(picture, layer, "direct") for name, layer in contestants.items()}
with limited(1), blas_threads(1):
    times = interleaved(runs, rounds=15)
for name, layer in contestants.items():
    ratio = median(dense / own for dense, own in zip(times["dense"], times[name], strict=True))
    promised = 1 if layer.rank is None else even / layer.rank
    print(f"{name:7} theoretical speed-up {promised:4.2f}, measured {ratio:4.2f}")

# %%
# Exercises
# ---------
#
# **1.** The pair could as well go along the rows first and down the columns second. Which matrix has this pair's rank?
# Has it the same singular values? Compare the two orders on all layers of `psnr-small`, at half the cost.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/08_svd_a.py
#
# **2.** One may split the kernel elsewhere: first d x d taps from C to R channels, then 1 x 1 from R to N
# :cite:p:`zhang2015`. Which matrix is it now, and where is the break-even rank? At half the cost, which of the two
# splits comes closer to the kernels of `psnr-small`?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/08_svd_b.py
#
# References
# ----------
#
# - The pair and its optimality: :cite:p:`tai2015`. The theorem behind it: :cite:p:`eckart1936`.
# - The other split, and layers of larger networks: :cite:p:`zhang2015`.
# - The poster that asked what this does to ESRGAN: :cite:p:`sedky_hosmer`.
