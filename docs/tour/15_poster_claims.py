"""
The poster's claims, one by one
===============================

This project started from a poster about the SVD and CP in ESRGAN :cite:p:`sedky_hosmer`.
It makes seven claims.
Which of them hold here, in a few seconds of computing?
"""

# %%
# What is compared, and what this chapter is not
# ----------------------------------------------
#
# The poster measured one picture, which it does not name, and does not say which ranks it used or what its threshold
# did. Here everything is small as well: one detail of one photograph, and `psnr-small`, with 3 of ESRGAN's 23 blocks.
# That is enough to see each mechanism, not to settle a question about pictures. ``lowrank-sr study`` asks
# the same questions with six photographs, confidence intervals and a rule for each verdict. Where the two disagree,
# believe the study.
#
# FLOPs for each pixel of a layer with :math:`C` input channels, :math:`N` output channels and a :math:`d \times d`
# kernel:
#
# .. math::
#
#    \text{dense: } 2 d^2 N C, \qquad
#    \text{SVD, rank } K \text{: } 2 d K (C + N), \qquad
#    \text{CP, rank } R \text{: } 2 R (C + 2 d + N) .
#
# Every network of this chapter takes its layers at half their FLOPs. The factors come from the kernels alone, as on
# the poster.

from functools import partial
from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.compression.factorise import from_kernel
from lowrank_sr.layers import Separable, random_layer
from lowrank_sr.lowrank import svd
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES
from lowrank_sr.study.measure.spectra import condition_numbers

net = lsr.load("psnr-small", method="direct")
inner = [name for name in net.layers if name not in ("conv_first", "conv_last")]
photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]  # (128, 128, 3)
small = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255  # (32, 32, 3)


def svd_pair(weight, rank):
    """The pair closest to a kernel (N, C, d, d): vertical (K, C, d), horizontal (N, K, d)."""
    n, c, d, _ = weight.shape
    matrix = weight.transpose(1, 2, 3, 0).reshape(c * d, d * n)  # rows (c, i), columns (j, n)
    u, sigma, q_t = np.linalg.svd(matrix.astype(float), full_matrices=False)
    root = np.sqrt(sigma[:rank])
    vertical = (u[:, :rank] * root).T.reshape(rank, c, d)
    horizontal = (root[:, None] * q_t[:rank]).reshape(rank, d, n).transpose(2, 0, 1)
    return vertical, horizontal


def half_rank(form, name):
    """The largest rank at half the layer's FLOPs."""
    return int(flops.break_even(form, *net.layers[name].shape) / 2)


pairs, spectra = {}, {}
for name in inner:
    layer = net.layers[name]
    pairs[name] = Separable(*svd_pair(layer.weight, half_rank("svd", name)), layer.bias)
    spectra[name] = svd.singular_values(layer.weight)

# The same through the package. A pair is unique but for the signs of its halves, so the products are compared; both are
# float32, which rounds each factor by half a unit in the last place.
kernel = pairs["upconv2"].kernel()
from_package = from_kernel(net.layers["upconv2"], "svd", half_rank("svd", "upconv2"))[0].kernel()
assert np.linalg.norm(kernel - from_package) <= 4 * np.finfo(np.float32).eps * np.linalg.norm(kernel)

# %%
# Which layers? The poster's Figure 2 plots the condition number :math:`\kappa = \sigma_1 / \sigma_m` of each layer's
# kernel, its largest singular value over its smallest, and marks layers by a threshold. It does not say whether the
# layers above it are decomposed or those below. We put the threshold into the widest gap, on a logarithmic scale, and
# try both (:doc:`/auto_tour/10_condition_numbers`).

kappa = {name: sigma[0] / sigma[-1] for name, sigma in spectra.items()}
ordered = sorted(kappa, key=kappa.get)
gaps = np.diff(np.log([kappa[name] for name in ordered]))
marked = ordered[gaps.argmax() + 1 :]  # those above the widest gap
unmarked = [name for name in inner if name not in marked]
print("above the widest gap:", ", ".join(f"{name} ({kappa[name]:.0f})" for name in marked))
assert set(marked) == set(condition_numbers(net).marked)


def with_pairs(names):
    """The network with these layers as SVD pairs."""
    return lsr.RRDBNet({**net.layers, **{name: pairs[name] for name in names}}, "direct")


networks = {
    "SVD, all layers": with_pairs(inner),
    "SVD, marked": with_pairs(marked),
    "SVD, unmarked": with_pairs(unmarked),
}

# %%
# CP by alternating least squares takes longer (:doc:`/auto_tour/09_cp_als`), so only the marked layers get real factors
# here. For the clock the values of the factors do not matter, and all layers get noise.


def cp_layer(name):
    """The CP layer closest to the kernel, at half its FLOPs."""
    return from_kernel(net.layers[name], "cp", half_rank("cp", name))[0]


