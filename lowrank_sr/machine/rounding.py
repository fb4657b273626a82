"""Whole numbers, rounded up, in Python and in compiled loops."""

from typing import TypeVar

import numpy as np
from numba.extending import register_jitable

W = TypeVar("W", int, np.ndarray)


def ceil_div(a: W, b: int) -> W:
    """a / b, rounded up: how many parts of at most b there are."""
    return -(-a // b)


def round_up(a: W, multiple: int) -> W:
    """The least multiple that is not below a."""
    return ceil_div(a, multiple) * multiple


for _function in (ceil_div, round_up):
    register_jitable(_function)
