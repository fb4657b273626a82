"""What the package is checked against: the definition of the convolution, and float64."""

import numpy as np
import pytest

from lowrank_sr.conv.algorithms import ALGORITHMS
from lowrank_sr.layers import CP, Dense, Separable

EPS = float(np.finfo(np.float32).eps)

# Every form of a layer with every method that computes it differently.
EVERY_WAY = pytest.mark.parametrize(
    ("kind", "method"),
    [(algorithm.form, algorithm.name) for algorithm in ALGORITHMS],
    ids=[f"{algorithm.form.__name__} {algorithm.name}" for algorithm in ALGORITHMS],
)


def seven_loops(x, weight, bias):
    """The definition, one loop for each index: (H, W, C), (N, C, d, d), (N,) -> (H, W, N) float64."""
    height, width, channels = x.shape
    n_out, _, d, _ = weight.shape
    out = np.zeros((height, width, n_out))
    for y in range(height):
        for x_ in range(width):
            for n in range(n_out):
                total = float(bias[n])
                for c in range(channels):
                    for i in range(d):
                        for j in range(d):
                            row, column = y + i - d // 2, x_ + j - d // 2
                            if 0 <= row < height and 0 <= column < width:
                                total += float(x[row, column, c]) * float(weight[n, c, i, j])
                out[y, x_, n] = total
    return out


