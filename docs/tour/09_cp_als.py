r"""
CP and alternating least squares
================================

The SVD cuts a kernel in two. The *canonical polyadic* decomposition, CP, cuts it in four: one factor for each axis.
There is no formula for it. This chapter finds it step by step, watches the steps get stuck in a *swamp*, watches two
terms grow without bound because no best approximation exists, and shows what a small price on large terms does.
"""

# %%
# The equation
# ------------
#
# A *tensor* is an array with several axes. A tensor of *rank one* is an outer product of vectors, one for each axis. CP
# writes a tensor as a sum of R of those, its *terms*. For a kernel, with its axes in the order input channel c, row i,
# column j, output channel n,
#
# .. math:: T[c, i, j, n] \approx \sum_{r=1}^{R} a[c, r] \; y[i, r] \; x[j, r] \; o[n, r] .
#
# The four *factors* are matrices: a is C x R, y and x are d x R, o is N x R. As a layer they are four convolutions in a
# row :cite:p:`lebedev2014`: 1 x 1 from C to R channels, d x 1 on each channel by itself, 1 x d on each channel by
# itself, 1 x 1 from R to N. Together they do R (C + 2 d + N) multiply-adds for a pixel.
#
# We look for the factors with the least squared error, :math:`\lVert T - T' \rVert^2`. In all four at once that is a
# hard problem. But with three factors fixed it is ordinary least squares in the fourth, because the sum is linear in
# it. *Alternating least squares* (ALS) solves for one factor after the other, around and around. Let :math:`F_m` be
# the factor of axis m. Its normal equations are :cite:p:`kolda2009`
#
# .. math::
#
#    F_m \, \Gamma = T_{(m)} \, Z, \qquad \Gamma = \prod_{l \neq m} F_l^\top F_l \text{, element by element,}
#
# where Z holds in its column r the outer product of the other factors' columns r, and :math:`T_{(m)}` is the tensor as
# a matrix with axis m in the rows. :math:`\Gamma` is R x R, so a step is cheap. No step can make the error larger.
#
# The norm of a term may be shared among its four columns in any way. So all columns but the last factor's are scaled to
# length 1. The length of the last factor's column r is then :math:`w_r`, the norm of the whole term r.
#
# In plain NumPy
# --------------
#
# One more thing is built in already: a *ridge* :math:`\lambda`. It adds :math:`\lambda \sum_r w_r^2` to what is
# minimised, which adds :math:`\lambda` times its own diagonal to :math:`\Gamma`. First we leave it at zero.

from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.conv.methods import convolve
from lowrank_sr.factors import cp_kernel
from lowrank_sr.layers import CP, Dense, Separable, random_layer
from lowrank_sr.lowrank import cp_als
from lowrank_sr.machine.threads import blas_threads, limited
from lowrank_sr.machine.timing import interleaved


def als(T, start, sweeps, ridge=0.0):
    """Factors of a tensor with any number of axes; relative error and norms of the terms after each sweep."""
    axes = "abcd"[: T.ndim]
    factors, errors, norms = list(start), [], []
    for _ in range(sweeps):
        for m in range(T.ndim):
            others = [k for k in range(T.ndim) if k != m]
            gram = np.prod([factors[k].T @ factors[k] for k in others], axis=0)  # (R, R)
            inputs = ",".join([axes] + [axes[k] + "r" for k in others])
            product = np.einsum(f"{inputs}->{axes[m]}r", T, *(factors[k] for k in others), optimize=True)
            gram += ridge * np.diag(np.diag(gram))
            factors[m] = np.linalg.solve(gram, product.T).T  # (size of axis m, R)
            if m < T.ndim - 1:
                factors[m] = factors[m] / np.linalg.norm(factors[m], axis=0)
        norms.append(np.linalg.norm(factors[-1], axis=0))  # (R,), w
        errors.append(np.linalg.norm(T - multiplied_out(factors)) / np.linalg.norm(T))
    return factors, np.array(errors), np.array(norms)


