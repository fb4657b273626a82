"""
Winograd: from the polynomial to F(6 x 6, 3 x 3)
================================================

A 3 x 3 convolution of one channel takes 9 multiplications for each output pixel. Winograd's algorithm takes 1.78, and
computes the same. Where do the other multiplications go? And what does the detour cost in accuracy? This chapter begins
with a product of two polynomials and ends with the package's fastest method.
"""

# %%
# The equation
# ------------
#
# F(m, r) is the name of an algorithm that computes m outputs of a filter :math:`g` with r taps,
#
# .. math:: y[j] = \sum_{i=0}^{r-1} g[i] \, d[j + i], \qquad j = 0, \dots, m - 1,
#
# from m + r - 1 inputs :math:`d`. As it is written the sum takes m r multiplications. F(m, r) takes m + r - 1, all in
# the middle of three steps:
#
# .. math:: y = A^T \, [\, (G g) \odot (B^T d) \,]
#
# where :math:`G`, :math:`B^T` and :math:`A^T` are matrices of fixed, small numbers, and :math:`\odot` multiplies
# element by element. Products with the small numbers are not counted: most of them are additions, or factors such as 2.
# And :math:`G g` is computed once for a kernel, not once for each tile. Where do the matrices come from?
#
# By hand: F(2, 3)
# ----------------
#
# Take the taps as the coefficients of a polynomial, :math:`g(p) = g_0 + g_1 p + g_2 p^2`, and multiply it by another,
# :math:`a(p) = a_0 + a_1 p`. The product :math:`s(p) = g(p) a(p)` has degree 3 and so four coefficients. Written out
# they take 6 multiplications, :math:`s_1 = g_0 a_1 + g_1 a_0` and so on. But a polynomial of degree 3 is also
# determined by its *values* at four points, and a value is one multiplication:
#
# .. math::
#
#    s(0) &= g(0)\, a(0), & \quad s(1) &= g(1)\, a(1), \\
#    s(-1) &= g(-1)\, a(-1), & \quad s(\infty) &= g_2\, a_1.
#
# "The value at infinity" is the coefficient of the highest power, which outgrows all others. With numbers:

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lowrank_sr.conv import algorithms
from lowrank_sr.conv import toom_cook as package
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import Dense, random_layer
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved

g, a = [1, 2, 3], [4, 5]  # 1 + 2 p + 3 p^2 and 4 + 5 p
at_0 = g[0] * a[0]
at_1 = (g[0] + g[1] + g[2]) * (a[0] + a[1])
at_minus_1 = (g[0] - g[1] + g[2]) * (a[0] - a[1])
at_infinity = g[2] * a[1]
s = [  # the polynomial of degree 3 with these values
    at_0,
    (at_1 - at_minus_1) / 2 - at_infinity,
    (at_1 + at_minus_1) / 2 - at_0,
    at_infinity,
]
print("by four values", s, "written out", np.convolve(g, a))
assert s == list(np.convolve(g, a))

# %%
# That multiplies polynomials. How does it filter? For a fixed g the map from a to s is linear, a matrix, and the filter
# is its transpose:
#
# .. math::
#
#    s = \begin{pmatrix} g_0 & 0 \\ g_1 & g_0 \\ g_2 & g_1 \\ 0 & g_2 \end{pmatrix} a, \qquad
#    y = \begin{pmatrix} g_0 & g_1 & g_2 & 0 \\ 0 & g_0 & g_1 & g_2 \end{pmatrix} d.
#
# The left map is done in three steps: evaluate a at the points (a matrix :math:`E`), multiply by the values of g (a
# diagonal matrix :math:`D`), interpolate (a matrix :math:`S`). So the left matrix is :math:`S D E`, and its transpose
# is :math:`E^T D S^T`: the same steps, backwards. :math:`E^T` is :math:`A^T`, and :math:`S^T` is :math:`B^T`, except
# that its denominators are moved into :math:`G`, which a kernel is multiplied by once and for all.
#
# For any size
# ------------
#
# Let :math:`M(x) = \prod_q (x - q)` over the finite points q. Then the polynomial :math:`M(x) / (x - p)` is zero at
# all points but p, where it is :math:`f_p = \prod_{q \ne p} (p - q)`. Interpolation is the sum of these polynomials,
# each over its :math:`f_p` and times the value at p, plus :math:`M(x)` times the value at infinity. In exact fractions:


def polynomial(roots):
    """The coefficients of 1, x, x^2, ... of the product of (x - root) over the roots."""
    coefficients = np.array([Fraction(1)])
    for root in roots:
        times_x = np.append(Fraction(0), coefficients)
        coefficients = times_x - root * np.append(coefficients, Fraction(0))
    return coefficients


