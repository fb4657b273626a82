"""Two compressed layers: the second fitted without regard to the first, or towards what the dense ones give."""

import numpy as np

from lowrank_sr.factors import pair_kernel
from lowrank_sr.lowrank import refit_svd
from lowrank_sr.lowrank.data_norm import target_kernel

rng = np.random.default_rng(0)
C, K = 24, 8
first, second = (rng.standard_normal((C, C, 1, 1)) / np.sqrt(C) for _ in range(2))  # kernels of 1 x 1: matrices


def relu(y):
    return np.maximum(y, 0.2 * y)


def apply(kernel, x):
    return x @ kernel[:, :, 0, 0].T  # (patches, C) -> (patches, N)


def samples(count):
    return rng.standard_normal((count, C)) * 0.8 ** np.arange(C)  # some channels vary much more than others


def fitted(kernel, x):
    """The pair of rank K that is the best for inputs x, as a dense kernel."""
    return pair_kernel(*refit_svd.refit(kernel, K, np.cov(x.T, bias=True)))


x, test = samples(20_000), samples(20_000)
small_first = fitted(first, x)
dense_middle, small_middle = relu(apply(first, x)), relu(apply(small_first, x))

alone = fitted(second, dense_middle)

centred = small_middle - small_middle.mean(0)
outputs = apply(second, dense_middle)
cross = (outputs - outputs.mean(0)).T @ centred / len(x)  # Cov[t, p], (N, C)
corrected = target_kernel(second, np.cov(small_middle.T, bias=True), cross)
in_turn = fitted(corrected, small_middle)

truth = apply(second, relu(apply(first, test)))
errors = {}
for name, kernel in (("alone", alone), ("in turn", in_turn)):
    out = apply(kernel, relu(apply(small_first, test)))
    difference = out - truth
    errors[name] = np.sqrt(difference.var(0).sum() / truth.var(0).sum())  # the bias takes the mean
    print(f"{name:8} relative error of the second layer's outputs {errors[name]:.4f}")
print(f"in turn it is {1 - errors['in turn'] / errors['alone']:.1%} smaller")
assert errors["in turn"] < errors["alone"]
