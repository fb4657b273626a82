"""
Direct convolution, and where its time goes
===========================================

ESRGAN's network is a chain of convolutions, and little else. What does one of them compute? How many multiplications
is that, and what else takes time? This chapter computes one convolution in three ways, from seven Python loops to the
package's compiled ones, and looks at the time of a single multiply-add in each.
"""

# %%
# The equation
# ------------
#
# A picture inside the network is a *feature map*: an array of shape (H, W, C), H rows and W columns of pixels
# with C numbers each, its *channels*. A colour picture has C = 3; the maps inside the network have 64 and more.
#
# A *convolution layer* makes from it a map of the same height and width with N channels. Its weights are the *kernel*
# :math:`w`, an array of shape (N, C, d, d), and the *bias* :math:`b`, one number for each output channel. Here d = 3:
# each output pixel is computed from the 3 x 3 pixels around it.
#
# .. math::
#
#    \mathrm{out}[y, x, n] = b[n] + \sum_{i=0}^{d-1} \sum_{j=0}^{d-1} \sum_{c=0}^{C-1}
#    & w[n, c, i, j] \\
#    & \cdot \mathrm{in}[y + i - \lfloor d/2 \rfloor,\; x + j - \lfloor d/2 \rfloor,\; c]
#
# where ``in`` is the map that goes in and ``out`` the one that comes out, :math:`y, x` are the row and the column of
# the output pixel, :math:`n` is its channel, :math:`c` the input's channel, and :math:`(i, j)` the place in the kernel,
# called a *tap*. Pixels beyond the border of the map count as zero. Each output value is a sum of :math:`d^2 C`
# products. Each product that is added to a sum is a *multiply-add*, and counts as 2 FLOPs (floating-point operations),
# so that a layer costs
#
# .. math:: 2 \, d^2 N C \, H W \quad \text{FLOPs.}
#
# In plain Python
# ---------------
#
# The equation has seven indices, and the program that follows it has seven loops.

import matplotlib.pyplot as plt
import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import Dense
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.threads import blas_threads, limited
from lowrank_sr.machine.timing import interleaved


def seven_loops(x, weight, bias):
    """The definition: (H, W, C), (N, C, 3, 3), (N,) -> (H, W, N)."""
    height, width, channels = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))  # (H + 2, W + 2, C)
    out = np.empty((height, width, len(weight)), x.dtype)
    for row in range(height):
        for column in range(width):
            for n in range(len(weight)):
                total = bias[n]
                for i in range(3):
                    for j in range(3):
                        for c in range(channels):
                            total += weight[n, c, i, j] * padded[row + i, column + j, c]
                out[row, column, n] = total
    return out


# %%
# The loops may be exchanged, because a sum does not depend on the order of its terms, apart from rounding. With the
# taps outermost, what remains for a tap is a matrix product: all pixels, moved by the tap, times that tap's weights.

rng = np.random.default_rng(0)


