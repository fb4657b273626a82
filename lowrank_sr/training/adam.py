"""Adam (Kingma and Ba 2015, algorithm 1), with what usually surrounds it.

    m = β1 m + (1 - β1) g              v = β2 v + (1 - β2) g²              g the gradient at step t = 1, 2, ...
    w = w - rate (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε)

    g        scaled down to a norm of CLIP where it is longer (Pascanu et al. 2013, algorithm 1)
    rate     from a tenth of its highest value up to it over the first WARM_UP of the run, because the first steps,
             each about as long as the rate whatever the gradient, undo a fit (Ma and Yarats 2021, section 3); and down
             to zero by a cosine (Loshchilov and Hutter 2017, equation 5, one period)
    a        = δ a + (1 - δ) w, the moving average of the weights, which is the result (Polyak and Juditsky 1992);
             δ = min(AVERAGE, (1 + t) / (10 + t)) forgets the first steps, when there are few

A step makes new arrays, so that an interruption at any moment leaves those of the step before as they were.
"""

import math
from typing import NamedTuple

import numpy as np

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8
CLIP = 1.0  # above most gradients of a batch of crops: it is for the few that are far longer
AVERAGE = 0.998
WARM_UP = 0.05


class Adam(NamedTuple):
    """What there is after a number of steps: vectors of all parameters, float32."""

    steps: int
    weights: np.ndarray  # w
    average: np.ndarray  # a
    mean: np.ndarray  # m, of the gradients
    square: np.ndarray  # v, the mean of their squares


def start(weights: np.ndarray) -> Adam:
    """Before the first step."""
    return Adam(0, weights, weights, np.zeros_like(weights), np.zeros_like(weights))


def step(before: Adam, gradient: np.ndarray, rate: float) -> Adam:
    """One step down `gradient`, a vector like the weights, finite."""
    t = before.steps + 1
    norm = float(np.linalg.norm(gradient))
    g = gradient * np.float32(min(1, CLIP / norm)) if norm > 0 else gradient
    mean = np.float32(BETA1) * before.mean + np.float32(1 - BETA1) * g
    square = np.float32(BETA2) * before.square + np.float32(1 - BETA2) * g * g
    size = np.sqrt(square / np.float32(1 - BETA2**t)) + np.float32(EPSILON)
    weights = before.weights - np.float32(rate / (1 - BETA1**t)) * mean / size
    kept = np.float32(min(AVERAGE, (1 + t) / (10 + t)))
    return Adam(t, weights, kept * before.average + (1 - kept) * weights, mean, square)


def schedule(progress: float) -> float:
    """The factor of the rate at `progress`, from 0 to 1 over the run; 0 beyond."""
    warm = min(1, 0.1 + 0.9 * progress / WARM_UP)
    return warm * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
