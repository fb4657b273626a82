"""A convolution layer in one of three representations, each with its bias.

Dense       W[n, c, i, j]                                                         the kernel as trained
Separable   W[n, c, i, j] = sum over k of horizontal[n, k, j] vertical[k, c, i]   SVD pair, rank K (Tai et al. 2015)
CP          W[n, c, i, j] = sum over r of out[n, r] y[i, r] x[j, r] in[c, r]      rank R (Lebedev et al. 2014)
"""

from dataclasses import dataclass, fields, replace

import numpy as np


class _Arrays:
    """What the three have in common: they are a few arrays, C-contiguous and float32, whatever they were made from."""

    def __post_init__(self):
        for name, array in self.arrays().items():
            object.__setattr__(self, name, np.ascontiguousarray(array, np.float32))  # compiled loops read addresses

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by the names that a weights file gives them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def parameters(self) -> int:
        """How many numbers the layer is made of."""
        return sum(array.size for array in self.arrays().values())


@dataclass(frozen=True, eq=False)
class Dense(_Arrays):
    """A dense kernel: `weight` (N, C, d, d), `bias` (N,), float32."""

    weight: np.ndarray
    bias: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        return self.weight.shape[:3]

    @property
    def rank(self) -> None:
        """A dense layer has none."""
        return None

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return self.weight


@dataclass(frozen=True, eq=False)
class Separable(_Arrays):
    """A d x 1, then a 1 x d convolution: `vertical` (K, C, d), `horizontal` (N, K, d), `bias` (N,), float32."""

    vertical: np.ndarray
    horizontal: np.ndarray
    bias: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        return len(self.horizontal), *self.vertical.shape[1:]

    @property
    def rank(self) -> int:
        """K, the number of channels between the two convolutions."""
        return len(self.vertical)

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return np.einsum("nkj,kci->ncij", self.horizontal, self.vertical, optimize=True)


@dataclass(frozen=True, eq=False)
class CP(_Arrays):
    """1 x 1, depthwise d x 1, depthwise 1 x d, 1 x 1 convolutions.

    `cp_in` (C, R), `cp_y`, `cp_x` (d, R), `cp_out` (N, R), `bias` (N,), float32.
    """

    cp_in: np.ndarray
    cp_y: np.ndarray
    cp_x: np.ndarray
    cp_out: np.ndarray
    bias: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        return len(self.cp_out), len(self.cp_in), len(self.cp_y)

    @property
    def rank(self) -> int:
        """R, the number of channels between the four convolutions."""
        return self.cp_in.shape[1]

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return np.einsum("nr,ir,jr,cr->ncij", self.cp_out, self.cp_y, self.cp_x, self.cp_in, optimize=True)


Layer = Dense | Separable | CP

_INPUT_CHANNELS = {Dense: ("weight", 1), Separable: ("vertical", 1), CP: ("cp_in", 0)}


def random_layer(shape: tuple[int, int, int], form: str | None = None, rank: int | None = None) -> Layer:
    """A layer of `shape` (N, C, d), dense or as "svd" or "cp" of `rank`, of noise and without bias: for timing.

    The values are small, so that a long row of such layers does not overflow.
    """
    (n, c, d), rng, bias = shape, np.random.default_rng(0), np.zeros(shape[0], np.float32)

    def noise(*sides: int) -> np.ndarray:
        return np.float32(0.02) * rng.standard_normal(sides, dtype=np.float32)

    if form is None:
        return Dense(noise(n, c, d, d), bias)
    if form == "svd":
        return Separable(noise(rank, c, d), noise(n, rank, d), bias)
    return CP(noise(c, rank), noise(d, rank), noise(d, rank), noise(n, rank), bias)


def reorder_inputs(layer: Layer, order: np.ndarray) -> Layer:
    """The layer that reads input channel `order[c]` of the old numbering where it now finds channel c."""
    name, axis = _INPUT_CHANNELS[type(layer)]
    return replace(layer, **{name: getattr(layer, name).take(order, axis)})
