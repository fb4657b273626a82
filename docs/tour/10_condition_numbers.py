r"""
Condition numbers mark the wrong layers
=======================================

Which layers of a network can be replaced by low-rank ones? The poster that this project began with marks layers by the
condition number of their kernels: those above a threshold are decomposed. It looks plausible. This chapter does it with
`psnr-small`, and measures what each layer costs the picture.
"""

# %%
# The equation
# ------------
#
# Write the kernel of a layer, (N, C, d, d), as the matrix M of :doc:`/auto_tour/08_svd`, of size C d x d N. Let
# :math:`\sigma_1 \ge \ldots \ge \sigma_m` be its singular values, with :math:`m = d \min(C, N)`. Its *condition number*
# is
#
# .. math:: \kappa = \frac{\sigma_1}{\sigma_m} ,
#
# how many times more the matrix stretches one direction than another. A large :math:`\kappa` says that some direction
# hardly matters. The *error* of the best pair of rank K, relative to the kernel, is
#
# .. math:: \epsilon(K) = \sqrt{\frac{\sum_{k > K} \sigma_k^2}{\sum_k \sigma_k^2}} .
#
# Look at which singular values occur. In :math:`\kappa` it is two of them, the first and the last. In
# :math:`\epsilon(K)` it is all of them, and the last one counts least.
#
# In plain NumPy
# --------------
#
# Two matrices of 12 x 12, built from chosen singular values. The first has eleven equal ones and a very small one.
# Those of the second get smaller by a fixed factor.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.lowrank import conditioning, svd
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.esrgan import forward
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES
from lowrank_sr.study.measure.spectra import widest_gap

rng = np.random.default_rng(0)


def with_singular_values(values):
    """A matrix (m, m) with these singular values, its directions drawn at random."""
    left = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    right = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    return left * values @ right.T


def error_at(values, rank):
    """The relative error of the best approximation of this rank."""
    return np.sqrt(np.sum(values[rank:] ** 2) / np.sum(values**2))


examples = {"flat, but for one": np.array([1.0] * 11 + [1e-3]), "falling": 0.7 ** np.arange(12)}
for name, values in examples.items():
    sigma = np.linalg.svd(with_singular_values(values), compute_uv=False)  # (12,)
    kappa = sigma[0] / sigma[-1]
    print(f"{name:18} condition number {kappa:6.1f}, error at half of full rank {error_at(sigma, 6):.3f}")

    # The same through the package. The smallest singular value is known to about 12 eps of the largest, 3e-15.
    assert np.isclose(conditioning.condition_number(sigma), kappa, rtol=1e-12)
    assert np.isclose(kappa, values[0] / values[-1], rtol=1e-10)

# %%
# The matrix with the *large* condition number is the one that a low rank cannot describe. A single small singular value
# is enough to raise :math:`\kappa`, and dropping it saves a single rank.
#
# A number that weighs all singular values is the *effective rank* :cite:p:`roy2007`: how many equal ones would be
# spread as widely as these. :func:`lowrank_sr.lowrank.conditioning.effective_rank` gives it.

for name, values in examples.items():
    print(f"{name:18} effective rank {conditioning.effective_rank(values):.1f} of {len(values)}")

# %%
# A trained network
# -----------------
#
# Now all layers of `psnr-small` but the first and the last, which have three channels on one side and stay dense. The
# threshold is put where the condition numbers leave the widest gap; layers above it are *marked*.

net = lsr.load("psnr-small", method="winograd")
names = [name for name in net.layers if name not in ("conv_first", "conv_last")]
spectra = {name: svd.singular_values(net.layers[name].weight) for name in names}
kappas = {name: conditioning.condition_number(sigma) for name, sigma in spectra.items()}
threshold = widest_gap(list(kappas.values()))
marked = conditioning.select(kappas, threshold)
unmarked = [name for name in names if name not in marked]
print(f"threshold {threshold:.0f}; above it: {', '.join(marked)}")
print(f"the largest below it is {max(kappas[name] for name in unmarked):.0f}")

# %%
# Four layers are marked: all that lie outside the dense blocks. What have they in common? Their shape. All have 64
# channels on both sides, so that M is square; in the dense blocks C and N differ. For comparison we draw kernels of
# *noise* of the same shapes. The condition number of a square matrix of noise is large, of the order of its size, while
# that of a matrix with twice as many rows as columns is small :cite:p:`edelman1988`.

