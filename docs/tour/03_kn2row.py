"""
kn2row: matrix products without the patch matrix
================================================

im2col copies the image nine times so that one matrix product can read it. Can BLAS read the image where it lies?
*kn2row*, "kernel to row", turns the order round: first products of whole pixels with parts of the kernel, then the
shifts that a convolution needs. What does it need in place of the patch matrix?
"""

# %%
# The equation
# ------------
#
# The names are those of :doc:`/auto_tour/01_direct`: a feature map ``in`` of shape (H, W, C), a kernel :math:`w` of
# shape (N, C, d, d), a bias :math:`b`. The sum over the taps (i, j) is taken in two steps. For each column j of the
# kernel
#
# .. math::
#
#    \mathrm{products}[y, x, j, n] = \sum_{i, c} w[n, c, i, j] \;
#    \mathrm{in}[y + i - \lfloor d/2 \rfloor,\; x,\; c]
#
# moves pixels up and down only, and then
#
# .. math::
#
#    \mathrm{out}[y, x, n] = b[n] + \sum_j \mathrm{products}[y,\; x + j - \lfloor d/2 \rfloor,\; j,\; n]
#
# moves the products left and right. Substitute the first equation into the second, and the convolution is back.
#
# In plain NumPy
# --------------
#
# The first step is d matrix products, one for each row i of the kernel, that are added up. The image with its border of
# zeros lies in memory row after row. Seen as a matrix with a pixel a row, of shape ((H + 2) (W + 2), C), moving it one
# image row down is the same matrix begun W + 2 pixels later: nothing is copied. The d columns j of the kernel stand
# side by side in one matrix, of shape (C, d N), so that one product reads the image once for all of them.

import matplotlib.pyplot as plt
import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.layers import random_layer
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.memory import peak_extra_bytes
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved


def kn2row(x, weight, bias):
    """Convolve (H, W, C) with (N, C, 3, 3) and (N,): (H, W, N)."""
    height, width, _ = x.shape
    n = len(weight)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))  # (H + 2, W + 2, C)
    across = width + 2  # pixels from an image row to the next
    pixels = padded.reshape(-1, x.shape[2])  # ((H + 2) (W + 2), C), a view
    # for each i a matrix with columns (j, n)
    matrices = weight.transpose(2, 1, 3, 0).reshape(3, -1, 3 * n)  # (3, C, 3 N)

    products = np.zeros((height * across, 3 * n), x.dtype)
    for i in range(3):
        # begins i image rows later
        moved = pixels[i * across : (i + height) * across]  # (H (W + 2), C)
        assert np.shares_memory(moved, padded)  # no copy so far
        products += moved @ matrices[i]

    # [y, x + 1, j, n]: column 0 is the border
    products = products.reshape(height, across, 3, n)  # (H, W + 2, 3, N)
    out = np.zeros((height, width, n), x.dtype) + bias
    for j in range(3):
        out += products[:, j : j + width, j]  # (H, W, N)
    return out


rng = np.random.default_rng(0)
x = rng.standard_normal((24, 32, 16)).astype(np.float32)  # (H, W, C)
layer = random_layer((8, 16, 3))  # (N, C, d)

# %%
# Through the package
# -------------------
#
# :mod:`lowrank_sr.conv.kn2row` computes the same, a strip of rows at a time.

by_numpy = kn2row(x, layer.weight, layer.bias)  # (24, 32, 8)
by_package = convolve(x, layer, "kn2row")  # (24, 32, 8)

# Two sums of the same 9 x 16 float32 products in different orders: each is off by at
# most terms x eps / 2 of the sum of magnitudes (Higham 2002, equation 3.5).
terms = 9 * 16 + 2
magnitudes = kn2row(np.abs(x), np.abs(layer.weight), np.abs(layer.bias))
bound = terms * np.finfo(np.float32).eps * magnitudes
assert (np.abs(by_package - by_numpy) <= bound).all()
difference = np.abs(by_package - by_numpy).max()
print(f"largest difference {difference:.1e}, allowed {bound.min():.1e} and up")

# %%
# Three things are worth a second look.
#
# - The products are computed at the two border columns of each row too. Those at the left and right edge are needed:
#   they are zero, because the pixels there are. Nothing is wasted but 2 columns in W + 2.
# - Why three products and not nine? With one for each tap the shifts cost nothing, since each product can be added
#   straight to the output's sums. But BLAS copies its operands into an order of its own before it multiplies, and nine
#   products copy the image nine times. Exercise 1 is that version.
# - The array of products has d N = 3 N numbers a pixel, where the patch matrix has 9 C. Does a layer with more output
#   than input channels gain less? Yes; but the products of a strip of rows are needed only until the strip is done.
#
# The memory
# ----------
#
# The package takes strips of as many rows as let the strip's pixels and its products fit into the processor's
# second-level cache, which belongs to one core. So what it needs does not grow with the picture's height.


