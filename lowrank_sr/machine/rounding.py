"""Whole numbers, rounded up. `conv/simd.py` makes these known to compiled loops."""

from typing import TypeVar

import numpy as np

Whole = TypeVar("Whole", int, np.ndarray)


def ceil_div(a: Whole, b: int) -> Whole:
    """a / b, rounded up: how many parts of at most b there are."""
    return -(-a // b)


def round_up(a: Whole, multiple: int) -> Whole:
    """The least multiple that is not below a."""
    return ceil_div(a, multiple) * multiple
