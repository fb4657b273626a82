"""Moments of the patches that a layer sees, from the autocorrelation of its input: no patch is ever made.

p[(c, i, j)] = x[y + i, x + j, c] is the d x d patch around a pixel, t the layer's output there. Where every pixel
counts, two elements of a patch meet in all places that lie as far from each other as they do,

    E[p[(c, a)] p[(e, b)]] = R[b - a, c, e]      R[s, c, e] = mean over q of x[q, c] x[q + s, e],   s -2 ... 2 both ways

so (2 d - 1)² products of the map with itself, moved, are all: 25, of C x C numbers, for a matrix of (9 C)².

Every pixel whose patch touches the map counts, those around it included: then no edge disturbs the equation. Moments
are centred, for the bias takes up whatever is constant.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from lowrank_sr.machine.threads import blas_threads, thread_count

D = 3
SHIFTS = 2 * D - 1  # between two elements of a patch, in each direction


class Moments(NamedTuple):
    """E[p] (C d²,) and G = E[p pᵀ] - E[p] E[p]ᵀ, (C d², C d²); E[t] (N,), Var[t] (N,) and B = Cov[t, p] (N, C d²).

    Over so many `pixels`; all float64.
    """

    pixels: int
    mean: np.ndarray
    covariance: np.ndarray
    output_mean: np.ndarray
    output_variance: np.ndarray
    cross: np.ndarray


class LayerMoments:
    """The moments of one layer after another, over stacks of maps.

    In a dense block each layer reads what the one before it has read and a little more. What is known of the block's
    last layer that was measured is therefore not computed again.
    """

    def __init__(self) -> None:
        self.block = ""  # of the layer measured last; "" outside the dense blocks
        self.known = np.zeros((SHIFTS, SHIFTS, 0, 0))  # the sums Σ_q x[q, c] x[q + s, e] of its input

    def measure(self, name: str, inputs: Iterable[np.ndarray], outputs: Iterable[np.ndarray]) -> Moments:
        """The moments of layer `name` for stacks of `inputs`, with a border of zeros, and of `outputs` there.

        Inputs are (B, H + 2, W + 2, C), as `bordered` makes them, outputs (B, H + 2, W + 2, N); both are asked for one
        stack at a time. Layers are measured in the order in which the network computes them, with the same stacks; any
        may be left out.
        """
        block = name.rpartition(".")[0]
        known = self.known if block and block == self.block else np.zeros((SHIFTS, SHIFTS, 0, 0))
        centre: np.ndarray | None = (
            None  # of the outputs, so that a product of float32 has their variance, not their mean
        )
        sums: _Sums | None = None
        for x, t in zip(inputs, outputs, strict=True):
            centre = t.mean(axis=(0, 1, 2)) if centre is None else centre
            more = _sums(x, t - centre, known.shape[-1])
            sums = more if sums is None else _added(sums, more)
        assert sums is not None
        assert centre is not None
        self.block, self.known = block, _grown(known, sums.xx)
        moments = _moments(sums, self.known)
        return moments._replace(output_mean=moments.output_mean + centre)


def together(a: Moments, b: Moments) -> Moments:
    """The moments over the pixels of both: those within each, and what the distance of their means adds."""
    pixels = a.pixels + b.pixels
    share, other = a.pixels / pixels, b.pixels / pixels
    p, t = b.mean - a.mean, b.output_mean - a.output_mean
    return Moments(
        pixels,
        share * a.mean + other * b.mean,
        share * a.covariance + other * b.covariance + share * other * np.multiply.outer(p, p),
        share * a.output_mean + other * b.output_mean,
        share * a.output_variance + other * b.output_variance + share * other * t**2,
        share * a.cross + other * b.cross + share * other * np.multiply.outer(t, p),
    )


def bordered(stack: np.ndarray) -> np.ndarray:
    """The maps of a stack (B, H, W, C) with a border of one zero: (B, H + 2, W + 2, C)."""
    return np.pad(stack, ((0, 0), (1, 1), (1, 1), (0, 0)))


def patch_moments(inputs: np.ndarray, output: Callable[[np.ndarray], np.ndarray]) -> Moments:
    """The moments over `inputs` (B, H, W, C) of a layer whose `output` they give, (..., C) -> (..., N)."""
    x = bordered(inputs)
    return LayerMoments().measure("", [x], [output(x)])


class _Sums(NamedTuple):
    """Sums over all pixels of maps, float64: how many these are, Σ x (C,), Σ t (N,), Σ t² (N,), and those of products.

    xx [s, c, e]: Σ_q x[q, c] x[q + s, e], (5, 5, C - old, C), c a channel that is not `old`
    tx [a, n, c]: Σ_q t[q, n] x[q + a, c], (3, 3, N, C)
    """

    pixels: int
    x: np.ndarray
    t: np.ndarray
    tt: np.ndarray
    xx: np.ndarray
    tx: np.ndarray


def _sums(inputs: np.ndarray, outputs: np.ndarray, old: int) -> _Sums:
    """Of one stack: inputs (B, H + 2, W + 2, C), the border zero, and outputs (B, H + 2, W + 2, N)."""
    width = inputs.shape[2]
    x, t = inputs.reshape(-1, inputs.shape[3]), outputs.reshape(-1, outputs.shape[3])  # (pixels, C), (pixels, N)
    return _Sums(
        len(x),
        x.sum(axis=0, dtype=np.float64),
        t.sum(axis=0, dtype=np.float64),
        np.square(t, dtype=np.float64).sum(axis=0),
        _correlation(x[:, old:], x, width, SHIFTS // 2),
        _correlation(t, x, width, D // 2),
    )


def _added(a: _Sums, b: _Sums) -> _Sums:
    return _Sums(a.pixels + b.pixels, *(one + other for one, other in zip(a[1:], b[1:], strict=True)))


def _grown(known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Σ_q x[q, c] x[q + s, e] over all channels, (5, 5, C, C), from that over the first, and `new` of the others."""
    old, channels = known.shape[-1], new.shape[-1]
    full = np.empty((SHIFTS, SHIFTS, channels, channels))
    full[:, :, :old, :old] = known
    full[:, :, old:] = new
    full[:, :, :old, old:] = new[::-1, ::-1, :, :old].swapaxes(2, 3)  # as R[s, c, e] = R[-s, e, c]
    return full


