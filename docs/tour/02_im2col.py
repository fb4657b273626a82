"""
im2col: a convolution as one matrix product
===========================================

Libraries for the product of two matrices have been tuned for decades. If a convolution were such a product, it could
use them. *im2col*, "image to column", makes it one by copying each pixel's surroundings into a row of a matrix. The
poster that this project started from calls it "too memory intensive" and "slower". How much memory is it, counted and
measured, and does that explain the time?
"""

# %%
# The equation
# ------------
#
# Let ``in`` be a feature map of shape (H, W, C), :math:`w` a kernel of shape (N, C, d, d) and :math:`b` a bias of shape
# (N,), as in :doc:`/auto_tour/01_direct`. The *patch* of a pixel is the d x d pixels around it, with all their
# channels: :math:`d^2 C` numbers. The *patch matrix* :math:`P` has a row for each pixel, which is its patch:
#
# .. math::
#
#    P[\,y W + x,\; (i, j, c)\,] =
#    \mathrm{in}[y + i - \lfloor d/2 \rfloor,\; x + j - \lfloor d/2 \rfloor,\; c]
#
# Here :math:`(i, j, c)` stands for one column index, :math:`(i d + j) C + c`. With the kernel's numbers in the same
# order, as a matrix :math:`M` of shape :math:`(d^2 C, N)`, the convolution is
#
# .. math::
#
#    \mathrm{out} = P M + b, \qquad (H W, N) = (H W, d^2 C) \, (d^2 C, N).
#
# In plain NumPy
# --------------
#
# NumPy makes the patches without a loop. ``sliding_window_view`` returns a *view*: an array that says where in the
# image's memory each of its numbers lies, and copies nothing. Neighbouring patches share most of their pixels, so the
# view names each number of the image up to nine times.

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.machine.threads import blas_threads, limited
from lowrank_sr.machine.timing import interleaved