def exact_convolution(x, weight, bias):
    """The same by one contraction of the patches, float64."""
    margin = weight.shape[2] // 2
    padded = np.pad(np.asarray(x, np.float64), ((margin, margin), (margin, margin), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (0, 1))
    return np.tensordot(patches, weight.astype(np.float64), ([2, 3, 4], [1, 2, 3])) + bias


def rounding_error(x, weight, bias):
    """Largest error of float32 sums of n terms: n eps / 2 of the sum of their magnitudes (Higham 2002, eq. 3.5)."""
    terms = weight[0].size + 2
    return terms * EPS / 2 * exact_convolution(np.abs(x), np.abs(weight), np.abs(bias))


def random_layer(kind, rng, n, c, rank=0):
    """A layer of class `kind`, its values of an order that keeps the output near 1; `rank` is of a factorised one."""
    values = rng.standard_normal
    bias = values(n, dtype=np.float32)
    if kind is Dense:
        return Dense(values((n, c, 3, 3), dtype=np.float32) / np.float32(3 * c**0.5), bias)
    if kind is Separable:
        vertical = values((rank, c, 3), dtype=np.float32) / np.float32((3 * c) ** 0.5)
        return Separable(vertical, values((n, rank, 3), dtype=np.float32) / np.float32((3 * rank) ** 0.5), bias)
    y, x = values((2, 3, rank), dtype=np.float32) / np.float32(3**0.5)
    cp_in = values((c, rank), dtype=np.float32) / np.float32(c**0.5)
    return CP(cp_in, y, x, values((n, rank), dtype=np.float32) / np.float32(rank**0.5), bias)


def dense_kernel(layer, of=lambda array: array):
    """The dense kernel in float64, of arrays to which `of` has been applied."""
    return type(layer)(*(of(array.astype(np.float64)) for array in layer.arrays().values())).kernel()


def exact_layer(x, layer):
    """What `layer` of any form computes, float64."""
    return exact_convolution(x, dense_kernel(layer), layer.bias)


def error_bound(x, layer, method, power=1):
    """Largest error of `layer` by `method`, eps / 2 of the sum of magnitudes for each term of each step.

    `power` = 2, for "winograd" only: a usual one, see `winograd_error`.
    """
    if method == "winograd" and isinstance(layer, Separable):
        return pair_winograd_error(x, layer.vertical, layer.horizontal, layer.bias, power)
    if method == "winograd" and isinstance(layer, Dense):
        return winograd_error(x, layer.weight, layer.bias, power)
    if isinstance(layer, Dense):
        return rounding_error(x, layer.weight, layer.bias)
    _, c, d = layer.shape
    terms = d * (c + layer.rank) if isinstance(layer, Separable) else c + 2 * d + layer.rank
    return (terms + 2) * EPS / 2 * exact_convolution(np.abs(x), dense_kernel(layer, np.abs), np.abs(layer.bias))


def assert_rounds_to_layer(actual, x, layer, method):
    """`actual` is `layer` of `x`, but for roundings."""
    error = np.abs(actual - exact_layer(x, layer))
    assert (error <= error_bound(x, layer, method)).all()
    if method == "winograd" and not isinstance(layer, CP):  # the bound is far from what random numbers come to
        assert np.linalg.norm(error) <= np.linalg.norm(error_bound(x, layer, method, power=2))


class Roundings:
    """A number that counts how often it has been rounded to float32, to be put through a transform.

    Sums and differences are rounded, products are but for those by a power of two, and so is a factor that float32
    does not hold. Where a product and a sum fuse there is one rounding less.
    """

    def __init__(self, count=0):
        self.count = count

    def __add__(self, other):
        return Roundings(1 + max(self.count, other.count))

    __sub__ = __add__

    def __mul__(self, factor):
        if abs(np.frexp(factor)[0]) == 0.5:
            return self
        return Roundings(self.count + 1 + int(float(np.float32(factor)) != factor))

    __rmul__ = __mul__


def transform_roundings():
    """The most roundings on any way through the three transforms of F(6, 3), the kernel's included."""
    from lowrank_sr.conv.toom_cook import INPUT_TILE, times_a, times_b, times_g

    transforms = [(times_b, INPUT_TILE), (times_g, 3), (times_a, INPUT_TILE)]
    return sum(max(value.count for value in times([Roundings()] * n)) for times, n in transforms)


def winograd_error(x, weight, bias, power=1):
    """`rounding_error` for F(6 x 6, 3 x 3): the algorithm on magnitudes, eps / 2 of them for each rounding on the way.

    A product and its sum over C channels are C roundings, each transform has its own twice, the bias is one, and one
    more is more than the products of roundings come to. After Barabasz et al. 2020, "Error analysis and improving the
    accuracy of Winograd convolution", theorem 2.

    `power` = 2: not the largest but a usual error of random numbers. Their signs are random, so that variances add up,
    of every step's values as of its roundings: squares in the place of magnitudes, and the root of it all.
    """
    channels = x.shape[2]
    count = channels + 2 * transform_roundings() + 2
    return _error(count, _on_magnitudes(x, weight, power) + np.abs(bias) ** power, power)


def pair_winograd_error(x, vertical, horizontal, bias, power=1):
    """The same for the SVD pair by F(6, 3), (K, C, 3) and (N, K, 3): one dimension after the other."""
    middle = _on_magnitudes(x, vertical[..., None], power)
    count = x.shape[2] + len(vertical) + 2 * transform_roundings() + 2
    # `middle` is the sum of squares already where that is what is wanted
    out = _on_magnitudes(middle ** (1 / power), horizontal[..., None, :], power)
    return _error(count, out + np.abs(bias) ** power, power)


def _error(count, magnitudes, power):
    return EPS / 2 * (count * magnitudes) ** (1 / power)


def _on_magnitudes(x, weight, power):
    """The algorithm with each number replaced by its magnitude to the `power`; kernels are 3 x 3, 3 x 1 or 1 x 3."""
    from lowrank_sr.conv.toom_cook import A_T, B_T, INPUT_TILE, OUTPUT_TILE, G

    one = np.ones((1, 1))  # in a direction in which the kernel is 1 there is no transform
    sides = weight.shape[2:]
    (a0, b0, g0), (a1, b1, g1) = (
        [np.abs(matrix) ** power for matrix in ((A_T, B_T, G) if side == 3 else (one, one, one))] for side in sides
    )
    steps = [OUTPUT_TILE if side == 3 else 1 for side in sides]
    windows = [INPUT_TILE if side == 3 else 1 for side in sides]
    margins = [side // 2 for side in sides]

    height, width, channels = x.shape
    down, across = -(-height // steps[0]), -(-width // steps[1])
    padded = np.zeros((down * steps[0] + 2 * margins[0], across * steps[1] + 2 * margins[1], channels))
    within = tuple(slice(margin, margin + side) for margin, side in zip(margins, (height, width), strict=True))
    padded[within] = np.abs(np.asarray(x, np.float64)) ** power
    tiles = np.lib.stride_tricks.sliding_window_view(padded, windows, (0, 1))[:: steps[0], :: steps[1]]
    inputs = np.einsum("ik,yxckl,jl->yxcij", b0, tiles, b1, optimize=True)
    kernels = np.einsum("ik,nckl,jl->ncij", g0, np.abs(weight.astype(np.float64)) ** power, g1, optimize=True)
    sums = np.einsum("yxcij,ncij->yxnij", inputs, kernels, optimize=True)
    outputs = np.einsum("ik,yxnkl,jl->yixjn", a0, sums, a1, optimize=True)
    return outputs.reshape(down * steps[0], across * steps[1], -1)[:height, :width]