def _moments(sums: _Sums, autocorrelation: np.ndarray) -> Moments:
    mean, output_mean = sums.x / sums.pixels, sums.t / sums.pixels
    second = autocorrelation / sums.pixels - np.multiply.outer(mean, mean)  # (5, 5, C, C)
    cross = sums.tx / sums.pixels - np.multiply.outer(output_mean, mean)  # (3, 3, N, C)
    C, N = len(mean), len(output_mean)
    G = np.empty((C, D, D, C, D, D))
    for i, j in np.ndindex(D, D):  # the element a = (i, j) of a patch with b at all places, by b - a
        G[:, i, j] = second[D - 1 - i : SHIFTS - i, D - 1 - j : SHIFTS - j].transpose(2, 3, 0, 1)
    return Moments(
        sums.pixels,
        np.repeat(mean, D * D),
        G.reshape(C * D * D, -1),
        output_mean,
        sums.tt / sums.pixels - output_mean**2,
        cross.transpose(2, 3, 0, 1).reshape(N, -1),
    )


def _correlation(a: np.ndarray, b: np.ndarray, width: int, reach: int) -> np.ndarray:
    """[s, m, n]: Σ_q a[q, m] b[q + s, n] over maps of `width` pixels a row, (pixels, M) and (pixels, N), float64.

    s goes from -reach to reach in both directions. Where q + s is no pixel, a or b must be zero at q: a border of zeros
    does that. Products are summed in float32: those of one stack. They are of few rows, so each thread takes its own.
    """
    size = 2 * reach + 1

    def product(i: int, j: int) -> np.ndarray:
        s = (i - reach) * width + j - reach
        here, there = (a[: len(a) - s], b[s:]) if s >= 0 else (a[-s:], b[:s])
        return np.asarray(here.T @ there)

    with blas_threads(1), ThreadPoolExecutor(thread_count()) as pool:
        sums = list(pool.map(product, *zip(*np.ndindex(size, size), strict=True)))
    return np.array(sums, np.float64).reshape(size, size, a.shape[1], b.shape[1])
