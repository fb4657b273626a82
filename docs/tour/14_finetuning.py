"""
Fine-tuning: the derivative of a convolution is a convolution
=============================================================

The factors of a layer were chosen for that layer alone.
Can all factors of a network be moved together, towards a better picture?
And what does it take to compute in which direction?
"""

# %%
# The derivative of one layer
# ---------------------------
#
# A layer with kernel :math:`W` and bias :math:`b` turns an input :math:`x` with :math:`C` channels into an output
# :math:`y` with :math:`N`:
#
# .. math::
#
#    y[p, n] = b[n] + \sum_{t, c} W[n, c, t] \; x[p + t, c] .
#
# Here :math:`p` is a pixel and :math:`t` a *tap*, a step of at most one pixel in each direction. Some number :math:`L`,
# the *loss*, depends on :math:`y`. Suppose we know its derivatives :math:`dy[p, n] = \partial L / \partial y[p, n]`.
# By the chain rule
#
# .. math::
#
#    dx[q, c] &= \sum_{t, n} W[n, c, t] \; dy[q - t, n] \\
#    dW[n, c, t] &= \sum_p dy[p, n] \; x[p + t, c] \\
#    db[n] &= \sum_p dy[p, n] .
#
# The first line reads :math:`dy` at :math:`q - t` where the layer reads :math:`x` at :math:`p + t`, and sums over
# :math:`n` where the layer sums over :math:`c`. It is again a convolution, with the kernel turned by 180 degrees and
# its channels exchanged. Whatever computes a layer fast computes its derivative fast. The second line is a
# *correlation* of the input with the gradient, for each of the nine taps one product of matrices.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr.compression import calibration
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES
from lowrank_sr.training import muon
from lowrank_sr.training.crops import draw, photographs
from lowrank_sr.training.dense import DenseBackward
from lowrank_sr.training.finetune import CROPS, RATE, SIDE
from lowrank_sr.training.loss import loss_and_gradient
from lowrank_sr.training.parameters import arrays_of, shapes_of, to_layers, to_vector
from lowrank_sr.training.walk import Walk

