"""
The network, a picture at each stage
====================================

The chapters before this one computed one convolution, in several ways. ESRGAN's network is a chain of them with very
little in between. What is that little, how does a picture pass through it, and what does it look like on the way?
"""

# %%
# The equation
# ------------
#
# Let each name stand for one convolution layer, and let
# :math:`\mathrm{LeakyReLU}(v) = v` for :math:`v > 0` and :math:`0.2\, v` otherwise: the *activation*, without which a
# chain of convolutions would be one large convolution. A *dense block* D has five layers. Each reads what all layers
# before it in the block gave, side by side as the channels of one map:
#
# .. math::
#
#    g_k &= \mathrm{LeakyReLU}(\mathrm{conv}_k([x, g_1, \dots, g_{k-1}])), \quad k = 1, \dots, 4, \\
#    D(x) &= x + 0.2 \, \mathrm{conv}_5([x, g_1, \dots, g_4]).
#
# Three of them make an RRDB, a *residual in residual dense block*, :math:`\mathrm{RRDB}(x) = x + 0.2\,
# D_3(D_2(D_1(x)))`. "Residual" means that the layers compute what is to be added to their input. The network is
#
# .. math::
#
#    f_0 &= \mathrm{conv\_first}(\text{image}) \\
#    f &= f_0 + \mathrm{trunk\_conv}(\mathrm{RRDB}_n(\dots \mathrm{RRDB}_1(f_0))) \\
#    u_1 &= \mathrm{LeakyReLU}(\mathrm{upconv1}(\text{nearest}_{\times 2}(f))) \\
#    u_2 &= \mathrm{LeakyReLU}(\mathrm{upconv2}(\text{nearest}_{\times 2}(u_1))) \\
#    \text{result} &= \mathrm{conv\_last}(\mathrm{LeakyReLU}(\mathrm{HRconv}(u_2)))
#
# where :math:`\text{nearest}_{\times 2}` repeats each pixel in two rows and two columns. The first two lines, at low
# resolution, are called the *trunk* here, and the other three the *tail*. The network of the paper has n = 23 RRDBs, as
# has `realesrgan-x4plus`, which the package loads by default. The tour takes `psnr-small`, which comes with it too: 3
# RRDBs, so that each chapter runs in seconds.
#
# In plain NumPy
# --------------
#
# The package has these equations on one page, :mod:`lowrank_sr.network.esrgan`. What ``conv`` and ``dense_block`` do
# there depends on who walks through the network; ``OnArrays`` has them for arrays. Its
# :func:`lowrank_sr.network.esrgan.forward` takes a function ``compute(name, x)`` in the place of the layers, so that
# the same lines run with any convolution. Here is the page, but for its imports.

import inspect
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.conv.algorithms import METHODS
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.esrgan import SLOPE, OnArrays, forward, generator, leaky_relu, rrdb
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

for part in (generator, rrdb, OnArrays, leaky_relu, forward):
    print(inspect.getsource(part))

# %%
# A function in the place of the layers, in plain NumPy:

net = lsr.load("psnr-small", method="winograd")


def conv_numpy(name, x):
    """A layer in float64: nine shifted products, as in the first chapter."""
    layer = net.layers[name]
    height, width, _ = x.shape
    padded = np.pad(x.astype(float), ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height, width, len(layer.bias))) + layer.bias
    for i in range(3):
        for j in range(3):
            out += padded[i : i + height, j : j + width] @ layer.weight[:, :, i, j].T
    return out


# %%
# Through the package
# -------------------
#
# :func:`lowrank_sr.network.rrdbnet.load` loads a bundled network by its name, or one from a file, and the network is a
# function from an image to an image. The picture is a part of a bundled photograph, made four times smaller as the
# benchmarks of super-resolution do it, so that we know what it should become.

photo = read_image(IMAGES / "chelsea.png").pixels[40:232, 90:282]  # (192, 192, 3), 0 to 1
image = lsr.imresize(photo, 1 / 4).astype(np.float32)  # (48, 48, 3)

