"""Muon (Jordan et al. 2024): momentum whose steps are as long in every direction of a matrix.

    m = β m + (1 - β) g                    g the gradient of an array, seen as a matrix: its first axis, and the others
    U = m (mᵀ m)^(-1/2)                    the orthogonal matrix next to m: all singular values 1
    w = w - rate ‖w‖ U / ‖U‖               a step is `rate` of the array's own norm, whatever the gradient's

The gradient of a factor lies in few directions, those of the strongest channels of its input. A step along it, or along
its signs as Adam's, moves these again and again. U moves all alike, and of a vector, a bias, it is m / ‖m‖.

    rate     from a tenth of its highest value up to it over the first WARM_UP of the run, because the first steps,
             taken before m is a mean of several gradients, undo a fit; and down to zero by a cosine (Loshchilov and
             Hutter 2017, equation 5, one period)
    a        = δ a + (1 - δ) w, the moving average of the weights, which is the result (Polyak and Juditsky 1992);
             δ = min(AVERAGE, (1 + t) / (10 + t)) forgets the first steps, when there are few

A step makes new arrays, so that an interruption at any moment leaves those of the step before as they were.

References
----------
Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BETA = 0.9
AVERAGE = 0.98
WARM_UP = 0.05
LEAST_SIZE = 1e-2  # root mean square that an array counts for, however small: a bias may be zero
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5

Shape = tuple[int, ...]


class Muon(NamedTuple):
    """What there is after a number of steps: vectors of all parameters, float32."""

    steps: int
    weights: np.ndarray  # w
    average: np.ndarray  # a
    momentum: np.ndarray  # m


def start(weights: np.ndarray) -> Muon:
    """Before the first step."""
    return Muon(0, weights, weights, np.zeros_like(weights))


def step(before: Muon, gradient: np.ndarray, shapes: Sequence[Shape], rate: float) -> Muon:
    """One step down `gradient`, a vector like the weights, finite, of arrays of these `shapes`."""
    t = before.steps + 1
    momentum = np.float32(BETA) * before.momentum + np.float32(1 - BETA) * gradient
    weights = before.weights.copy()
    first = 0
    for shape in shapes:
        size = math.prod(shape)
        part = slice(first, first + size)
        first += size
        if size:
            norm = max(float(np.linalg.norm(weights[part])), LEAST_SIZE * math.sqrt(size))
            weights[part] -= np.float32(rate * norm) * direction(momentum[part].reshape(shape[0], -1)).ravel()
    kept = np.float32(min(AVERAGE, (1 + t) / (10 + t)))
    return Muon(t, weights, kept * before.average + (1 - kept) * weights, momentum)


def direction(m: np.ndarray) -> np.ndarray:
    """U / ‖U‖ of a matrix, zeros for zeros: five steps of an iteration that pulls all singular values to about 1.

    X = a X + (b X Xᵀ + c (X Xᵀ)²) X, from X = m / ‖m‖: odd polynomials of the singular values, which leave the singular
    vectors as they are. The coefficients are Jordan's: they end between 0.7 and 1.2, and small values rise fast.
    """
    largest = np.abs(m).max()
    if largest == 0:
        return m
    X = m / largest  # squares of gradients may be no float32
    X = X / np.linalg.norm(X)
    if X.shape[0] > X.shape[1]:
        X = X.T
    a, b, c = (np.float32(coefficient) for coefficient in NEWTON_SCHULZ)
    for _ in range(NEWTON_SCHULZ_STEPS):
        XX = X @ X.T
        X = a * X + (b * XX + c * XX @ XX) @ X
    if m.shape[0] > m.shape[1]:
        X = X.T
    return np.asarray(X / np.linalg.norm(X))


def schedule(progress: float) -> float:
    """The factor of the rate at `progress`, from 0 to 1 over the run; 0 beyond."""
    warm = min(1, 0.1 + 0.9 * progress / WARM_UP)
    return warm * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
