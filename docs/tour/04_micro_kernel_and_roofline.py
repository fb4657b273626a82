"""
The micro-kernel and the roofline
=================================

A processor can multiply and add far faster than it can fetch numbers from memory. How does a convolution keep it busy?
How fast could it be at best, and how close does the package come? The first answer is the *micro-kernel*, the second
is the *roofline*.
"""

# %%
# The equation
# ------------
#
# *Arithmetic intensity* is how much arithmetic a program does for each byte that it moves to and from memory:
#
# .. math:: I = \frac{\text{FLOPs}}{\text{bytes moved}}.
#
# Let :math:`P` be the most FLOPs a second that the processor can do, its *peak*, and :math:`B` the most bytes a second
# that its memory can move, its *bandwidth*. A program that moves its bytes and computes its FLOPs needs at least the
# longer of the two times, so that it does at most
#
# .. math:: \min(P,\; I B) \quad \text{FLOPs a second.}
#
# That is the roofline: a slope :math:`I B` on the left, a flat roof :math:`P` on the right. They meet at the
# *machine balance* :math:`P / B`. Programs left of it are *memory-bound*, those right of it *compute-bound*.
#
# A 3 x 3 convolution of an H x W map with C input and N output channels reads C and writes N numbers of 4 bytes a
# pixel, and reads the kernel's 9 N C numbers once, if everything else stays in caches:
#
# .. math:: I = \frac{2 \cdot 9 N C \, H W}{4 \, (H W (C + N) + 9 N C)}.
#
# The same question one level deeper: the micro-kernel
# ----------------------------------------------------
#
# Even a number that is in a cache must be loaded into a register before it is used. The sum of products of a pixel's
# channels with a column of weights loads two numbers for each multiply-add. Processors load about as many vectors in
# each tick of their clock as they multiply and add, so that such a loop reaches half the peak, or less.
#
# A *micro-kernel* computes R pixels x S output channels together, R S sums that stay in registers. For each input
# channel c it loads R pixels' numbers and S weights, and does R S multiply-adds. Loads for each multiply-add:
#
# .. math:: \frac{R + S}{R S} = \frac{1}{S} + \frac{1}{R}.
#
# In plain NumPy
# --------------
#
# A matrix product in blocks of R x S. NumPy does not let us see registers, but we can count loads.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, direct_convolution
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.threads import blas_threads, limited
from lowrank_sr.machine.timing import interleaved


def blocked_product(pixels, weights, rows, columns):
    """pixels (P, C) @ weights (C, N) in blocks of rows x columns.

    Returns the (P, N) product, and the loads a multiply-add.
    """
    p, depth = pixels.shape
    n = weights.shape[1]
    out = np.empty((p, n), pixels.dtype)
    loads = 0
    for first in range(0, p, rows):
        for left in range(0, n, columns):
            sums = np.zeros((rows, columns), pixels.dtype)  # these would be registers
            for c in range(depth):
                down = pixels[first : first + rows, c]  # (rows,)
                across = weights[c, left : left + columns]  # (columns,)
                sums += np.outer(down, across)
                loads += down.size + across.size
            out[first : first + rows, left : left + columns] = sums
    return out, loads / (p * n * depth)


rng = np.random.default_rng(0)
pixels = rng.standard_normal((6 * MR, 32)).astype(np.float32)  # (P, C)
weights = rng.standard_normal((32, 2 * NR)).astype(np.float32)  # (C, N)
for rows, columns in [(1, 1), (1, NR), (MR, 1), (MR, NR)]:
    by_blocks, loads = blocked_product(pixels, weights, rows, columns)
    print(f"blocks of {rows:2} x {columns:2} sums: {loads:.3f} loads a multiply-add")

# %%
# The package's micro-kernel is MR x NR. The columns are NR / LANES = 2 vectors of LANES numbers, the width of the
# processor's vector registers, so that a load fetches LANES weights at once, and a pixel's number is *broadcast* into
# all lanes of a register. The MR x 2 registers with sums and the few with operands fill the processor's
# 16 or 32 vector registers; more sums would not fit, and would go back and forth to the cache.
# Exercise 1 finds the best shape.
#
# Through the package
# -------------------
#
# :mod:`lowrank_sr.conv.micro_kernel` is that loop, in vector instructions. A convolution with a 1 x 1 kernel is a
# matrix product: each pixel's C channels times the (C, N) weights. So we can ask the package for one.