def toom_cook(m, r, points):
    """A^T (m, t), G (t, r) and B^T (t, t) of F(m, r), t = m + r - 1.

    From t - 1 finite points, and infinity.
    """
    points = [Fraction(p) for p in points]
    t = len(points) + 1
    assert t == m + r - 1
    A_T, G, B_T = (np.full(shape, Fraction(0)) for shape in [(m, t), (t, r), (t, t)])
    for row, p in enumerate(points):
        others = [q for q in points if q != p]
        f = np.prod([p - q for q in others])
        A_T[:, row] = [p**power for power in range(m)]
        G[row] = [p**power / f for power in range(r)]
        B_T[row, : t - 1] = polynomial(others)  # M(x) / (x - p)
    A_T[m - 1, t - 1] = G[t - 1, r - 1] = Fraction(1)
    B_T[t - 1] = polynomial(points)  # M(x)
    return A_T, G, B_T


A_T, G, B_T = toom_cook(2, 3, [0, 1, -1])
for name, matrix in {"A^T": A_T, "G": G, "B^T": B_T}.items():
    print(name, "of F(2, 3)\n", matrix.astype(float))

# %%
# As a check by hand: with inputs d the four products of F(2, 3) are
#
# .. math::
#
#    m_0 &= -g_0 (d_2 - d_0), & \quad m_1 &= \tfrac{g_0 + g_1 + g_2}{2} (d_1 + d_2), \\
#    m_2 &= \tfrac{g_0 - g_1 + g_2}{2} (d_2 - d_1), & \quad m_3 &= g_2 (d_3 - d_1),
#
# and :math:`y_0 = m_0 + m_1 + m_2`, :math:`y_1 = m_1 - m_2 + m_3`. Multiply out: :math:`y_0 = g_0 d_0 + g_1 d_1 + g_2
# d_2`.
#
# F(4, 3) needs six points: 0, 1, -1, 2, -2 and infinity will do. F(6, 3) needs eight. With 1/2 and -1/2 added to them
# the construction gives the package's matrices exactly.

A_T, G, B_T = toom_cook(6, 3, [0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)])
assert (A_T.astype(float) == package.A_T).all()
assert (G.astype(float) == package.G).all()
assert (B_T.astype(float) == package.B_T).all()
print("B^T of F(6, 3)\n", package.B_T)

# %%
# In two dimensions, and for a layer
# ----------------------------------
#
# A 3 x 3 filter g and a tile d of t x t pixels: apply each transform to the columns and then to the rows,
#
# .. math:: Y = A^T \, [\, (G g G^T) \odot (B^T d B) \,] \, A.
#
# F(6 x 6, 3 x 3) has t = 8: 64 multiplications for 36 outputs, where the sum takes 36 x 9 = 324.
#
# A layer adds up C channels. The last transform is linear, so it can wait until the channels are added up. For each of
# the 64 elements that sum is then a matrix product, over tiles, input and output channels. In plain NumPy, for maps of
# any size:


