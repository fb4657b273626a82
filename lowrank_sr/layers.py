"""A convolution layer in one of three forms, each with its bias.

Dense       W[n, c, i, j]                                                         the kernel as trained
Separable   W[n, c, i, j] = sum over k of horizontal[n, k, j] vertical[k, c, i]   SVD pair, rank K (Tai et al. 2015)
CP          W[n, c, i, j] = sum over r of out[n, r] y[i, r] x[j, r] in[c, r]      rank R (Lebedev et al. 2014)

A rank may be 0: the layer then gives its bias alone, whatever it reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.factors import cp_kernel, pair_kernel


class _Factors:
    """What the three forms share: a few arrays, C-contiguous and float32, whose shapes fit each other."""

    AXES: ClassVar[dict[str, str]]
    """The axes of each array by its name, a letter each; axes of one letter have one length."""

    def __post_init__(self) -> None:
        lengths: dict[str, int] = {}
        for name, array in self.arrays().items():
            stored = np.ascontiguousarray(array, np.float32)
            _check_shape(name, stored.shape, self.AXES[name], lengths)
            object.__setattr__(self, name, stored)  # compiled loops read addresses

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by the names that a weights file gives them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @property
    def parameters(self) -> int:
        """How many numbers the layer is made of."""
        return sum(array.size for array in self.arrays().values())


def _check_shape(name: str, shape: tuple[int, ...], axes: str, lengths: dict[str, int]) -> None:
    """Raise InputError unless the axes have the lengths known so far; add those that are new. Ranks may be 0."""
    fits = len(shape) == len(axes) and all(length or axis in "KR" for axis, length in zip(axes, shape, strict=True))
    if not fits or any(lengths.setdefault(axis, length) != length for axis, length in zip(axes, shape, strict=True)):
        expected = ", ".join(str(lengths.get(axis, axis)) for axis in axes) + ("," if len(axes) == 1 else "")
        raise InputError(f"{name} has shape {shape}: expected ({expected})")


@dataclass(frozen=True, eq=False)
class Dense(_Factors):
    """A dense kernel: `weight` (N, C, d, d), `bias` (N,), float32. Raises InputError for shapes that do not fit."""

    weight: np.ndarray
    bias: np.ndarray

    AXES: ClassVar[dict[str, str]] = {"weight": "NCdd", "bias": "N"}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        n, c, d, _ = self.weight.shape
        return n, c, d

    @property
    def rank(self) -> None:
        """A dense layer has none."""
        return None

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return self.weight


@dataclass(frozen=True, eq=False)
class Separable(_Factors):
    """A d x 1, then a 1 x d convolution: `vertical` (K, C, d), `horizontal` (N, K, d), `bias` (N,), float32.

    Raises InputError for shapes that do not fit.
    """

    vertical: np.ndarray
    horizontal: np.ndarray
    bias: np.ndarray

    AXES: ClassVar[dict[str, str]] = {"vertical": "KCd", "horizontal": "NKd", "bias": "N"}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        _, c, d = self.vertical.shape
        return len(self.horizontal), c, d

    @property
    def rank(self) -> int:
        """K, the number of channels between the two convolutions."""
        return len(self.vertical)

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return pair_kernel(self.vertical, self.horizontal)


@dataclass(frozen=True, eq=False)
class CP(_Factors):
    """1 x 1, depthwise d x 1, depthwise 1 x d, 1 x 1 convolutions.

    `cp_in` (C, R), `cp_y`, `cp_x` (d, R), `cp_out` (N, R), `bias` (N,), float32. Raises InputError for shapes that do
    not fit.
    """

    cp_in: np.ndarray
    cp_y: np.ndarray
    cp_x: np.ndarray
    cp_out: np.ndarray
    bias: np.ndarray

    AXES: ClassVar[dict[str, str]] = {"cp_in": "CR", "cp_y": "dR", "cp_x": "dR", "cp_out": "NR", "bias": "N"}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, C, d): output channels, input channels, kernel size."""
        return len(self.cp_out), len(self.cp_in), len(self.cp_y)

    @property
    def rank(self) -> int:
        """R, the number of channels between the four convolutions."""
        return int(self.cp_in.shape[1])

    def kernel(self) -> np.ndarray:
        """The (N, C, d, d) kernel that the layer stands for."""
        return cp_kernel(self.cp_in, self.cp_y, self.cp_x, self.cp_out)


Layer = Dense | Separable | CP


def shape_of(form: type[Layer], shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """(N, C, d) of a layer whose arrays, by name, have these shapes; raises InputError where they do not fit."""
    lengths: dict[str, int] = {}
    for name, axes in form.AXES.items():
        _check_shape(name, shapes[name], axes, lengths)
    return lengths["N"], lengths["C"], lengths["d"]


def random_layer(shape: tuple[int, int, int], form: str | None = None, rank: int = 0) -> Layer:
    """A layer of `shape` (N, C, d), dense or as "svd" or "cp" of `rank`, of noise and without bias: for timing.

    The values are small, so that a long row of such layers does not overflow.
    """
    n, c, d = shape
    bias = np.zeros(n, np.float32)
    rng = np.random.default_rng(0)

    def noise(*lengths: int) -> np.ndarray:
        return np.float32(0.02) * rng.standard_normal(lengths, dtype=np.float32)

    if form is None:
        return Dense(noise(n, c, d, d), bias)
    if form == "svd":
        return Separable(noise(rank, c, d), noise(n, rank, d), bias)
    return CP(noise(c, rank), noise(d, rank), noise(d, rank), noise(n, rank), bias)