def patch_view(x):
    """The patches of (H, W, C) as a view: (H, W, 3, 3, C)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))  # (H + 2, W + 2, C)
    windows = sliding_window_view(padded, (3, 3), axis=(0, 1))  # (H, W, C, 3, 3)
    return windows.transpose(0, 1, 3, 4, 2)


def im2col(x):
    """The patch matrix: (H W, 9 C)."""
    view = patch_view(x)
    return view.reshape(view.shape[0] * view.shape[1], -1)  # here the copy happens


def convolve_im2col(x, weight, bias):
    """Convolve (H, W, C) with (N, C, 3, 3) and (N,): (H, W, N)."""
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))  # (9 C, N)
    out = im2col(x) @ matrix + bias  # (H W, N)
    return out.reshape(*x.shape[:2], -1)


rng = np.random.default_rng(0)
x = rng.standard_normal((24, 32, 16)).astype(np.float32)  # (H, W, C)
layer = random_layer((8, 16, 3))  # (N, C, d)
view = patch_view(x)
patches = im2col(x)
print(f"the image: {x.nbytes} bytes, the patch matrix: {patches.nbytes}")
print(f"the view, of shape {view.shape}: steps of {view.strides} bytes along its axes")

# %%
# Why is the copy needed at all? A BLAS routine takes a matrix as an address, its numbers of rows and columns, and one
# step from a row to the next. Within a row numbers lie side by side. The view above needs more steps than that: one
# from j to j + 1, another one from i to i + 1, and a third from the end of an image row to the next. NumPy cannot hand
# it to BLAS, and ``reshape`` writes it out.
#
# Through the package
# -------------------
#
# :mod:`lowrank_sr.conv.im2col` does the same, with the copy in compiled code and the product by SciPy's ``sgemm``.

by_numpy = convolve_im2col(x, layer.weight, layer.bias)  # (24, 32, 8)
by_package = convolve(x, layer, "im2col")  # (24, 32, 8)

# Two sums of the same 9 x 16 float32 products in different orders: each is off by at
# most terms x eps / 2 of the sum of magnitudes (Higham 2002, equation 3.5).
terms = 9 * 16 + 2
magnitudes = convolve_im2col(np.abs(x), np.abs(layer.weight), np.abs(layer.bias))
bound = terms * np.finfo(np.float32).eps * magnitudes
assert (np.abs(by_package - by_numpy) <= bound).all()
difference = np.abs(by_package - by_numpy).max()
print(f"largest difference {difference:.1e}, allowed {bound.min():.1e} and up")

# %%
# The memory, counted and measured
# --------------------------------
#
# Counted, in numbers of 4 bytes a pixel: the input has C of them, the patch matrix :math:`d^2 C = 9 C`, and the
# product, before the bias is added and it goes where it belongs, N. We measure what the process needs at most during a
# call, above what it held before, with :func:`lowrank_sr.machine.memory.peak_extra_bytes`. It is known on Linux only;
# elsewhere the points are missing from the figure. ``direct`` sums in registers and needs next to nothing.

SIDE, N = 64, 64


def call(method, side, n, c):
    """A call that convolves a map which lies ready in memory into another that does."""
    layer = random_layer((n, c, 3))
    source = from_array(rng.standard_normal((side, side, c)))
    target = allocate(side, side, n)
    run = convolution(layer, method)
    return lambda: run(source, target, Epilogue(layer.bias))


channels = [32, 64, 128, 192]
measured = {"im2col": [], "direct": []}
with limited(1):
    for method, sizes in measured.items():
        for c in channels:
            run = call(method, SIDE, N, c)
            run()  # compiles, and allocates what is allocated once
            sizes.append(peak_extra_bytes(run))
counted = [4 * SIDE**2 * (9 * c + N) for c in channels]
for c, count, peak in zip(channels, counted, measured["im2col"], strict=True):
    found = "not measured here" if peak is None else f"measured {peak / 1e6:.1f} MB"
    print(f"{c:4} channels: input {4e-6 * SIDE**2 * c:4.1f} MB, counted {count / 1e6:5.1f} MB, {found}")

# %%
# The left part of the figure is a patch matrix by itself, of a 5 x 6 image with one channel whose pixels are numbered
# from 1 to 30; zeros are the border. Each pixel's number appears up to nine times, along a staircase: the matrix has
# nine times the image's numbers, and says nothing that the image does not say.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
numbered = np.arange(1, 31, dtype=float).reshape(5, 6, 1)
shown = left.imshow(im2col(numbered), cmap="Greys", aspect="auto")
left.set(xlabel="tap (i, j), as 3 i + j", ylabel="pixel, as 6 y + x", title="patch matrix of a 5 x 6 image")
left.set_xticks(range(9))
fig.colorbar(shown, ax=left, label="number of the pixel in the image")

right.plot(channels, np.array(counted) / 1e6, "k-", label="im2col, counted: 4 (9 C + N) H W")
right.plot(channels, 4e-6 * SIDE**2 * np.array(channels), "k:", label="the input map: 4 C H W")
for (method, sizes), marker in zip(measured.items(), ["ko", "kx"], strict=True):
    megabytes = [np.nan if size is None else size / 1e6 for size in sizes]
    right.plot(channels, megabytes, marker, markersize=7, label=f"{method}, measured")
right.set(xlabel="input channels C", ylabel="memory, MB", title=f"{SIDE} x {SIDE} pixels, N = {N}")
right.set_ylim(-1, 1.5 * max(counted) / 1e6)
right.legend(loc="upper left", fontsize="small")
plt.show()

# %%
# What the clock says
# -------------------
#
# Two questions. How much of the time is the copy, and how much the product? And how does the whole compare with direct
# convolution, which needs no copy? All on one thread, the contestants in turn.


def ratio(above, below):
    """One time over another, of the fastest round of each.

    What other programs do can only add to a time.
    """
    return min(above) / min(below)


SMALL = 32  # pixels a side: a short call is less often interrupted
image = rng.standard_normal((SMALL, SMALL, 128)).astype(np.float32)
its_layer = random_layer((N, 128, 3))
matrix = its_layer.weight.transpose(2, 3, 1, 0).reshape(-1, N)  # (9 C, N)
its_patches = im2col(image)  # (H W, 9 C)
with limited(1), blas_threads(1):
    parts = {"copy": lambda: im2col(image), "product": lambda: its_patches @ matrix}
    parts["direct"] = call("direct", SMALL, N, 128)
    times = interleaved(parts, rounds=30)
    for name in ("copy", "product"):
        print(f"128 to {N} channels: NumPy's {name} takes {ratio(times[name], times['direct']):.2f} of direct's time")
    for n, c in [(32, 64), (64, 128), (64, 192)]:
        times = interleaved({method: call(method, SMALL, n, c) for method in ("im2col", "direct")}, rounds=30)
        gflops = flops.dense(n, c, 3) * SMALL**2 / min(times["im2col"]) / 1e9
        print(
            f"{c:3} to {n} channels: im2col takes"
            f" {ratio(times['im2col'], times['direct']):.2f} of direct's time, at {gflops:.0f} GFLOP/s"
        )

# %%
# The copy does no arithmetic. Its cost is memory traffic: 9 C numbers a pixel are written and read again, and where the
# matrix is larger than the processor's caches, both go through main memory. Large arrays also come fresh from the
# operating system at each call, which has to clear every page of them first. The product has 9 C N multiply-adds a
# pixel to set against that: the fewer output channels N, the less of the time they are. A machine with fast memory, or
# a BLAS that is faster than the package's loops, brings the two methods closer together, and a BLAS that is much faster
# could turn the order round. The map here is small: set ``SMALL`` to 96, and more of the matrix goes through main
# memory.
#
# So the poster's first claim holds everywhere, since it can be counted. The second holds where the ratios above are
# larger than 1. The first two lines say why: the copy comes on top of the product, and the product itself has to fetch
# a matrix that is nine times the input. What is left of the ratio, beyond the two, is mostly memory that is new at each
# call.
#
# im2col's memory is the reason to look for another way to use BLAS. There is one without a patch matrix:
# :doc:`/auto_tour/03_kn2row`.
#
# Exercises
# ---------
#
# **1.** PyTorch's ``unfold`` orders the columns as (c, i, j), the channel first. Write im2col in that order. What must
# be done to the kernel? How many numbers of a patch lie side by side in the image, in each order?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/02_im2col_a.py
#
# **2.** im2col is a linear map from an image to a matrix, so it has a transpose, *col2im*, from a matrix to an image:
# training needs it. It is defined by :math:`\langle \mathrm{im2col}(x), Q \rangle = \langle x, \mathrm{col2im}(Q)
# \rangle` for all x and Q, where :math:`\langle , \rangle` is the sum of the products of corresponding numbers. Write
# it, and test it by that equation. What is ``col2im(im2col(x))``?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/02_im2col_b.py
#
# References
# ----------
#
# - im2col for neural networks: :cite:p:`chellapilla2006`.
# - How BLAS computes the product: :cite:p:`goto2008`.
# - The claim about im2col that this chapter tests: :cite:p:`sedky_hosmer`.