kernel = np.ascontiguousarray(weights.T)[:, :, None, None]  # (N, C, 1, 1)
source = from_array(pixels.reshape(6, MR, 32))  # the P pixels as a map of 6 rows
target = allocate(6, MR, 2 * NR)
direct_convolution(kernel)(source, target, Epilogue(np.zeros(2 * NR, np.float32)))
by_package = target.array.reshape(by_blocks.shape)  # (P, N)

# Both add up 32 float32 products, each sum off by at most terms x eps / 2 of the sum
# of magnitudes
bound = (32 + 2) * np.finfo(np.float32).eps * (np.abs(pixels) @ np.abs(weights))
assert (np.abs(by_package - by_blocks) <= bound).all()
difference = np.abs(by_package - by_blocks).max()
print(f"{LANES} lanes, a micro-kernel of {MR} x {NR}; largest difference {difference:.1e}")

# %%
# The two limits, measured
# ------------------------
#
# *Peak:* a product of square matrices by BLAS, which is as close to the processor's limit as common software gets.
# *Bandwidth:* the sum of two arrays that are larger than the caches, as in the STREAM benchmark: two arrays are read
# and one is written. (Many processors read a line of memory before they write to it. STREAM does not count that, and
# neither do we, so the memory itself moves a third more.) All on one thread; several cores share one memory, and with
# all of them the balance moves to the right.
#
# The contestants: 3 x 3 layers of ESRGAN by direct convolution, one of them also by im2col, a 1 x 1 convolution, and
# the sum of two arrays itself. im2col's bytes include its patch matrix and its product, both written and read.

SIDE = 32


def layer_call(method, n, c):
    """A call that convolves a map of SIDE x SIDE pixels that lies ready in memory."""
    layer = random_layer((n, c, 3))
    source = from_array(rng.standard_normal((SIDE, SIDE, c)))
    target = allocate(SIDE, SIDE, n)
    run = convolution(layer, method)
    return lambda: run(source, target, Epilogue(layer.bias))


def point_call(n, c):
    """A call of a 1 x 1 convolution."""
    kernel = rng.standard_normal((n, c, 1, 1), dtype=np.float32)
    source = from_array(rng.standard_normal((SIDE, SIDE, c)))
    target = allocate(SIDE, SIDE, n)
    run, bias = direct_convolution(kernel), np.zeros(n, np.float32)
    return lambda: run(source, target, Epilogue(bias))


square = rng.standard_normal((512, 512), dtype=np.float32)
product = np.empty_like(square)
first, second, total = (np.ones(2**23, np.float32) for _ in range(3))  # 34 MB each
calls = {
    "sgemm": partial(np.matmul, square, square, out=product),
    "sum of two arrays": partial(np.add, first, second, out=total),
    "1 x 1, 64 to 64": point_call(64, 64),
    "3 x 3, 3 to 64": layer_call("direct", 64, 3),
    "3 x 3, 64 to 32": layer_call("direct", 32, 64),
    "3 x 3, 64 to 32, im2col": layer_call("im2col", 32, 64),
    "3 x 3, 192 to 64": layer_call("direct", 64, 192),
}
pixel_count = SIDE**2
work = {  # FLOPs and bytes
    "sgemm": (2 * 512**3, 3 * 4 * 512**2),
    "sum of two arrays": (2**23, 3 * 4 * 2**23),
}


def layer_work(n, c, d):
    """FLOPs, and bytes of both maps and the kernel."""
    return flops.dense(n, c, d) * pixel_count, 4 * (pixel_count * (c + n) + d * d * n * c)


work["1 x 1, 64 to 64"] = layer_work(64, 64, 1)
for n, c in [(64, 3), (32, 64), (64, 192)]:
    work[f"3 x 3, {c} to {n}"] = layer_work(n, c, 3)
layer_flops, layer_bytes = layer_work(32, 64, 3)
written_and_read = 2 * 4 * pixel_count * (9 * 64 + 32)  # patch matrix and product
work["3 x 3, 64 to 32, im2col"] = layer_flops, layer_bytes + written_and_read