small = image[14:26, 10:22]  # (12, 12, 3), since the NumPy version is slow
by_numpy = forward(net.architecture, small, conv_numpy)  # (48, 48, 3)

# float32 against float64. A layer's sums of up to 1728 products are off by a few 1e-6
# of their size, because roundings go both ways; the residuals are scaled by 0.2, so
# that layer after layer adds little. The package's tests allow 2e-5.
for method in METHODS:
    error = np.abs(net.with_method(method)(small) - by_numpy).max() / np.ptp(by_numpy)
    assert error < 2e-5
    print(f"{method:8} differs from float64 by at most {error:.1e} of the picture's range")

# %%
# A picture at each stage
# -----------------------
#
# For the whole 48 x 48 pixels the same walk takes the package's convolutions, made by
# :func:`lowrank_sr.conv.methods.convolution`, which puts each kernel once into the order in which its loops read it,
# and keeps what each layer gives.

prepared = {name: convolution(layer, "winograd") for name, layer in net.layers.items()}


def conv_package(name, x):
    layer = net.layers[name]
    out = np.empty((*x.shape[:2], layer.shape[0]), np.float32)  # (H, W, N)
    # from_array copies x and adds a border
    prepared[name](from_array(x), unpadded(out), Epilogue(layer.bias))
    return out


outputs = {}


def conv_kept(name, x):
    outputs[name] = conv_package(name, x)
    return outputs[name]


result = forward(net.architecture, image, conv_kept)
first, added = outputs["conv_first"], outputs["trunk_conv"]  # (48, 48, 64)
u1, u2, high = (leaky_relu(outputs[name], SLOPE) for name in ("upconv1", "upconv2", "HRconv"))
# the same arithmetic in another order
assert np.abs(result - net(image)).max() < 2e-5 * np.ptp(result)

for name, picture in {"bicubic": lsr.imresize(image, 4), "network": result}.items():
    print(f"{name}: PSNR {lsr.psnr(np.clip(picture, 0, 1), photo, crop=4):.2f} dB")
share = added.std() / first.std()
print(f"what the RRDBs add is {share:.1f} times as large as conv_first's features")

# %%
# A feature map has 64 channels, and a picture of it can show one. We show the channel that varies most, and of the
# three maps at low resolution the one that varies most in their sum. Both that and the grey scale go by the inner part
# of the map, because the zeros beyond the border make large values along it.


def inner(features):
    """All but an eighth on each side."""
    margin = len(features) // 8
    return features[margin:-margin, margin:-margin]


def varies_most(features):
    """The number of the channel with the largest standard deviation."""
    return int(inner(features).std(axis=(0, 1)).argmax())


channel = varies_most(first + added)
panels = {"image": image}
low_resolution = {"conv_first": first, "added by the RRDBs": added, "their sum": first + added}
for name, features in low_resolution.items():
    panels[f"{name}\nchannel {channel} of 64"] = features[:, :, channel]
for name, features in {"after upconv1": u1, "after upconv2": u2, "after HRconv": high}.items():
    number = varies_most(features)
    panels[f"{name}\nchannel {number} of 64"] = features[:, :, number]
panels["result"] = np.clip(result, 0, 1)

fig, grid = plt.subplots(2, 4, figsize=(8, 4.6), layout="constrained")
for axes, (title, picture) in zip(grid.ravel(), panels.items(), strict=True):
    black, white = np.percentile(inner(picture), [1, 99])  # colours are shown as they are
    axes.imshow(picture, cmap="gray", vmin=black, vmax=white)
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([0, picture.shape[1]])
    axes.set_yticks([0, picture.shape[0]])
fig.supxlabel("pixels", fontsize="medium")
plt.show()