def call(method, height, width, n, c):
    """A call that convolves a map which lies ready in memory into another that does."""
    layer = random_layer((n, c, 3))
    source = from_array(rng.standard_normal((height, width, c)))
    target = allocate(height, width, n)
    run = convolution(layer, method)
    return lambda: run(source, target, Epilogue(layer.bias))


WIDTH, N, C = 64, 64, 64
heights = [32, 64, 128, 192, 256]
measured = {"im2col": [], "kn2row": []}
with limited(1):
    for method, sizes in measured.items():
        for height in heights:
            run = call(method, height, WIDTH, N, C)
            run()  # compiles, and allocates what is allocated once
            sizes.append(peak_extra_bytes(run))  # None where the system does not tell
row_bytes = 4 * (WIDTH + 2) * (C + 3 * N)  # a row of pixels and its products
strip_rows = max(1, l2_bytes() // row_bytes)
print(f"second-level cache {l2_bytes() / 1e6:.2f} MB: strips of at most {strip_rows} rows")
for method, sizes in measured.items():
    print(method, ["not measured" if size is None else f"{size / 1e6:.1f} MB" for size in sizes])

# %%
# On the left the trick with memory, for an image of 3 x 5 pixels: the bordered image as one row of numbers, and the
# part of it that each of the three products reads. All three are the same memory, begun one image row later each time.
# On the right the memory of both methods as the picture grows.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
small = np.pad(np.ones((3, 5)), 1)  # 1 is a pixel, 0 the border
across = small.shape[1]
for index, is_pixel in enumerate(small.ravel()):
    colour = "0.45" if is_pixel else "white"
    left.add_patch(plt.Rectangle((index - 0.5, 3.2), 1, 0.6, facecolor=colour, edgecolor="black", linewidth=0.6))
for i, hatch in enumerate(["///", "...", "\\\\\\"]):
    place = (i * across - 0.5, 2.2 - i)
    left.add_patch(plt.Rectangle(place, 3 * across, 0.6, facecolor="0.9", edgecolor="black", hatch=hatch))
left.set(xlim=(-1, small.size), ylim=(-0.2, 4.2), xlabel="place in memory, in pixels")
left.set_yticks([3.5, 2.5, 1.5, 0.5], ["image with\nits border", "read for i = 0", "read for i = 1", "read for i = 2"])
left.set_xticks(range(0, small.size, across))
left.set_title("the three products' operands")

for (method, sizes), style in zip(measured.items(), ["ko--", "ks-"], strict=True):
    megabytes = [np.nan if size is None else size / 1e6 for size in sizes]
    right.plot(heights, megabytes, style, label=f"{method}, measured")
products = 4e-6 * strip_rows * (WIDTH + 2) * 3 * N
right.axhline(products, color="black", linestyle=":", label="kn2row, one strip's products")
right.set(xlabel=f"height of a picture {WIDTH} pixels wide", ylabel="memory, MB", title=f"{C} to {N} channels")
right.legend(fontsize="small")
plt.show()

# %%
# What the clock says
# -------------------
#
# On one thread and in turn, with direct convolution for comparison.


def ratio(above, below):
    """One time over another, of the fastest round of each.

    What other programs do can only add to a time.
    """
    return min(above) / min(below)


with limited(1):
    for n, c in [(32, 64), (64, 64), (64, 192)]:
        methods = ("im2col", "kn2row", "direct")
        times = interleaved({method: call(method, 32, 32, n, c) for method in methods}, rounds=30)
        print(
            f"{c:3} to {n} channels: kn2row takes"
            f" {ratio(times['kn2row'], times['im2col']):.2f} of im2col's time,"
            f" {ratio(times['kn2row'], times['direct']):.2f} of direct's"
        )

# %%
# Against im2col, two things count: no patch matrix, and products that stay in the cache until they are added. How much
# that saves depends on the machine's memory and caches. Against direct convolution it is an open race: kn2row
# lives on the speed of the machine's BLAS, and pays for BLAS's own copies and for the addition of shifted products,
# while the direct loops keep their sums in registers. Either may win.
#
# Exercises
# ---------
#
# **1.** Write kn2row with one product for each tap: nine products, each added to the sums of the output, none of them
# shifted afterwards. Count how often a number of the image is read by a product, here and above.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/03_kn2row_a.py
#
# **2.** Take the image in strips of 4 rows, so that the products of one strip are all that is kept. What does a strip
# read that it does not write? By what factor does the array of products shrink?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/03_kn2row_b.py
#
# References
# ----------
#
# - kn2row, and its forms that need less memory: :cite:p:`vasudevan2017`, :cite:p:`anderson2017`.
# - What BLAS copies, and why: :cite:p:`goto2008`.