TAPS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def shifted(x, i, j):
    """x[y + i, x + j], zeros beyond the edges."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return padded[1 + i : 1 + i + x.shape[0], 1 + j : 1 + j + x.shape[1]]


def layer_output(x, weight):
    """The convolution of x (H, W, C) with weight (N, C, 3, 3): (H, W, N)."""
    return sum(shifted(x, i, j) @ weight[:, :, 1 + i, 1 + j].T for i, j in TAPS)


def layer_gradients(x, weight, dy):
    """dx (H, W, C) and dW (N, C, 3, 3) from dy (H, W, N)."""
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)  # (C, N, 3, 3)
    dw = np.empty_like(weight)
    for i, j in TAPS:
        dw[:, :, 1 + i, 1 + j] = np.einsum("yxn,yxc->nc", dy, shifted(x, i, j))
    return layer_output(dy, turned), dw


# %%
# Checked by central differences
# ------------------------------
#
# A derivative can be checked without any theory: move one number :math:`w` by a little to both sides and look at the
# loss,
#
# .. math::
#
#    \frac{\partial L}{\partial w} \approx \frac{L(w + \delta) - L(w - \delta)}{2 \, \delta} .
#
# The loss here is :math:`L = \tfrac14 \sum y^4`, so :math:`dy = y^3`.

rng = np.random.default_rng(0)
x = rng.standard_normal((8, 8, 3))  # (H, W, C)
weight = rng.standard_normal((4, 3, 3, 3)) / 5  # (N, C, 3, 3)


def loss(x, weight):
    """A number that depends on every output."""
    return (layer_output(x, weight) ** 4).sum() / 4


dx, dw = layer_gradients(x, weight, layer_output(x, weight) ** 3)


def difference_quotient(which, place, delta):
    """The central difference by one number of x or of the weight."""
    sides = []
    for sign in (1, -1):
        arrays = [x.copy(), weight.copy()]
        arrays[which][place] += sign * delta
        sides.append(loss(*arrays))
    return (sides[0] - sides[1]) / (2 * delta)


for which, place, gradient in ((0, (2, 5, 1), dx), (0, (0, 0, 2), dx), (1, (3, 1, 0, 2), dw), (1, (0, 2, 1, 1), dw)):
    quotient = difference_quotient(which, place, 1e-4)
    # The quotient is off by a term of delta² and by the rounding of L over delta; with float64 and delta = 1e-4 both
    # are some 1e-8 of the derivatives here.
    assert abs(quotient - gradient[place]) <= 1e-6 * np.abs(gradient).max()
    print(f"{'xW'[which]}{place}: gradient {gradient[place]:.6f}, central difference {quotient:.6f}")

# %%
# The same through the package
# ----------------------------
#
# :class:`lowrank_sr.training.dense.DenseBackward` does the same in float32, the turned kernel by Winograd's algorithm.

dense = Dense(weight, np.zeros(4, np.float32))
dy = layer_output(x, weight) ** 3
input_map, dy_map, dx_map = from_array(x), from_array(dy), allocate(8, 8, 3)
gradients = DenseBackward(dense)(input_map, dy_map, dx_map, Epilogue(np.zeros(3, np.float32)))

epsilon = np.finfo(np.float32).eps
magnitude = layer_output(np.abs(dy), np.abs(weight)[:, :, ::-1, ::-1].swapaxes(0, 1)).max()
# Winograd's algorithm enlarges roundings: magnitudes in a row of B' add up to 15, of A' to 67, in two dimensions to 225
# and 4497. That is the worst case. A wrong formula would be off by numbers as large as those of dx.
assert np.abs(dx_map.array - dx).max() <= 225 * 4497 * epsilon * magnitude < np.abs(dx).max()
# Each number of dW is a sum of 64 products.
largest_sum = layer_gradients(np.abs(x), weight, np.abs(dy))[1].max()
assert np.abs(gradients["weight"] - dw).max() <= 64 * epsilon * largest_sum
print(f"largest difference of dx {np.abs(dx_map.array - dx).max():.1e}")
print(f"largest difference of dW {np.abs(gradients['weight'] - dw).max():.1e}")

# %%
# An SVD pair is two convolutions, one after the other. Its derivative goes through them backwards, and the
# :math:`N \times C \times 3 \times 3` gradient of their product is never formed (exercise 1).

# %%
# A whole network
# ---------------
#
# The chain rule goes from the last layer to the first: what is ``dx`` for a layer is ``dy`` for the one before it.
# :class:`lowrank_sr.training.tape.Tape` does that: it records each operation of :mod:`lowrank_sr.network.esrgan`, and
# goes back through its record. :class:`lowrank_sr.training.walk.Walk` is both for the whole network. The loss is the
# mean absolute difference between the picture and the photograph, :math:`L_1`.
#
# A step goes a little way against the gradient. How far, for each array? *Muon* :cite:p:`jordan2024` keeps a moving
# mean :math:`m` of an array's gradients, written as a matrix, and takes of it only the directions:
#
# .. math::
#
#    w \leftarrow w - \eta \, \lVert w \rVert \, \frac{U}{\lVert U \rVert} , \qquad
#    U = m \, (m^\top m)^{-1/2} .
#
# :math:`U` has the singular vectors of :math:`m`, and all its singular values are 1. The gradient of a layer is strong
# along the few directions in which its input varies most, and a step along it would move these again and again. A step
# along :math:`U` moves all of them alike, by the *rate* :math:`\eta` of the array's own norm. The rate rises during the
# first steps and falls to zero along a cosine :cite:p:`loshchilov2017`, and the result is a moving average of the
# weights :cite:p:`polyak1992`.


def tuned(net, pictures, crops, side, steps, seed=0):
    """Train all layers for some steps: the network, and the loss at each step."""
    rng = np.random.default_rng(seed)
    walk = Walk(net.architecture, crops, side, side)
    state = muon.start(to_vector(arrays_of(net.layers)))  # all numbers of all layers as one vector
    shapes, losses = shapes_of(net.layers), []
    for step in range(steps):
        batch = draw(pictures, crops, side, net.scale, rng)  # random crops, flipped and turned
        value, gradient = loss_and_gradient(walk, to_layers(state.weights, net.layers), batch)
        state = muon.step(state, gradient, shapes, RATE * muon.schedule(step / steps))
        losses.append(value)
    return lsr.RRDBNet(to_layers(state.average, net.layers), net.method), losses


calibration_pictures = calibration.read_pictures()
tiny = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=2, seed=0)
pictures = photographs(calibration_pictures, tiny.scale, SIDE, with_teacher=False)
ours, _ = tuned(tiny, pictures, CROPS, SIDE, steps=3)
theirs = lsr.finetune(tiny, calibration_pictures, steps=3)
for name, layer in ours.layers.items():
    assert np.array_equal(layer.weight, theirs.layers[name].weight)  # the same operations in the same order
print("three steps of a tiny network: the loop above and lsr.finetune agree to the bit")

# %%
# What twenty steps bring back
# ----------------------------
#
# `psnr-small`, every layer as an SVD pair of its kernel at half the FLOPs, loses much of the picture
# (:doc:`/auto_tour/11_fitting`). Twenty steps with four crops of 12 x 12 pixels each are very few for a training. Here
# is what they do. The photograph that is measured is not among those trained on. The loss goes up and down because each
# step sees other crops.

net = lsr.load("psnr-small", method="winograd")
low_rank = lsr.compress(net, speedup=2, images=())  # (): of the kernels alone
pictures = photographs(calibration_pictures, net.scale, 12, with_teacher=False)
steps = 20
trained, losses = tuned(low_rank, pictures, crops=4, side=12, steps=steps)

photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]  # (128, 128, 3)
small = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255  # (32, 32, 3)
results = {"dense": net, "SVD, kernels alone": low_rank, f"after {steps} steps": trained}
pictures_made = {name: network(small).clip(0, 1) for name, network in results.items()}
quality = {name: lsr.psnr(picture, photograph, crop=4) for name, picture in pictures_made.items()}
for name, value in quality.items():
    print(f"{name:20} {value:.2f} dB")

figure = plt.figure(figsize=(8, 5.5), layout="constrained")
grid = figure.add_gridspec(2, 3, height_ratios=(1.2, 1))
for column, (name, picture) in enumerate(pictures_made.items()):
    panel = figure.add_subplot(grid[0, column])
    panel.imshow(picture)
    panel.set_title(f"{name}\n{quality[name]:.1f} dB", fontsize=10)
    panel.set_axis_off()
panel = figure.add_subplot(grid[1, :])
panel.plot(range(1, steps + 1), losses, "-o", color="#1f5aa6")
panel.set(xlabel="step", ylabel="mean absolute error", ylim=(0, None), title="The loss of each step's crops")
plt.show()

# %%
# Not all of that is a merit of training. A part of it is the brightness, which the factors had shifted and which can be
# had back in one pass without a gradient (exercise 2), and fitting each layer to its input goes further still. What
# training adds to a fit is that layers make up for each other's errors. That is the smaller part, and takes hundreds of
# steps and more photographs. ``lowrank-sr finetune`` does it, and with ``--teacher`` the target is what the dense
# network makes of a picture :cite:p:`hinton2015`.
#
# What the clock says
# -------------------
#
# A step takes the layers forwards, backwards to their inputs, and the correlations for their kernels: about three times
# the FLOPs of one run. Layers of the dense blocks are computed a second time instead of being kept
# :cite:p:`chen2016`. Some of it, the optimiser's pass over all weights, does not depend on the size of the crops.

channels = {"C": 64, "N": 32}
weight = rng.standard_normal((32, 64, 3, 3), dtype=np.float32) / 24
layer = Dense(weight, np.zeros(32, np.float32))  # of the shape of a dense block's first layer
maps = {name: from_array(rng.standard_normal((64, 64, count), dtype=np.float32)) for name, count in channels.items()}
into_y, into_x = allocate(64, 64, 32), allocate(64, 64, 64)
forwards = convolution(layer, "winograd")
backwards = DenseBackward(layer)
runs = {
    "forwards": lambda: forwards(maps["C"], into_y, Epilogue(layer.bias)),
    "backwards": lambda: backwards(maps["C"], maps["N"], into_x, Epilogue(np.zeros(64, np.float32))),
}
times = interleaved(runs, rounds=9, sample=0.01)  # short calls are repeated for 10 ms
ratio = median(back / forth for back, forth in zip(times["backwards"], times["forwards"], strict=True))
print(f"backwards takes {ratio:.1f} times as long as forwards, one layer of 64 to 32 channels")

# %%
# Were both convolutions and the correlation equally fast for their FLOPs, the ratio would be 2. The forward pass and
# the turned kernel go by Winograd's algorithm and the correlation does not, so the ratio is larger where Winograd gains
# much.
#
# Exercises
# ---------
#
# **1.** The kernel of an SVD pair is :math:`W[n, c, i, j] = \sum_k h[n, k, j] \, v[k, c, i]`. Express :math:`dv` and
# :math:`dh` by :math:`dW`, and check it against :class:`lowrank_sr.training.separable.SeparableBackward`, which never
# forms :math:`dW`. How many multiplications does it save?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/14_finetuning_a.py
#
# **2.** How much of what came back is a matter of biases alone? :func:`lowrank_sr.compression.fit.refit_biases` sets
# them in one pass, so that each channel keeps its mean. Then train only the biases, all other gradients set to zero,
# for eight steps. Why is that so much less?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/14_finetuning_b.py
#
# References
# ----------
#
# Fine-tuning after a factorisation is in :cite:p:`lebedev2014`, a teacher's output as the target in
# :cite:p:`hinton2015`, the optimiser in :cite:p:`jordan2024`, :cite:p:`loshchilov2017` and :cite:p:`polyak1992`,
# computing again instead of keeping in :cite:p:`chen2016`.
