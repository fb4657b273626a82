"""Second moments of the patches that a layer sees, accumulated block by block: the patches are not kept.

p[(c, i, j)] is the d x d patch around a pixel of the input, t the layer's output there. Moments are centred, for the
bias takes up whatever is constant.
"""

from typing import NamedTuple

import numpy as np

D = 3
BLOCK_PATCHES = 4096  # multiplied out at a time: 28 MB for 192 channels


class Moments(NamedTuple):
    """E[p] (C d²,) and G = E[p pᵀ] - E[p] E[p]ᵀ, (C d², C d²); E[t] (N,), Var[t] (N,) and B = Cov[t, p] (N, C d²).

    All float64.
    """

    mean: np.ndarray
    covariance: np.ndarray
    output_mean: np.ndarray
    output_variance: np.ndarray
    cross: np.ndarray


class LayerMoments:
    """The moments of one layer after another, at `count` pixels that `seed` draws.

    In a dense block each layer reads what the one before it has read and a little more. What is known of the block's
    last layer that was measured is therefore not computed again.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.block = ""  # of the layer measured last; "" outside the dense blocks
        self.known: Moments | None = None  # its moments

    def measure(self, name: str, inputs: np.ndarray, outputs: np.ndarray) -> Moments:
        """The moments of layer `name` for `inputs` (B, H, W, C) and `outputs` (B, H, W, N).

        Layers are measured in the order in which the network computes them; any may be left out.
        """
        block = name.rpartition(".")[0]
        known = self.known if block and block == self.block else None
        self.block = block
        self.known = patch_moments(inputs, outputs, positions(inputs, self.count, self.seed), known)
        return self.known


def positions(stack: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` pixels of a (B, H, W, C) stack, drawn by `seed`: flat indices into (B, H, W), in order."""
    pixels = int(np.prod(stack.shape[:3]))
    if pixels <= count:
        return np.arange(pixels)
    return np.sort(np.random.default_rng(seed).choice(pixels, count, replace=False))


def patch_moments(inputs: np.ndarray, outputs: np.ndarray, where: np.ndarray, known: Moments | None = None) -> Moments:
    """The moments at the pixels `where` of `inputs` (B, H, W, C) and `outputs` (B, H, W, N).

    `known` are those of the first channels of `inputs` at the same pixels: only the other channels are multiplied out.
    Products are summed in float32 within BLOCK_PATCHES, relative to a first estimate of the mean, and from there on in
    float64.
    """
    _, height, width, channels = inputs.shape
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    pixels = np.unravel_index(where, (len(inputs), height, width))
    old = 0 if known is None else len(known.mean)
    centre = inputs.mean(axis=(0, 1, 2)).repeat(D * D)
    out_centre = outputs.mean(axis=(0, 1, 2))

    size, n = D * D * channels, outputs.shape[3]
    sums, out_sums, out_squares = np.zeros(size), np.zeros(n), np.zeros(n)
    gram, cross = np.zeros((size - old, size)), np.zeros((n, size))
    for block in range(0, len(where), BLOCK_PATCHES):
        b, y, x = (index[block : block + BLOCK_PATCHES] for index in pixels)
        p = _patches(padded, b, y, x) - centre
        t = outputs[b, y, x] - out_centre
        sums += p.sum(axis=0, dtype=np.float64)
        out_sums += t.sum(axis=0, dtype=np.float64)
        out_squares += np.square(t, dtype=np.float64).sum(axis=0)
        gram += p[:, old:].T @ p
        cross += t.T @ p

    mean, out_mean = sums / len(where), out_sums / len(where)
    covariance = np.empty((size, size))
    covariance[old:] = gram / len(where) - np.outer(mean[old:], mean)
    covariance[:old, old:] = covariance[old:, :old].T
    if known is not None:
        covariance[:old, :old] = known.covariance
    return Moments(
        mean + centre,
        covariance,
        out_mean + out_centre,
        out_squares / len(where) - out_mean**2,
        cross / len(where) - np.outer(out_mean, mean),
    )


def _patches(padded: np.ndarray, b: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The patches around pixels (b, y, x) of a stack with a border of 1: (m, C d²), in the order (c, i, j)."""
    patches = np.empty((len(b), padded.shape[3], D, D), padded.dtype)
    for i in range(D):
        for j in range(D):
            patches[:, :, i, j] = padded[b, y + i, x + j]
    return patches.reshape(len(b), -1)