networks["CP, marked"] = lsr.RRDBNet({**net.layers, **{name: cp_layer(name) for name in marked}}, "direct")
noise = {name: random_layer(net.layers[name].shape, "cp", half_rank("cp", name)) for name in inner}
cp_for_the_clock = lsr.RRDBNet({**net.layers, **noise}, "direct")

# %%
# "Both slightly outperformed the direct convolution"
# ---------------------------------------------------
#
# Speed-up is measured over direct convolution, in turn with it. Two contestants are added that the poster does not
# have: Winograd's algorithm, which computes the same picture as the dense network, and the SVD pairs by F(6, 3).

timed = {
    "direct": net,
    "im2col": net.with_method("im2col"),
    "Winograd": net.with_method("winograd"),
    "SVD": networks["SVD, all layers"],
    "CP": cp_for_the_clock,
    "SVD, F(6, 3)": networks["SVD, all layers"].with_method("winograd"),
}
seconds = interleaved({name: partial(network, small) for name, network in timed.items()}, rounds=3)
speedup = {name: median(d / t for d, t in zip(seconds["direct"], seconds[name], strict=True)) for name in timed}
theory = {name: net.flops_per_pixel / network.flops_per_pixel for name, network in timed.items()}
for name in timed:
    print(f"{name:13} {theory[name]:.2f} in theory, {speedup[name]:.2f} on the clock")
for name in ("SVD", "CP"):
    print(
        f"{name} faster than direct: {'yes' if speedup[name] > 1 else 'no'}; "
        f"than Winograd, which loses nothing: {'yes' if speedup[name] > speedup['Winograd'] else 'no'}"
    )

# %%
# That they are faster than direct is to be expected: at half the FLOPs they would have to run at half the rate not to
# be. Direct convolution is the wrong thing to beat (:doc:`/auto_tour/13_svd_winograd`).
#
# "Reduce the model size"
# -----------------------
#
# Size is the number of parameters. It follows the FLOPs where every layer is factorised. The marked layers are few.

parameters = {name: network.parameters / net.parameters for name, network in networks.items()}
for name, share in parameters.items():
    print(f"{name:16} keeps {100 * share:.0f} % of {net.parameters:,} parameters")
assert all(share < 1 for share in parameters.values())

# %%
# "With minimal loss in accuracy", and "SVD even improved PSNR and SSIM"
# ----------------------------------------------------------------------
#
# The poster's Table 1 has 23.27 dB for the original, 23.31 for SVD and 22.99 for CP; so it calls a loss of 0.28 dB
# minimal, and a gain of 0.04 dB an improvement.


def quality(network):
    """PSNR in dB and SSIM of the enlarged detail, on RGB."""
    picture = network(small)
    return tuple(measure(picture, photograph, crop=4, channels="rgb") for measure in (lsr.psnr, lsr.ssim))


original = quality(net)
change = {name: np.subtract(quality(network), original) for name, network in networks.items()}
print(f"{'original':16} {original[0]:.2f} dB, SSIM {original[1]:.4f}")
for name, (psnr, ssim) in change.items():
    minimal = "minimal" if psnr >= -0.28 else "more than minimal"
    print(f"{name:16} {psnr:+.2f} dB, SSIM {ssim:+.4f}: {'improved' if psnr > 0 and ssim > 0 else minimal}")

# %%
# The network was trained to make the mean error of such pictures small. A truncated kernel is another network, near to
# it; on a single picture it may come out ahead by a few hundredths of a dB, by chance, and the next picture decides
# otherwise. That is why the study asks for the mean over several and its confidence interval. What a wrong choice of
# layers costs is no chance, and happens to both forms. Fitted factors lose far less than those of the kernels
# (:doc:`/auto_tour/11_fitting`), and ranks can be chosen by what they cost the picture (:doc:`/auto_tour/12_ranks`).
#
# "A lower threshold slows it down"
# ---------------------------------
#
# A threshold can mean three things. FLOPs are enough to see what each would do:
#
# 1. it selects the layers above it: a lower one selects more;
# 2. it is the condition number :math:`\sigma_1 / \sigma_K` to truncate at: a lower one keeps fewer values;
# 3. it is a limit for the singular values themselves: a lower one keeps more.


def cost(ranks):
    """FLOPs of the network with SVD pairs of these ranks by name, over those of the dense one."""
    saved = 0
    for name, rank in ranks.items():
        shape = net.layers[name].shape
        saved += net.architecture.area(name) * (flops.dense(*shape) - flops.svd(*shape, rank))
    return 1 - saved / net.flops_per_pixel


def kept(condition):
    """The rank of each layer: how many of its singular values meet the condition."""
    return {name: max(1, int(np.count_nonzero(condition(sigma)))) for name, sigma in spectra.items()}