print("medians: condition number and effective rank, % of full")
print("  N,   C            network                noise")
for shape in dict.fromkeys(net.layers[name].shape for name in names):
    n, c, d = shape
    own = [spectra[name] for name in names if net.layers[name].shape == shape]
    noise = [svd.singular_values(rng.standard_normal((n, c, d, d))) for _ in range(5)]
    columns = []
    for group in (own, noise):
        columns.append(median(conditioning.condition_number(sigma) for sigma in group))
        columns.append(100 * median(conditioning.effective_rank(sigma) / len(sigma) for sigma in group))
    print("{:3}, {:3}    {:8.0f} {:8.0f} %    {:8.0f} {:8.0f} %".format(n, c, *columns))

# %%
# In every row the network's condition number is larger than that of noise, by about the same factor. What lifts the
# last row above the others is its shape, in the network as in noise. So a large condition number says here that a layer
# has as many inputs as outputs. And the effective rank of the marked layers is nearly that of noise, while the layers
# of the dense blocks are well below it: the marked ones are those with the least structure for a low rank to find.
#
# What each layer costs the picture
# ---------------------------------
#
# Each layer in turn becomes an SVD pair with half its FLOPs, and all the others stay as they are. The network
# enlarges a small photograph; the *loss* is the mean squared difference from the picture that it makes with all layers
# dense. :func:`lowrank_sr.network.esrgan.forward` goes through the network layer by layer and asks a function for
# each output, so that layers before the changed one need not be computed again.

truth = read_image(IMAGES / "chelsea.png").pixels[60:140, 130:210]  # (80, 80, 3)
low = np.rint(255 * lsr.imresize(truth, 1 / 4).clip(0, 1)).astype(np.float32) / 255  # (20, 20, 3)
order = {name: place for place, name in enumerate(net.layers)}
dense_run = {name: on_stacks(layer, "winograd") for name, layer in net.layers.items()}
dense_output = {}


def remember(name, x):
    dense_output[name] = dense_run[name](x)
    return dense_output[name]


reference = forward(net.architecture, low, remember)  # (80, 80, 3)


def pair_of(name):
    """The layer as an SVD pair of its kernel at half its FLOPs."""
    layer = net.layers[name]
    return from_kernel(layer, "svd", int(flops.break_even("svd", *layer.shape) / 2))[0]


pairs = {name: pair_of(name) for name in names}


def picture_with(changed):
    """What the network makes of the photograph when these layers are pairs."""
    first = min(order[name] for name in changed)
    runs = dense_run | {name: on_stacks(pairs[name], "winograd") for name in changed}

    def compute(name, x):
        return dense_output[name] if order[name] < first else runs[name](x)

    return forward(net.architecture, low, compute)


def psnr(picture):
    return lsr.psnr(picture, truth, crop=4, channels="rgb")


differences = {name: picture_with([name]) - reference for name in names}  # (80, 80, 3) each
losses = {name: float(np.square(difference).mean()) for name, difference in differences.items()}
lost_db = {name: psnr(reference) - psnr(reference + difference) for name, difference in differences.items()}
errors = {name: error_at(spectra[name], pairs[name].rank) for name in names}
for name in marked:
    print(f"{name:11} error of the kernel {errors[name]:.2f}, picture {lost_db[name]:5.2f} dB worse")
print(f"of the {len(unmarked)} others the worst one makes it {max(lost_db[name] for name in unmarked):.3f} dB worse")
assert min(losses[name] for name in marked) > max(losses[name] for name in unmarked)

# %%
# The marked layers are exactly those which must not be decomposed like this. The threshold separates the layers as well
# as one could wish, but the side to decompose is the other one. How well do numbers from the spectrum alone put layers
# in order of loss? A *rank correlation* is 1 if two orders agree, -1 if one is the reverse of the other, and near 0 if
# they have nothing to do with each other.

candidates = {
    "condition number": kappas,
    "effective rank, of full": {name: conditioning.effective_rank(s) / len(s) for name, s in spectra.items()},
    "error at half the FLOPs": errors,
}
for label, values in candidates.items():
    print(label.ljust(24), end="")
    for title, group in (("all layers", names), ("unmarked only", unmarked)):
        correlation = spearmanr([values[name] for name in group], [losses[name] for name in group]).statistic
        print(f"   {title}: {correlation:5.2f}", end="")
    print()