def winograd(x, weight, A_T, G, B_T):
    """Convolve (H, W, C) with (N, C, 3, 3): (H, W, N).

    All arithmetic is in x's dtype.
    """
    height, width, channels = x.shape
    n = len(weight)
    m, t = A_T.shape
    down, across = -(-height // m), -(-width // m)  # tiles
    padded = np.zeros((down * m + 2, across * m + 2, channels), x.dtype)
    padded[1 : height + 1, 1 : width + 1] = x
    tiles = sliding_window_view(padded, (t, t), (0, 1))[::m, ::m]  # (down, across, C, t, t)
    A_T, B_T, G = A_T.astype(x.dtype), B_T.astype(x.dtype), G.astype(x.dtype)
    inputs = B_T @ tiles @ B_T.T  # (down, across, C, t, t)
    kernels = G @ weight @ G.T  # (N, C, t, t)

    # the channels' sums: a matrix product for each of the t t elements
    inputs = inputs.transpose(3, 4, 0, 1, 2).reshape(t * t, -1, channels)  # (t t, tiles, C)
    kernels = kernels.transpose(2, 3, 1, 0).reshape(t * t, channels, n)  # (t t, C, N)
    sums = (inputs @ kernels).reshape(t, t, down, across, n)
    sums = sums.transpose(2, 3, 4, 0, 1)  # (down, across, N, t, t)

    outputs = A_T @ sums @ A_T.T  # (down, across, N, m, m)
    whole = outputs.transpose(0, 3, 1, 4, 2).reshape(down * m, across * m, n)
    return whole[:height, :width]


def exact(x, weight):
    """The convolution itself in float64: nine shifted products."""
    padded = np.pad(x.astype(float), ((1, 1), (1, 1), (0, 0)))
    height, width, _ = x.shape
    out = np.zeros((height, width, len(weight)))
    for i in range(3):
        for j in range(3):
            out += padded[i : i + height, j : j + width] @ weight[:, :, i, j].T.astype(float)
    return out


rng = np.random.default_rng(0)
x = rng.standard_normal((46, 50, 64)).astype(np.float32)  # (H, W, C)
weight = (rng.standard_normal((32, 64, 3, 3)) / 24).astype(np.float32)  # (N, C, 3, 3)
in_float64 = winograd(x.astype(float), weight, A_T, G, B_T)
difference = np.abs(in_float64 - exact(x, weight)).max()
print(f"in float64, largest difference from the sum itself: {difference:.1e}")

# %%
# Through the package
# -------------------
#
# :mod:`lowrank_sr.conv.winograd` does these steps on blocks of tiles that stay in a core's cache, with the micro-kernel
# of :doc:`/auto_tour/04_micro_kernel_and_roofline` for the products. A transformed kernel has 64 numbers for 9. In the
# network's trunk, which has most of the kernels, the package keeps the 9 and transforms them each time that a layer is
# computed: work that does not grow with the picture.

by_numpy = winograd(x, weight, A_T, G, B_T)  # float32
by_package = convolve(x, Dense(weight, np.zeros(32)), "winograd")


def rounding_bound(x, weight, A_T, G, B_T):
    """The largest possible error of float32: the algorithm on magnitudes, times eps / 2 for each rounding.

    C terms of a sum of channels, and at most t in each direction of three transforms
    (Barabasz et al. 2020, theorem 2).
    """
    matrices = np.abs(A_T), np.abs(G), np.abs(B_T)
    magnitudes = winograd(np.abs(x).astype(float), np.abs(weight), *matrices)
    return (x.shape[2] + 6 * len(B_T) + 2) * np.finfo(np.float32).eps / 2 * magnitudes


bound = rounding_bound(x, weight, A_T, G, B_T)
for name, result in {"NumPy": by_numpy, "package": by_package}.items():
    error = np.abs(result - exact(x, weight))
    assert (error <= bound).all()
    print(f"{name}: largest error {error.max():.1e}, bound {bound.max():.1e}")

# %%
# The rounding error, measured against float64
# --------------------------------------------
#
# In exact arithmetic all these algorithms are equal. In float32 each operation rounds, and the transforms make numbers
# that are larger than the result: they cancel, and their roundings do not. We compare, all in float32 and in NumPy, the
# sum itself and F(m x m, 3 x 3) for m = 2, 4, 6 and 8. Errors are over the range of the output.

sizes = {2: [0, 1, -1], 4: [0, 1, -1, 2, -2]}
sizes[6] = [*sizes[4], Fraction(1, 2), Fraction(-1, 2)]
sizes[8] = [*sizes[6], 4, Fraction(-1, 4)]
reference = exact(x, weight)
span = np.ptp(reference)

patches = sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), (0, 1))
by_sum = patches.reshape(46 * 50, -1) @ weight.reshape(32, -1).T  # (H W, N), float32
magnitudes = exact(np.abs(x), np.abs(weight)).max()
limit = (9 * 64 + 2) * np.finfo(np.float32).eps / 2 * magnitudes / span
rows = {"direct": (9.0, by_sum.reshape(reference.shape), limit)}  # multiplications, result, bound
for m, points in sizes.items():
    matrices = toom_cook(m, 3, points)
    limit = rounding_bound(x, weight, *matrices).max() / span
    rows[f"F({m} x {m})"] = ((m + 2) ** 2 / m**2, winograd(x, weight, *matrices), limit)

print("algorithm   multiplications   largest error   root mean square   bound")
largest, typical = {}, {}
for name, (multiplications, result, limit) in rows.items():
    error = (result - reference) / span
    largest[name], typical[name] = np.abs(error).max(), np.sqrt((error**2).mean())
    print(f"{name:9} {multiplications:14.2f} {largest[name]:18.1e} {typical[name]:17.1e} {limit:14.1e}")
error = np.abs(by_package - reference).max() / span
print(f"the package's F(6 x 6): {error:.1e}; a step of 8 bits is {1 / 255:.1e} of a picture's range")

# %%
# From F(2 x 2) on each larger tile saves less, 4, 2.25, 1.78, 1.56 multiplications, and costs more accuracy. F(2 x 2)
# itself may even be more accurate than the sum: its numbers are hardly larger, and it adds up C products where the sum
# adds up 9 C. The bound is far above what happens, because it lets all roundings go the same way.
#
# The package takes F(6 x 6). It saves a fifth of F(4 x 4)'s multiplications, and the largest error stays below 1e-5 of
# the range. F(8 x 8) would save another eighth, and round more than ten times as much: its points go up to 4 and down
# to 1/4, and their powers stand in all three matrices.