def nine_taps(x, weight, bias):
    """The same with the taps outermost: 9 matrix products of (H W, C) by (C, N)."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))  # (H + 2, W + 2, C)
    out = np.zeros((height, width, len(weight)), x.dtype) + bias
    for i in range(3):
        for j in range(3):
            moved = padded[i : i + height, j : j + width]  # (H, W, C), a view
            out += moved @ weight[:, :, i, j].T  # (H, W, C) @ (C, N)
    return out


def random_layer(n, c):
    """A layer of noise, scaled so that outputs are about as large as inputs."""
    weight = rng.standard_normal((n, c, 3, 3)) / (9 * c) ** 0.5
    return Dense(weight, rng.standard_normal(n))  # stores float32


x = rng.standard_normal((7, 6, 4)).astype(np.float32)  # (H, W, C)
layer = random_layer(5, 4)  # N = 5
by_definition = seven_loops(x, layer.weight, layer.bias)  # (7, 6, 5)
by_taps = nine_taps(x, layer.weight, layer.bias)
print(by_definition.shape, "largest difference", np.abs(by_taps - by_definition).max())

# %%
# Through the package
# -------------------
#
# :func:`lowrank_sr.conv.methods.convolve` convolves an array with a layer by the method that is asked for. The loops
# of ``"direct"`` are in :mod:`lowrank_sr.conv.direct`: the same sum, in compiled code.

by_package = convolve(x, layer, "direct")  # (7, 6, 5)

# A sum of n float32 terms is off by at most n eps / 2 times the sum of their
# magnitudes (Higham 2002, equation 3.5): here 36 products, which are rounded as well,
# and the bias. Two such sums differ by twice that.
terms = 9 * 4 + 2
magnitudes = seven_loops(np.abs(x), np.abs(layer.weight), np.abs(layer.bias))
bound = terms * np.finfo(np.float32).eps / 2 * magnitudes
assert (np.abs(by_package - by_definition) <= 2 * bound).all()
assert (np.abs(by_taps - by_definition) <= 2 * bound).all()
difference = np.abs(by_package - by_definition).max()
print(f"package against definition: {difference:.1e}, allowed {2 * bound.min():.1e} and up")

# %%
# What the clock says
# -------------------
#
# All versions do the same multiply-adds, so we divide each time by their number. The seven loops run on a map of
# 7 x 6 pixels, the others on 64 x 64 pixels with 64 input and 32 output channels, a layer of ESRGAN. Everything here
# runs on one thread. ``interleaved`` takes the contestants in turn, several times, so that another program on the
# machine slows all of them and not only one. Read the ratios: times change from machine to machine and from run to run.


def best_ns(seconds, multiply_adds):
    """Nanoseconds for one multiply-add, in the fastest round.

    What other programs do can only add to it.
    """
    return 1e9 * min(seconds) / multiply_adds


large = rng.standard_normal((64, 64, 64)).astype(np.float32)  # (H, W, C)
large_layer = random_layer(32, 64)
ns = {}
with limited(1), blas_threads(1):
    times = interleaved({"loops": lambda: seven_loops(x, layer.weight, layer.bias)}, rounds=3)
    ns["seven Python loops"] = best_ns(times["loops"], 9 * 5 * 4 * 7 * 6)
    times = interleaved(
        {
            "nine products in NumPy": lambda: nine_taps(large, large_layer.weight, large_layer.bias),
            "package, direct": lambda: convolve(large, large_layer, "direct"),
        },
        rounds=9,
    )
for name, seconds in times.items():
    ns[name] = best_ns(seconds, flops.dense(32, 64, 3) / 2 * 64 * 64)
for name, value in ns.items():
    times_package = value / ns["package, direct"]
    print(f"{name:24} {value:10.4f} ns a multiply-add, {times_package:9.1f} times the package's")

# %%
# What the seven loops spend their time on is Python: each multiply-add reads three array elements by index, makes a
# Python object of each, and so on. NumPy's matrix products spend most of theirs in BLAS, a library whose inner loops
# are as good as the package's. But each of the nine products makes an array of H W N sums, and adds it to another one:
# nine passes through memory which the package does not need, since its sums stay in registers.
# :doc:`/auto_tour/04_micro_kernel_and_roofline` is about that. How far apart the last two are depends on the machine's
# BLAS and on the speed of its memory.
#
# Which layers are slow for what they compute?
# --------------------------------------------
#
# If multiply-adds were all that counts, a layer's time would be proportional to their number. We time each shape of
# layer that ESRGAN has, 48 x 48 pixels, and print the time of a multiply-add.

dense_blocks = [(32, 64), (32, 96), (32, 128), (32, 160), (64, 192)]  # (N, C)
shapes = [(64, 3), *dense_blocks, (64, 64), (3, 64)]
SIDE = 48


def timed_call(n, c):
    """A call that convolves a map which lies ready in memory, without copies."""
    layer = random_layer(n, c)
    source = from_array(rng.standard_normal((SIDE, SIDE, c)))  # with a border of zeros
    target, run = allocate(SIDE, SIDE, n), convolution(layer, "direct")
    return lambda: run(source, target, Epilogue(layer.bias))


with limited(1):
    times = interleaved({f"{c} to {n}": timed_call(n, c) for n, c in shapes}, rounds=25)
multiply_adds = {f"{c} to {n}": flops.dense(n, c, 3) / 2 * SIDE**2 for n, c in shapes}
layer_ns = {name: best_ns(times[name], multiply_adds[name]) for name in times}
fastest = min(layer_ns.values())
for name, value in layer_ns.items():
    print(f"{name:9} channels: {value:.4f} ns a multiply-add, {value / fastest:5.2f} times the fastest layer's")

# %%
# Watch the two shapes that have three channels on one side. How far they stand out depends on the processor: the wider
# its vectors, the further.
#
# *64 to 3 channels.* A vector register holds several numbers, and one instruction multiplies and adds all of them. The
# loops put output channels into these vectors. With N = 3, three numbers, or *lanes*, of the vector are wanted, and the
# rest is computed for nothing.

print(f"{LANES} lanes in a vector: of the work for N = 3, {3 / LANES:.0%} is wanted")
print(f"the micro-kernel sums {MR} pixels x {NR} channels")

# %%
# *3 to 64 channels.* The sums are computed tap after tap, and each tap adds C products to each sum. With C = 3 the
# loop over c has hardly begun when it ends, and the sums are stored and loaded again for the next tap.
#
# Neither layer is a large part of ESRGAN's work, but they show what a FLOP count does not see. In the figure the line
# is where all layers would lie if only multiply-adds took time.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
left.plot(list(ns.values()), list(ns), "ks", markersize=8)
left.set(xscale="log", xlabel="nanoseconds a multiply-add", title="one sum, three programs")
for name, value in ns.items():
    left.annotate(f"{float(f'{value:.2g}'):g}", (value, name), xytext=(0, 8), textcoords="offset points", ha="center")
left.set_xlim(min(ns.values()) / 5, 5 * max(ns.values()))
left.set_ylim(2.5, -0.7)
left.grid(axis="y", color="0.85")

millions = np.array([multiply_adds[name] / 1e6 for name in times])
milliseconds = np.array([1e3 * min(times[name]) for name in times])
right.loglog(millions, milliseconds, "ko", markersize=6)
ends = np.array([millions.min() / 1.5, millions.max() * 1.5])
right.loglog(ends, ends * fastest, "k--", linewidth=1, label="the fastest layer's rate")
for name, place in {"3 to 64": (-18, -16), "64 to 3": (8, 2), "192 to 64": (-65, 3)}.items():
    index = list(times).index(name)
    right.annotate(name, (millions[index], milliseconds[index]), xytext=place, textcoords="offset points")
right.set(xlabel="multiply-adds, millions", ylabel="time, ms", title=f"ESRGAN's layers, {SIDE} x {SIDE} pixels")
right.legend(loc="lower right")
plt.show()

# %%
# Exercises
# ---------
#
# **1.** In mathematics a convolution turns the kernel around: its sum has :math:`\mathrm{in}[y - i, x - j]`. Networks
# do not, and what they call convolution is a *correlation*. Compute the layer with
# :func:`scipy.signal.convolve2d`, a convolution in the mathematical sense, one pair of channels at a time.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/01_direct_a.py
#
# **2.** The FLOP formula counts the products with the zeros beyond the border as well. How many of the multiply-adds
# of a 96 x 96 map are such? Find a formula for H x W pixels, and check it by counting.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/01_direct_b.py
#
# References
# ----------
#
# - The cost of a layer, in the notation of the poster: :cite:p:`tai2015`.
# - Sums that stay in registers: :cite:p:`goto2008`.
# - The network that these layers come from: :cite:p:`wang2018`.
