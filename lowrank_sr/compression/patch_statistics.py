"""Second moments of the patches that a layer sees, accumulated block by block: the patches are not kept.

p[(c, i, j)] is the d x d patch around a pixel of the input, t the layer's output there. Moments are centred, for the
bias takes up whatever is constant.
"""

from collections.abc import Iterable, Sequence
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
    """The moments of one layer after another, over stacks of maps, at `count` pixels in all, which `seed` draws.

    In a dense block each layer reads what the one before it has read and a little more. What is known of the block's
    last layer that was measured is therefore not computed again.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.block = ""  # of the layer measured last; "" outside the dense blocks
        self.known: Moments | None = None  # its moments

    def measure(self, name: str, inputs: Sequence[np.ndarray], outputs: Iterable[np.ndarray]) -> Moments:
        """The moments of layer `name` for stacks of `inputs` (B, H, W, C) and of `outputs` (B, H, W, N).

        Outputs are asked for one stack at a time. Layers are measured in the order in which the network computes them,
        with the same stacks; any may be left out.
        """
        block = name.rpartition(".")[0]
        sums = PatchSums(self.known if block and block == self.block else None)
        for x, t in zip(inputs, outputs, strict=True):
            sums.add(x, t, positions(x, self.count // len(inputs), self.seed))
        self.block, self.known = block, sums.moments()
        return self.known


def positions(stack: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` pixels of a (B, H, W, C) stack, drawn by `seed`: flat indices into (B, H, W), in order."""
    pixels = int(np.prod(stack.shape[:3]))
    if pixels <= count:
        return np.arange(pixels)
    return np.sort(np.random.default_rng(seed).choice(pixels, count, replace=False))


def patch_moments(inputs: np.ndarray, outputs: np.ndarray, where: np.ndarray, known: Moments | None = None) -> Moments:
    """The moments at the pixels `where` of `inputs` (B, H, W, C) and `outputs` (B, H, W, N).

    `known` are those of the first channels of `inputs` at the same pixels, as `PatchSums` takes them.
    """
    sums = PatchSums(known)
    sums.add(inputs, outputs, where)
    return sums.moments()


class PatchSums:
    """Sums over patches, from stack to stack, and the moments that they make.

    `known` are the moments of the first channels at the same pixels: only the other channels are multiplied out.
    Products are summed in float32 within BLOCK_PATCHES, relative to the means of the first stack, and from there on in
    float64.
    """

    def __init__(self, known: Moments | None = None) -> None:
        self.known = known
        self.count = 0

    def add(self, inputs: np.ndarray, outputs: np.ndarray, where: np.ndarray) -> None:
        """Add the pixels `where` of `inputs` (B, H, W, C) and `outputs` (B, H, W, N)."""
        if self.count == 0:
            self._begin(inputs, outputs)
        pixels = np.unravel_index(where, inputs.shape[:3])
        padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
        for block in range(0, len(where), BLOCK_PATCHES):
            b, y, x = (index[block : block + BLOCK_PATCHES] for index in pixels)
            p = _patches(padded, b, y, x) - self.centre
            t = outputs[b, y, x] - self.out_centre
            self.sums += p.sum(axis=0, dtype=np.float64)
            self.out_sums += t.sum(axis=0, dtype=np.float64)
            self.out_squares += np.square(t, dtype=np.float64).sum(axis=0)
            self.gram += p[:, self.old :].T @ p
            self.cross += t.T @ p
        self.count += len(where)

    def _begin(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        self.centre = inputs.mean(axis=(0, 1, 2)).repeat(D * D)
        self.out_centre = outputs.mean(axis=(0, 1, 2))
        size, n = len(self.centre), len(self.out_centre)
        self.old = 0 if self.known is None else len(self.known.mean)
        self.sums, self.out_sums, self.out_squares = np.zeros(size), np.zeros(n), np.zeros(n)
        self.gram, self.cross = np.zeros((size - self.old, size)), np.zeros((n, size))

    def moments(self) -> Moments:
        """Of all that was added, at least one pixel."""
        old, count = self.old, self.count
        mean, out_mean = self.sums / count, self.out_sums / count
        covariance = np.empty((len(mean), len(mean)))
        covariance[old:] = self.gram / count - np.outer(mean[old:], mean)
        covariance[:old, old:] = covariance[old:, :old].T
        if self.known is not None:
            covariance[:old, :old] = self.known.covariance
        return Moments(
            mean + self.centre,
            covariance,
            out_mean + self.out_centre,
            self.out_squares / count - out_mean**2,
            self.cross / count - np.outer(out_mean, mean),
        )


def _patches(padded: np.ndarray, b: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The patches around pixels (b, y, x) of a stack with a border of 1: (m, C d²), in the order (c, i, j)."""
    patches = np.empty((len(b), padded.shape[3], D, D), padded.dtype)
    for i in range(D):
        for j in range(D):
            patches[:, :, i, j] = padded[b, y + i, x + j]
    return patches.reshape(len(b), -1)
