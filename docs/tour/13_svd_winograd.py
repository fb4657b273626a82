"""
SVD by F(6, 3): why low rank and Winograd add up
================================================

Low rank saves multiplications, and so does Winograd's algorithm.
Do the two save the same multiplications, or can one have both?
And what does an SVD pair have to beat?
"""

# %%
# Two savings at different places
# -------------------------------
#
# A dense layer with :math:`C` input channels, :math:`N` output channels and a :math:`d \times d` kernel takes
# :math:`d^2 N C` multiplications for each pixel. Here :math:`d = 3`.
#
# *Low rank* changes the channels. The SVD pair of rank :math:`K` (:doc:`/auto_tour/08_svd`) goes from :math:`C`
# channels to :math:`K` along the columns, and from :math:`K` to :math:`N` along the rows:
#
# .. math::
#
#    m[y, x, k] &= \sum_{i, c} v[k, c, i] \; \mathrm{in}[y + i - 1, x, c] \\
#    \mathrm{out}[y, x, n] &= \sum_{j, k} h[n, k, j] \; m[y, x + j - 1, k]
#
# with :math:`v`, the vertical kernel, and :math:`h`, the horizontal one; :math:`i, j = 0, 1, 2`. That is
# :math:`3 K (C + N)` multiplications.
#
# *Winograd's algorithm* changes the taps and leaves the channels alone. In one dimension :math:`F(6, 3)` computes six
# outputs of a filter with three taps from eight inputs (:doc:`/auto_tour/05_winograd`),
#
# .. math::
#
#    y = A^\top \big[ (G g) \odot (B^\top d) \big] ,
#
# with 8 multiplications instead of 18. The filter :math:`g` has 3 numbers, the input :math:`d` has 8, the output
# :math:`y` has 6, and :math:`\odot` multiplies element by element.
#
# Each half of the pair is a convolution in one dimension. So :math:`F(6, 3)` applies to each, and the pair takes
# :math:`\tfrac49 \cdot 3 K (C + N)` multiplications.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np

from lowrank_sr.conv import algorithms
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution, convolve
from lowrank_sr.conv.toom_cook import A_T, B_T, G
from lowrank_sr.layers import Separable, random_layer
from lowrank_sr.machine.timing import interleaved

print("G is", G.shape, " B' is", B_T.shape, " A' is", A_T.shape)

# %%
# In plain NumPy
# --------------
#
# One function does both halves: along the rows is along the columns of the transposed map.