def multiplied_out(factors):
    """The tensor that the factors stand for."""
    axes = "abcd"[: len(factors)]
    return np.einsum(",".join(axis + "r" for axis in axes) + "->" + axes, *factors, optimize=True)


# %%
# The same through the package
# ----------------------------
#
# :func:`lowrank_sr.lowrank.cp_als.decompose` does these steps for kernels, with the ridge
# :data:`lowrank_sr.lowrank.cp_als.TERM_RIDGE`, and shares some products between them. Both begin with the same factors:
# for each axis the directions that matter most, then noise.

net = lsr.load("psnr-small")
layer = net.layers["RRDB_trunk.0.RDB1.conv1"]
kernel = layer.weight  # (32, 64, 3, 3)
T = kernel.transpose(1, 2, 3, 0).astype(np.float64)  # (64, 3, 3, 32)
R = int(flops.break_even("cp", *layer.shape) / 2)  # at half the FLOPs of the dense layer
start = cp_als.start(T, R, np.random.default_rng(0))
print(f"R = {R}, ridge {cp_als.TERM_RIDGE}")

SWEEPS = 30
ours, errors, norms = als(T, start, SWEEPS, cp_als.TERM_RIDGE)
theirs, fits = cp_als.decompose(kernel, R, sweeps=SWEEPS, tolerance=0)
print(f"relative error of the kernel: {errors[-1]:.6f} here, {1 - fits[-1]:.6f} by the package")

# The same least-squares problems in float64. Rounding, 1e-16, is multiplied by the condition numbers of the normal
# equations, which the ridge keeps below about R / λ = 1e5, and by the sweeps that build upon each other.
difference = cp_kernel(*theirs) - multiplied_out(ours).transpose(3, 0, 1, 2)
assert np.abs(difference).max() < 1e-9 * np.abs(kernel).max()

# %%
# A tensor without a best approximation
# -------------------------------------
#
# For matrices, the truncated SVD is a best approximation of rank K, always. For tensors there need not be one. Take two
# perpendicular unit vectors, e and f, and the 2 x 2 x 2 tensor
#
# .. math:: T = e \circ e \circ f + e \circ f \circ e + f \circ e \circ e ,
#
# where :math:`\circ` is the outer product. It needs three terms. And yet two come as close as one likes:
#
# .. math::
#
#    t \, \left(e + \tfrac{1}{t} f\right) \circ \left(e + \tfrac{1}{t} f\right) \circ \left(e + \tfrac{1}{t} f\right)
#    - t \; e \circ e \circ e = T + \text{terms of size } \tfrac{1}{t} .
#
# The larger :math:`t`, the smaller the error. But both terms have a norm of about :math:`t`, and they point in almost
# opposite directions: they nearly cancel. There is no best pair of terms, only better and better ones, with larger and
# larger norms :cite:p:`kolda2009`. ALS finds its way along this path.

e, f = np.eye(2)


def outer(*vectors):
    return np.einsum("i,j,k->ijk", *vectors)


degenerate = outer(e, e, f) + outer(e, f, e) + outer(f, e, e)  # (2, 2, 2)
rng = np.random.default_rng(0)
noise = [rng.standard_normal((2, 2)) for _ in range(3)]  # (2, R) with R = 2
MANY = 1000
free_factors, free_errors, free_norms = als(degenerate, noise, MANY)


def cosine(factors):
    """The cosine of the angle between the first two terms, as tensors."""
    units = [factor / np.linalg.norm(factor, axis=0) for factor in factors]
    return float(np.prod([u[:, 0] @ u[:, 1] for u in units]))


print("without a ridge:")
for sweep in (10, 100, MANY):
    norm = free_norms[sweep - 1].max()
    print(f"  after {sweep:4} sweeps: error {free_errors[sweep - 1]:.4f}, largest term {norm:.2f}")
print(f"  cosine between the two terms: {cosine(free_factors):.4f}")
assert (np.diff(free_errors) < 0).all()  # smaller with every sweep
assert (np.diff(free_norms.max(axis=1)[10:]) > 0).all()  # and larger
assert cosine(free_factors) < -0.9