# %%
# Among the unmarked layers no spectrum predicts the loss. It takes more than the kernel to know what a kernel's error
# does. Three things make the marked layers what they are:
#
# 1. *Shape.* At half the FLOPs the rank is a share :math:`\max(C, N) / 2 (C + N)` of full rank: a quarter where C = N,
#    and more where they differ. So a square layer has to drop a larger part of its spectrum.
# 2. *Place.* A layer in a dense block is scaled by 0.2 before it is added to its block's input, and by 0.2 again with
#    its block. What goes wrong in the tail reaches the picture as it is.
# 3. *Brightness.* Inputs of a layer are not noise around zero. What all patches have in common is multiplied by the
#    error of the kernel too, and shifts a whole channel of the output by a constant.
#
# The third can be seen in the picture. Split the loss into the square of the mean difference, for each colour, and the
# rest:

print("share of the loss that is a constant shift of a colour:")
for name in marked:
    shift = np.square(differences[name].mean(axis=(0, 1))).mean()
    print(f"  {name:11} {shift / losses[name]:4.0%}")

# %%
# A shift is easily repaired, by the bias. And factors can be fitted to the patches that a layer really sees. That is
# the next chapter, :doc:`/auto_tour/11_fitting`; which rank each layer should get is the one after it.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
place = np.arange(len(names))
is_marked = np.array([name in marked for name in names])
kappa_of, loss_of = (np.array([values[name] for name in names]) for values in (kappas, losses))
for axis, x, y in ((left, place, kappa_of), (right, kappa_of, loss_of)):
    axis.plot(x[~is_marked], y[~is_marked], "o", color="white", markeredgecolor="black", label="unmarked")
    axis.plot(x[is_marked], y[is_marked], "s", color="black", label="marked")
left.axhline(threshold, color="0.5", linestyle="--", label="widest gap")
left.set_yscale("log")
left.set_xticks([0, 15, 30, 45], ["block 0", "block 1", "block 2", "tail"])
left.set(
    xlabel="layer, in the order of the network",
    ylabel="condition number",
    title="what the poster looks at",
    xlim=(-2, 52),
)
left.legend(fontsize=9, loc="upper left")
right.loglog()
right.axvline(threshold, color="0.5", linestyle="--")
right.set(xlabel="condition number", ylabel="mean squared error of the picture (white = 1)", ylim=(5e-9, 2e-2))
right.set_title("what it costs, each layer alone")
for name in marked:
    spot = {"xytext": (0, 7), "ha": "center"} if name == "upconv2" else {"xytext": (-7, -3), "ha": "right"}
    right.annotate(name, (kappas[name], losses[name]), textcoords="offset points", fontsize=8, **spot)
plt.show()

# %%
# What the clock says
# -------------------
#
# The poster's recipe in its two readings: decompose the marked layers, or all the others, each at half its FLOPs. Both
# are timed against the dense network, by direct convolution and on one thread. The marked layers are few, but the last
# two of them work at the output's resolution, on 16 times as many pixels as the trunk. So either group saves a part of
# the time, of which more or less may arrive on your machine. While it is busy with something else too, the measured
# ratios waver, and may even come out below 1.

networks = {"dense": net.with_method("direct")}
networks["marked"] = lsr.RRDBNet({**net.layers, **{name: pairs[name] for name in marked}}, "direct")
networks["unmarked"] = lsr.RRDBNet({**net.layers, **{name: pairs[name] for name in unmarked}}, "direct")
with limited(1):
    times = interleaved({name: lambda network=network: network(low) for name, network in networks.items()}, rounds=7)
for name, changed in (("marked", marked), ("unmarked", unmarked)):
    ratio = median(dense / own for dense, own in zip(times["dense"], times[name], strict=True))
    promised = net.flops_per_pixel / networks[name].flops_per_pixel
    print(
        f"{name:8} theoretical speed-up {promised:.2f}, measured {ratio:.2f}; "
        f"picture {psnr(reference) - psnr(picture_with(changed)):.2f} dB worse"
    )

# %%
# Exercises
# ---------
#
# **1.** Change the condition number of `upconv2` without changing the picture: replace its smallest singular values, so
# that the layer is no longer marked. How much does the kernel change, and how much the picture?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/10_condition_numbers_a.py
#
# **2.** Condition numbers can also be used to choose ranks: keep the singular values with
# :math:`\sigma_1 / \sigma_k \le \kappa_{\max}` (:func:`lowrank_sr.lowrank.ranks.condition_rank`). For which
# :math:`\kappa_{\max}` is the network cheaper than the dense one? What happens beyond?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/10_condition_numbers_b.py
#
# References
# ----------
#
# - Layers marked by their condition number: :cite:p:`sedky_hosmer`.
# - Condition numbers of matrices of noise: :cite:p:`edelman1988`. The effective rank: :cite:p:`roy2007`.
# - What condition numbers are for, the solution of linear systems: :cite:p:`demmel1997`.