def f63_down(x, kernel, a=A_T, b=B_T, g=G):
    """Convolve x (H, W, C) down its columns with kernel (N, C, 3), H a multiple of 6: the result, multiplications."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (0, 0), (0, 0)))  # (H + 2, W, C)
    filters = np.einsum("ui,nci->unc", g, kernel)  # (8, N, C), once for each layer
    out = np.empty((height, width, len(kernel)))
    count = 0
    for top in range(0, height, 6):
        inputs = np.einsum("ui,iwc->uwc", b, padded[top : top + 8])  # (8, W, C)
        sums = np.einsum("uwc,unc->uwn", inputs, filters)  # (8, W, N): all the multiplications
        count += inputs.size * len(kernel)
        out[top : top + 6] = np.einsum("qu,uwn->qwn", a, sums)  # (6, W, N)
    return out, count


def pair_by_f63(x, vertical, horizontal, *matrices):
    """The SVD pair, (H, W, C) to (H, W, N), and the multiplications it took."""
    middle, first = f63_down(x, vertical, *matrices)  # (H, W, K)
    out, second = f63_down(middle.swapaxes(0, 1), horizontal, *matrices)  # (W, H, N)
    return out.swapaxes(0, 1), first + second


rng = np.random.default_rng(0)
height, width, channels, rank, filters = 18, 24, 8, 6, 12
x = rng.standard_normal((height, width, channels)).astype(np.float32)
vertical = rng.standard_normal((rank, channels, 3)).astype(np.float32)  # (K, C, 3)
horizontal = rng.standard_normal((filters, rank, 3)).astype(np.float32)  # (N, K, 3)
by_numpy, count = pair_by_f63(x.astype(float), vertical, horizontal)

directly = 3 * rank * (channels + filters) * height * width
print(f"{count} multiplications, {count / directly:.2f} of the {directly} that the sums take directly")
assert 18 * count == 8 * directly

# %%
# The same through the package
# ----------------------------
#
# A layer in the form :class:`lowrank_sr.layers.Separable` is computed directly, or by F(6, 3) where the method is
# "winograd". The sums are those above in another order and in float32.
#
# How far may they be apart? A sum of :math:`n` terms in float32 is off by at most about :math:`n \, \epsilon / 2` times
# the sum of the magnitudes of its terms, :math:`\epsilon = 2^{-23}`. The magnitudes come out of the same function, with
# every number replaced by its absolute value.

layer = Separable(vertical, horizontal, np.zeros(filters, np.float32))
directly = convolve(x, layer, "direct")
by_package = convolve(x, layer, "winograd")

magnitudes, _ = pair_by_f63(*map(np.abs, (x.astype(float), vertical, horizontal, A_T, B_T, G)))
# An output is a sum over C and one over K, each between two transforms of 8 numbers. The 3 taps of each factor are
# transformed in float32 as well, by numbers that are rounded themselves.
terms = channels + rank + 4 * 8 + 2 * (3 + 1)
bound = terms * np.finfo(np.float32).eps / 2 * magnitudes
error = np.abs(by_package - by_numpy)
assert (error <= bound).all()
assert (np.abs(directly - by_numpy) <= bound).all()
print(f"largest error: direct {np.abs(directly - by_numpy).max():.1e}, by F(6, 3) {error.max():.1e}")
print(f"the bound, where it is smallest: {bound.min():.1e}")

# %%
# :func:`lowrank_sr.conv.algorithms.multiplications` counts for every form and method. FLOPs by the usual formulas do
# not change with the method, and so do not see what Winograd's algorithm saves.

assert algorithms.multiplications(layer, "winograd") * height * width == count

# %%
# What the pair has to beat
# -------------------------
#
# The saving of low rank over the dense layer, both directly, is :math:`S = d N C / (K (C + N))`, the *theoretical
# speed-up*. But the dense layer can take Winograd's algorithm as well, and in two dimensions that saves a factor of
# 324 / 64 = 5.06, without any loss:
#
# .. list-table::
#    :header-rows: 1
#
#    * -
#      - directly
#      - Winograd
#    * - dense
#      - 1
#      - 16 / 81
#    * - SVD pair
#      - 1 / S
#      - 4 / (9 S)
#
# The two savings multiply; on a logarithmic scale they add up. The pair gets only a factor of 9 / 4 = 2.25 from
# Winograd, because one dimension of three taps was already given up to the rank. So a pair with :math:`S = 2.25` takes
# as many multiplications as the dense layer by Winograd, and a pair computed directly needs :math:`S = 5.06` for that.
#
# Multiplications are not the whole cost. The transforms are additions and memory traffic. In two dimensions they turn
# 36 values into 64, in one dimension 6 into 8, which is the smaller share.

n = c = 64
ranks = [8, 16, 32, 48, 64, 80]  # break-even is 96
side = 48  # pixels
maps = from_array(rng.standard_normal((side, side, c), dtype=np.float32)), allocate(side, side, n)
layers = {"dense": random_layer((n, c, 3))} | {k: random_layer((n, c, 3), "svd", k) for k in ranks}


def timed(layer, method):
    """A function without arguments that convolves the map."""
    run, epilogue = convolution(layer, method), Epilogue(layer.bias)
    return lambda: run(*maps, epilogue)


runs = {f"{name} {method}": timed(layers[name], method) for name in layers for method in ("direct", "winograd")}
times = interleaved(runs, rounds=9, sample=0.01)  # short calls are repeated for 10 ms


def against_dense(name, method):
    """Multiplications and seconds of a layer over those of the dense one computed directly."""
    own, dense = algorithms.multiplications(layers[name], method), algorithms.multiplications(layers["dense"], "direct")
    pairs = zip(times[f"{name} {method}"], times["dense direct"], strict=True)
    return own / dense, median(seconds / of_dense for seconds, of_dense in pairs)


figure, panels = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, layout="constrained")
for panel, which, title in zip(panels, (0, 1), ("multiplications", "seconds, measured"), strict=True):
    for method, line, colour in (("direct", "-o", "#1f5aa6"), ("winograd", "--^", "#d98218")):
        label = "SVD pair, direct" if method == "direct" else "SVD pair, F(6, 3)"
        panel.plot(ranks, [against_dense(k, method)[which] for k in ranks], line, color=colour, label=label)
    panel.axhline(1, color="black", label="dense, direct")
    panel.axhline(against_dense("dense", "winograd")[which], color="black", linestyle=":", label="dense, Winograd")
    panel.set(xlabel="rank K of a 64 to 64 channel layer", title=title, ylim=(0, 1.35))
panels[0].set_ylabel("share of the dense layer's, direct")
panels[1].legend(loc="upper left", fontsize=9, ncols=2)
plt.show()

# %%
# What the clock says
# -------------------

print(f"{'':22} multiplications  seconds")
for name in ("dense", 16, 48):
    for method in ("direct", "winograd"):
        label = f"{name if name == 'dense' else f'pair of rank {name}'}, {method}"
        print(f"{label:24} {against_dense(name, method)[0]:13.3f} {against_dense(name, method)[1]:8.3f}")

# %%
# Where a share of the seconds is larger than that of the multiplications, the rest went into what is not counted:
# transforms, and memory. By Winograd the pair of rank 48 takes an eighth more multiplications than the dense layer.
# Whether it is faster all the same depends on the machine: on how fast it adds, on how large its caches are, and on
# whether 48 is a whole number of its vectors. Below that rank the pair gains, and its error grows.
#
# So low rank has to be compared with the fastest lossless method, not with the direct one. That a factorised network
# beats direct convolution says little as long as Winograd beats it as well (:doc:`/auto_tour/15_poster_claims`).
#
# Exercises
# ---------
#
# **1.** Below which rank does a pair by F(6, 3) take fewer multiplications than the dense layer by
# :math:`F(6 \times 6, 3 \times 3)`? Express it by the break-even rank :math:`3 N C / (N + C)`, and check it with
# :func:`lowrank_sr.conv.algorithms.multiplications` for the layer shapes of `psnr-small`.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/13_svd_winograd_a.py
#
# **2.** Winograd's algorithm rounds more than the direct sums do. Take a kernel that *is* a pair, so that the dense
# layer and the pair have the same exact result, and compute both by Winograd in float32. Which one rounds more?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/13_svd_winograd_b.py
#
# References
# ----------
#
# The pair is that of :cite:p:`tai2015`, Winograd's algorithm for convolutional networks that of :cite:p:`lavin2016`,
# after :cite:p:`winograd1980`. The package's loops are in :mod:`lowrank_sr.conv.separable_winograd`.