with limited(1), blas_threads(1):
    times = interleaved(calls, rounds=40)
# the fastest round of each: what other programs do can only add to a time
best = {name: min(seconds) for name, seconds in times.items()}
rate = {name: work[name][0] / best[name] for name in calls}  # FLOPs a second
intensity = {name: work[name][0] / work[name][1] for name in calls}  # FLOPs a byte
peak = rate["sgemm"]
bandwidth = work["sum of two arrays"][1] / best["sum of two arrays"]
print(f"peak {peak / 1e9:.0f} GFLOP/s, bandwidth {bandwidth / 1e9:.1f} GB/s")
print(f"machine balance {peak / bandwidth:.1f} FLOPs a byte")

# %%
# What the clock says
# -------------------
#
# Each program's share of what the roofline allows it:

for name in calls:
    roof = min(peak, intensity[name] * bandwidth)
    print(f"{name:24} {intensity[name]:6.2f} FLOPs a byte: {rate[name] / roof:5.2f} of the roof")

# %%
# By definition sgemm and the sum of two arrays have 1. A layer can come out above 1: its maps are small enough for the
# caches, which are faster than the memory whose bandwidth is the slope, and the package's micro-kernel may be a better
# fit for a layer than BLAS is for a square. A layer far below 1 loses its time elsewhere. The fewer multiply-adds a sum
# has, the more its beginning and its end count: 64 in the 1 x 1 convolution, 27 with 3 input channels, where the sums
# are also stored and loaded after every third (:doc:`/auto_tour/01_direct`). im2col moves so many more bytes that it
# comes closer to the balance, or falls to the left of it.

fig, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
x = np.geomspace(0.05, 400, 200)  # FLOPs a byte
axes.loglog(x, np.minimum(peak, x * bandwidth) / 1e9, "k-", label="roofline: min(P, I B)")
axes.axvline(0.75, color="0.5", linestyle=":", label="3 x 1 depthwise: 6 FLOPs for 8 bytes")
markers = ["k*", "kv", "kD", "k^", "ko", "kx", "ks"]
for name, marker in zip(calls, markers, strict=True):
    filled = {"markerfacecolor": "white"} if marker in ("k*", "kv") else {}
    axes.loglog(intensity[name], rate[name] / 1e9, marker, markersize=9, label=name, **filled)
axes.set(xlabel="arithmetic intensity, FLOPs a byte", ylabel="GFLOP/s, one thread")
axes.legend(fontsize="small", loc="lower right")
axes.grid(which="major", color="0.9")
plt.show()

# %%
# The dotted line is a program which we did not time: a *depthwise* convolution, in which every channel is convolved by
# itself with three taps. It does 3 multiply-adds, 6 FLOPs, for a number of 4 bytes that is read and one that is
# written, and its intensity is 0.75 whatever the size. Two of the four steps of a layer in CP form are of this kind
# (:doc:`/auto_tour/09_cp_als`). Follow the line up to the roof: by itself such a step runs at a small part of
# the peak, and the FLOPs that it saves do not arrive on the clock. The package computes all four steps in one
# pass over the image (:mod:`lowrank_sr.conv.cp`).
#
# The repository's benchmarks draw this figure for all layers, methods and forms: ``pytest benchmarks`` measures, and
# ``python benchmarks/plot.py`` draws.
#
# Exercises
# ---------
#
# **1.** A micro-kernel of R rows and v vectors of weights needs R v registers for the sums, v for the weights, and one
# for the broadcast number. A step loads v vectors of weights and broadcasts R numbers. Which shape has the fewest loads
# a multiply-add with 32 registers of 16 lanes, which one with 16 registers of 8 lanes? And if no lane may be wasted for
# N = 32 output channels?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/04_micro_kernel_and_roofline_a.py
#
# **2.** From how many channels C = N on is a 3 x 3 convolution of a large map compute-bound, if the machine balance is
# 30 FLOPs a byte? Answer the same for a 1 x 1 and for a 3 x 1 depthwise convolution.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/04_micro_kernel_and_roofline_b.py
#
# References
# ----------
#
# - The micro-kernel as the heart of a matrix product: :cite:p:`goto2008`.
# - The roofline: :cite:p:`williams2009`.