assert largest["F(6 x 6)"] < 1e-5
assert typical["F(8 x 8)"] > 10 * typical["F(6 x 6)"]

# %%
# The error also has a place. Powers of 2 up to :math:`2^5` stand in the last row of :math:`A^T` of F(6, 3), and what is
# multiplied by them rounds with them. The point 1/2 does to the first row what 2 does to the last: taken from its end,
# a polynomial has its value at 2 where it had that at 1/2, but for a power of 2. So within a tile of 6 x 6 pixels the
# outermost rows and columns are the least accurate. Root mean square error at each place of the tile, over the smallest
# of the 36:

error = (by_numpy - reference)[:42, :48]  # whole tiles
error = error.reshape(7, 6, 8, 6, 32)  # (down, 6, across, 6, N)
by_place = np.sqrt((error**2).mean(axis=(0, 2, 4)))  # (6, 6)
print(np.round(by_place / by_place.min(), 1))

# %%
# A picture of 8 bits does not show any of it: the grey line in the figure is one step of 8 bits.
# :doc:`/auto_tour/06_network` compares whole pictures.

fig, axes = plt.subplots(figsize=(7, 4), layout="constrained")
names = [f"{name}\n{row[0]:.3g}" for name, row in rows.items()]
axes.semilogy(names, list(largest.values()), "ko-", label="largest")
axes.semilogy(names, list(typical.values()), "ks--", markerfacecolor="white", label="root mean square")
axes.semilogy(names, [row[2] for row in rows.values()], "kv:", label="bound")
axes.axhline(1 / 255, color="0.6", linewidth=1.5, label="a step of 8 bits")
axes.set_xlabel("algorithm, and its multiplications for an output and an input channel")
axes.set_ylabel("error over the output's range, float32")
axes.legend(loc="upper left", ncols=2)
plt.show()

# %%
# What the clock says
# -------------------
#
# The count of multiplications promises a factor of 324 / 64 = 5.06 over direct convolution. What arrives, on one thread
# and in turn, as the ratio of the fastest round of each, since what other programs do can only add to a time:


def call(method, n, c, side=36):
    """A call that convolves a map which lies ready in memory into another that does."""
    layer = random_layer((n, c, 3))
    source = from_array(rng.standard_normal((side, side, c)))
    target = allocate(side, side, n)
    run = convolution(layer, method)
    return lambda: run(source, target, Epilogue(layer.bias))


dense = random_layer((64, 64, 3))
promised = algorithms.multiplications(dense, "direct") / algorithms.multiplications(dense, "winograd")
with limited(1):
    for n, c in [(64, 3), (32, 64), (32, 160), (64, 64), (64, 192)]:
        times = interleaved({method: call(method, n, c) for method in ("direct", "winograd")}, rounds=30)
        factor = min(times["direct"]) / min(times["winograd"])
        print(f"{c:3} to {n} channels: promised {promised:.2f}, measured {factor:.2f}")

# %%
# The rest goes into the transforms. They are additions, which the count leaves out, and memory traffic: a tile of 36
# pixels becomes 64 numbers a channel, which are written, read by the products, and written and read once more as sums.
# The transforms take a few more additions for each pixel than those of F(4 x 4), but write fewer numbers, 64 / 36
# instead of 36 / 16. The input's transform costs the same however many output channels N use it, so more of the factor
# arrives where N is large. With few input channels the products are too short to be worth the transforms. A processor
# with wide vectors and little cache loses more to the transforms than one with narrow vectors; on some machine a layer
# may be faster by another method, and the package's ``auto`` measures which (:mod:`lowrank_sr.network.auto`). More than
# the promise can only mean that another program held up all rounds of one contestant.
#
# Exercises
# ---------
#
# **1.** In Lavin and Gray's paper :math:`B^T` and :math:`G` of F(2, 3) have other signs than ours. Show that a row of
# :math:`B^T` may be multiplied by any number other than zero if the same row of :math:`G` is divided by it. Find the
# numbers for their first and last row: (1, 0, -1, 0) and (0, 1, 0, -1) in :math:`B^T`.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/05_winograd_a.py
#
# **2.** Any seven different numbers may be the finite points of F(6, 3). Compare the rounding errors in float32 of
# 0, ±1, ±2, ±1/2 with those of 0, ±1, ±2, ±3, of 0, ±1, ±1/2, ±1/4, and of 0, 1, ..., 6. Which are best, and which
# worst? Why?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/05_winograd_b.py
#
# References
# ----------
#
# - The least number of multiplications, and the construction: :cite:p:`winograd1980`.
# - Winograd's algorithm for convolution layers: :cite:p:`lavin2016`.
# - Its rounding errors, and better points: :cite:p:`barabasz2020`.