# %%
# conv_first sees 3 x 3 pixels of three colours, and cannot give much more than brightness, colour and edges; the
# channel in the figure is a blurred brightness. The RRDBs see further: each of their convolutions widens the view by
# one pixel. What they add are mostly outlines and hair. It is at low resolution, but it holds what the high resolution
# needs: sixteen output pixels have to be made from each pixel's 64 channels. Up to here nothing has been enlarged. The
# tail repeats pixels and lets a convolution smooth and sharpen what is between them, twice, and conv_last makes colours
# from 64 channels again.
#
# What the clock says
# -------------------
#
# First the count. A layer's FLOPs are proportional to the pixels that it writes, and in the tail there are 4 and 16 for
# each of the image's.


def shares(architecture):
    """FLOPs for a pixel of the image: trunk, upconvs, HRconv and conv_last."""
    cost = {}
    for name, shape in architecture.shapes().items():
        cost[name] = flops.dense(*shape) * architecture.area(name)
    last = cost["HRconv"] + cost["conv_last"]
    upconvs = sum(value for name, value in cost.items() if name.startswith("upconv"))
    return np.array([sum(cost.values()) - last - upconvs, upconvs, last])


of_paper = replace(net.architecture, num_block=23)
for name, architecture in {"psnr-small": net.architecture, "ESRGAN of the paper": of_paper}.items():
    parts = shares(architecture)
    print(f"{name}: {parts.sum() / 1e6:.1f} MFLOPs a pixel; share of trunk, upconvs, rest:")
    print(np.round(parts / parts.sum(), 2))

# %%
# Then the time, on one thread and in turn, of 24 x 24 pixels: the whole network by each method, and the walk above,
# which computes the same convolutions by Winograd's algorithm. But it concatenates and enlarges maps, copies each into
# a bordered array, and makes passes of their own for the activations and the residuals.

part = image[:24, :24]

runs = {method: partial(net.with_method(method), part) for method in METHODS}
runs["walk"] = partial(forward, net.architecture, part, conv_package)
with limited(1):
    times = interleaved(runs, rounds=4)
# the fastest round of each: what other programs do can only add to a time
best = {name: min(seconds) for name, seconds in times.items()}
for name in runs:
    print(f"{name:8} {best['direct'] / best[name]:5.2f} times as fast as the network by direct")
print(f"the walk takes {best['walk'] / best['winograd']:.2f} times as long as the network does")

# %%
# The order of the methods is mostly that of single layers in the chapters before, since there is little else in the
# network. The walk's share of other work depends on the machine's memory, and grows with the number of threads, because
# NumPy's passes use one. The package does without: each map of a dense block has an array of its own, a convolution
# (:data:`lowrank_sr.conv.methods.Convolution`) reads several of them as if they were one, and
# :mod:`lowrank_sr.conv.epilogue` adds bias, activation and residuals to a result while it is still in registers or in a
# cache. By Winograd's algorithm a dense block's layers are not even computed one after the other. Map :math:`x` is
# transformed by five of them, :math:`g_1` by four: 640 channels instead of the 192 that differ. So each layer follows
# the one before it through the picture, a row of tiles behind, and finds the transforms of all earlier maps in the
# cache (:mod:`lowrank_sr.conv.wavefront`).
#
# Read :mod:`lowrank_sr.network.rrdbnet` next, which is the page with all of that. The tail is another story: its
# maps are 16 times as large, and :doc:`/auto_tour/07_tail_in_bands` tells how the package never holds one of them
# whole.
#
# Exercises
# ---------
#
# **1.** How many pixels of the image does a pixel of the result depend on? Count for a network with one RRDB, then
# measure: one pixel that is not a number (NaN) makes all that depend on it not a number.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/06_network_a.py
#
# **2.** Leave out one of the three RRDBs: which costs the most PSNR? Leave out what all of them add. Is an RRDB
# worth less than a third of that, or more?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/06_network_b.py
#
# References
# ----------
#
# - ESRGAN, figures 3 and 4: :cite:p:`wang2018`.