# %%
# That is a *diverging pair of columns*. A network does not like it: two branches with large values of opposite signs,
# whose small difference is all that is wanted. In float32 the rounding of the large values stays, and a layer that is
# stored in float16 loses more. Phan et al. found such pairs in the kernels of trained networks :cite:p:`phan2020`.
#
# What the ridge does
# -------------------
#
# With :math:`\lambda \sum_r w_r^2` in what is minimised, growing has a price. With all factors zero the total would be
# :math:`\lVert T \rVert^2`; a minimum is no larger, so there
#
# .. math:: \sum_r w_r^2 \le \lVert T \rVert^2 / \lambda .
#
# Norms are bounded, hence a minimum exists, and ALS settles. The price is a larger error: it stops where a smaller one
# would need larger terms than it is worth.

bound_factors, bound_errors, bound_norms = als(degenerate, noise, MANY, cp_als.TERM_RIDGE)
print("with the ridge:")
for sweep in (10, 100, MANY):
    norm = bound_norms[sweep - 1].max()
    print(f"  after {sweep:4} sweeps: error {bound_errors[sweep - 1]:.4f}, largest term {norm:.2f}")
print(f"  cosine between the two terms: {cosine(bound_factors):.4f}")
assert np.sum(bound_norms[-1] ** 2) <= np.sum(degenerate**2) / cp_als.TERM_RIDGE
assert np.isclose(bound_norms[-1].max(), bound_norms[MANY // 2].max(), rtol=1e-6)  # it has settled

# %%
# And on the kernel from above? Thirty sweeps without the ridge and with it, from the same start. The sum of the terms'
# squared norms is given over the kernel's own squared norm.

_, kernel_errors, kernel_norms = als(T, start, SWEEPS)
for name, its_errors, its_norms in (("without", kernel_errors, kernel_norms), ("with", errors, norms)):
    squares = np.sum(its_norms**2, axis=1) / np.sum(T**2)
    print(
        f"{name:7} ridge: error {its_errors[-1]:.4f}, squared norms "
        f"{squares[9]:.2f} after 10 sweeps, {squares[-1]:.2f} at the end"
    )

# %%
# The terms' squared norms add up to more than the kernel's: terms cancel each other here too, and without the ridge
# increasingly so. The error is about the same with the ridge as without.
#
# A swamp
# -------
#
# ALS can be slow for another reason. Take a 6 x 6 x 6 tensor that *has* rank two exactly, and make its two terms more
# and more alike: the angle between the columns of each factor gets smaller. Then :math:`\Gamma` is nearly singular, and
# each step moves the factors only a little. The error stays on a plateau, the swamp, for many sweeps, drops, and may
# reach the next one. From the curve alone one cannot tell a swamp from an end.


def two_terms(cosine_of_columns, rng):
    """A tensor of two terms, with this cosine between the two columns of each factor."""
    factors = []
    for _ in range(3):
        first, second = np.linalg.qr(rng.standard_normal((6, 2)))[0].T  # perpendicular
        along = np.sqrt(1 - cosine_of_columns**2)
        factors.append(np.stack([first, cosine_of_columns * first + along * second], axis=1))  # (6, 2)
    return multiplied_out(factors)


curves = {}
for cosine_of_columns in (0.5, 0.95):
    rng = np.random.default_rng(0)
    tensor = two_terms(cosine_of_columns, rng)
    begin = [rng.standard_normal((6, 2)) for _ in range(3)]
    _, curves[cosine_of_columns], _ = als(tensor, begin, MANY)
    for sweep in (5, 10, 20, 50, 200, MANY):
        print(f"cosine {cosine_of_columns}: error {curves[cosine_of_columns][sweep - 1]:.1e} after {sweep} sweeps")

# %%
# The package stops when a sweep changes the fit by less than
# :data:`lowrank_sr.lowrank.cp_als.FIT_TOLERANCE`, or after :data:`lowrank_sr.lowrank.cp_als.SWEEPS` sweeps. In a
# swamp that may be too early. It matters less than it seems: the factors are fitted to data afterwards
# (:doc:`/auto_tour/11_fitting`).
#
# The figure has the errors on the left. The swamp is the flat part of the dashed curve, before its first drop. The
# tensor without a best approximation never reaches a plateau: its curve is a straight line in these axes, an error that
# falls like a power of the number of sweeps. On the right, the norm of its largest term: it grows for ever without the
# ridge, and comes to rest with it.

sweeps = np.arange(1, MANY + 1)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
for cosine_of_columns, line, marker in ((0.5, "-", "o"), (0.95, "--", "s")):
    label = f"rank 2, cosine {cosine_of_columns}"
    left.loglog(sweeps, curves[cosine_of_columns], line, marker=marker, markevery=0.12, label=label)
left.loglog(sweeps, free_errors, ":", color="black", marker="x", markevery=0.12, label="no best approx.")
left.loglog(sweeps, bound_errors, "-.", color="0.5", marker="^", markevery=0.12, label="... with the ridge")
left.set(xlabel="sweeps", ylabel="relative error", title="errors", ylim=(1e-7, 2))
left.legend(fontsize=8, loc="lower right")
size = np.linalg.norm(degenerate)
right.loglog(sweeps, free_norms.max(axis=1) / size, ":", color="black", marker="x", markevery=0.12, label="without")
right.loglog(
    sweeps, bound_norms.max(axis=1) / size, "-.", color="0.5", marker="^", markevery=0.12, label="with the ridge"
)
right.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
right.set_yticks([], minor=True)
right.set(xlabel="sweeps", ylabel="norm of the largest term (tensor: 1)", title="no best approximation")
right.legend(fontsize=8)
plt.show()

# %%
# What the clock says
# -------------------
#
# CP layers and SVD pairs at half the FLOPs of a dense layer, 64 to 64 channels, 48 x 48 pixels, one thread. Run as four
# separate layers, CP would move R channels of the whole map through memory several times, for two steps that do next to
# no arithmetic. The package fuses the four (:mod:`lowrank_sr.conv.cp`). How much of the theoretical speed-up of 2
# arrives, and whether CP or the pair is ahead, depends on the machine. Their ranks cannot be compared, nor does equal
# FLOPs mean equal errors.

shape = (64, 64, 3)
half = {form: int(flops.break_even(form, *shape) / 2) for form in ("svd", "cp")}
contestants: dict[str, Dense | Separable | CP] = {"dense": random_layer(shape)}
contestants |= {form: random_layer(shape, form, rank) for form, rank in half.items()}
picture = np.random.default_rng(0).standard_normal((48, 48, 64)).astype(np.float32)
runs = {name: lambda layer=layer: convolve(picture, layer, "direct") for name, layer in contestants.items()}
with limited(1), blas_threads(1):
    times = interleaved(runs, rounds=15)
for form, rank in half.items():
    ratio = median(dense / own for dense, own in zip(times["dense"], times[form], strict=True))
    print(f"{form:3} of rank {rank:3}: measured speed-up {ratio:.2f}")

# %%
# Exercises
# ---------
#
# **1.** Check the formula with :math:`t` above for t = 1, 10, 100 and 1000. By what factor do error and norms change
# from one to the next? In float32, how large may t be before the error grows again?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/09_cp_als_a.py
#
# **2.** A more common ridge adds :math:`\lambda I` to :math:`\Gamma`, with the identity I. Show that with it the
# relative error depends on the kernel's scale, and that with :math:`\lambda \, \mathrm{diag}\, \Gamma` it does not.
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/09_cp_als_b.py
#
# References
# ----------
#
# - CP of a convolution kernel, as a layer: :cite:p:`lebedev2014`.
# - CP, ALS, swamps, and tensors without a best approximation: :cite:p:`kolda2009`.
# - Diverging terms in networks, and a cure that bounds their norms: :cite:p:`phan2020`.