readings = {
    "selects layers": [
        (t, cost({name: half_rank("svd", name) for name in inner if kappa[name] > t}))
        for t in np.geomspace(5, 5000, 30)
    ],
    "truncates at σ₁/σ_K": [
        (t, cost(kept(lambda sigma, t=t: sigma * t >= sigma[0]))) for t in np.geomspace(1.1, 100, 30)
    ],
    "is a limit for σ": [(t, cost(kept(lambda sigma, t=t: sigma >= t))) for t in np.geomspace(0.01, 3, 30)],
}
for name, points in readings.items():
    (low, at_low), (high, at_high) = points[0], points[-1]
    print(f"{name:20} FLOPs {at_low:.2f} of dense at {low:.3g}, {at_high:.2f} at {high:.3g}")
    assert (at_low > at_high) == (name == "is a limit for σ")

# %%
# So the claim is true of the third reading, and of the third only. Above the break-even rank a pair costs more than the
# dense layer, and as nothing kept the poster's ranks below it, "slower" is what one would see. The package leaves such
# a layer dense.
#
# "im2col is too memory intensive and is slower"
# ----------------------------------------------
#
# im2col (:doc:`/auto_tour/02_im2col`) writes each pixel nine times before it multiplies. For the widest layer of the
# tail that is, for a picture of 256 x 256 pixels enlarged to 1024 x 1024 as a whole:

pixels, channels = 1024**2, 64
print(f"feature map {4 * pixels * channels / 1e6:.0f} MB, patch matrix {4 * 9 * pixels * channels / 1e6:.0f} MB")
print(f"measured above: {speedup['im2col']:.2f} times as fast as direct")

# %%
# The package computes the tail in bands (:doc:`/auto_tour/07_tail_in_bands`), so that neither is ever held as a whole.
# Slower or not is up to the machine: the patch matrix is memory traffic, and BLAS is fast.
#
# "A speed-up of d² at R = NC/(N+C)"
# ----------------------------------
#
# At this rank CP costs :math:`2 N C (N + C + 2 d) / (N + C)`, so the speed-up is
#
# .. math::
#
#    \frac{2 d^2 N C}{2 N C (N + C + 2 d) / (N + C)} = d^2 \, \frac{N + C}{N + C + 2 d} ,
#
# near :math:`d^2 = 9` where :math:`N + C` is much larger than :math:`2 d = 6`. As theory that is right. What it leaves
# out is what such a layer still computes.

n, c, d = net.layers["upconv2"].shape
rank = round(n * c / (n + c))
in_theory = flops.dense(n, c, d) / flops.cp(n, c, d, rank)
assert abs(in_theory - d * d * (n + c) / (n + c + 2 * d)) < 0.5  # the rank is rounded to a whole number
_, error = from_kernel(net.layers["upconv2"], "cp", rank)
print(
    f"upconv2 at rank {rank}: {in_theory:.2f} times fewer FLOPs; the kernel is off by {100 * error:.0f} % of its norm"
)

# %%
# All of it in one figure
# -----------------------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
place = np.arange(len(timed))
left.barh(place + 0.2, theory.values(), 0.38, color="#c9ccd4", edgecolor="black", label="in theory, by FLOPs")
left.barh(place - 0.2, speedup.values(), 0.38, color="#1f5aa6", hatch="//", edgecolor="white", label="measured")
left.set_yticks(place, timed)
left.invert_yaxis()
left.set(xlabel="times as fast as direct convolution", title="Speed")
left.legend(fontsize=9)
for (name, points), look in zip(readings.items(), ("-o", "--s", ":^"), strict=True):
    thresholds, costs = zip(*points, strict=True)
    right.semilogx(thresholds, costs, look, markersize=4, label=name)
right.axhline(1, color="black", linewidth=0.8)
right.set(xlabel="threshold", ylabel="FLOPs over those of the dense network", title="What the threshold does")
right.legend(fontsize=9)
plt.show()

# %%
# What the clock says is above, and in the left half of the figure. On another machine the bars have other lengths: only
# the lengths in theory are the same everywhere. Whether SVD and CP come out ahead of Winograd's algorithm, and whether
# im2col ends behind direct convolution, can differ. The report that ``lowrank-sr study`` writes has a table of the same
# claims, each with its verdict, the numbers behind it and the rule.
#
# Exercises
# ---------
#
# **1.** How many channels :math:`N + C` does a layer need so that the formula for CP gives at least 0.8 :math:`d^2`?
# And at that rank, how many numbers has the CP layer for each number of the kernel?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/15_poster_claims_a.py
#
# **2.** Four layers cost the picture nearly everything. Is it one of them, or do they need each other? Factorise each
# of the four alone.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/15_poster_claims_b.py
#
# References
# ----------
#
# The poster is :cite:p:`sedky_hosmer`; the pair is from :cite:p:`tai2015`, CP from :cite:p:`lebedev2014`, the network
# from :cite:p:`wang2018`, Winograd's algorithm from :cite:p:`lavin2016`.
