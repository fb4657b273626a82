"""F(6, 3): six outputs of a filter of three taps by 8 multiplications instead of 18 (Toom-Cook, Winograd 1980).

F(6, 3) computes six outputs of a filter g of three taps from eight inputs d,

    y[j] = sum over i of g[i] d[j + i],    j = 0 ... 5,    i = 0 ... 2,

with 8 multiplications instead of 18: y = A' [(G g) * (B' d)], where * multiplies element by element and ' transposes.

Derivation (Toom-Cook: Winograd 1980; Blahut 2010, section 5.2; Lavin and Gray 2016, section 4). Take the
taps as a polynomial g(p) = g[0] + g[1] p + g[2] p^2 and multiply it by another, a(p) = a[0] + ... + a[5] p^5. The
product s(p) is of degree 7, so its values at eight points determine it, and each value is one multiplication,
s(p) = g(p) a(p). The points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, where a polynomial's value is its leading
coefficient. Three linear steps compute the product:

    evaluate g:      row of the point p: (1, p, p^2),           of infinity: (0, 0, 1)
    evaluate a:      row of the point p: (1, p, ..., p^5),      of infinity: (0, 0, 0, 0, 0, 1)
    interpolate s:   s(x) = sum over p of s(p) L_p(x) + s(infinity) M(x),
                     M(x) = x (x^2 - 1) (x^2 - 4) (x^2 - 1/4) = x^7 - 21/4 x^5 + 21/4 x^3 - x,
                     L_p(x) = M(x) / (x - p) / f_p,    f_p = product over the other points q of (p - q)

L_p is 1 at p and 0 at the other six points. For a fixed g this is a linear map from a to s, an 8 x 6 matrix whose entry
(j + i, j) is g[i]. Its transpose is the 6 x 8 matrix that takes d to y. Transposed, the three steps run backwards:

    B' d     the transpose of interpolation. Row p: the coefficients of M(x) / (x - p), of 1, x, ..., x^7;
             row infinity: those of M(x).
    G g      the value of the filter's polynomial at each point, over the f_p that row p of B' leaves out.
    A' m     the transpose of evaluating a. Column p: (1, p, ..., p^5); column infinity: (0, 0, 0, 0, 0, 1).

For p = 2: M(x) / (x - 2) = x (x + 2) (x^2 - 1) (x^2 - 1/4) = x/2 + x^2/4 - 5/2 x^3 - 5/4 x^4 + 2 x^5 + x^6, the fourth
row of B_T below; f_2 = 2 (2 - 1) (2 + 1) (2 + 2) (2 - 1/2) (2 + 1/2) = 90, so that the fourth row of G is
(1, 2, 4) / 90; the fourth column of A_T is (1, 2, 4, 8, 16, 32).

`winograd.py` nests it for two dimensions, `separable_winograd.py` uses it in one after the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowrank_sr.conv.feature_map import OUTPUT_TILE

INPUT_TILE = OUTPUT_TILE + 2  # pixels along each side of an input tile

B_T = np.array(
    [
        [-1, 0, 21 / 4, 0, -21 / 4, 0, 1, 0],
        [0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0],
        [0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0],
        [0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0],
        [0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0],
        [0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0],
        [0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0],
        [0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1],
    ]
)
G = np.array(
    [
        [-1, 0, 0],
        [-2 / 9, -2 / 9, -2 / 9],
        [-2 / 9, 2 / 9, -2 / 9],
        [1 / 90, 2 / 90, 4 / 90],
        [1 / 90, -2 / 90, 4 / 90],
        [32 / 45, 16 / 45, 8 / 45],
        [32 / 45, -16 / 45, 8 / 45],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
        [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0],
        [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0],
        [0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0],
        [0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1],
    ]
)


def times_b(d: Sequence[Any]) -> list[Any]:
    """B' d for eight values or vectors d: B_T @ d with common terms added once."""
    even1, odd1 = d[2] + d[6] - 17 / 4 * d[4], d[1] + d[5] - 17 / 4 * d[3]
    even2, odd2 = d[6] + 1 / 4 * d[2] - 5 / 4 * d[4], d[5] + 1 / 4 * d[1] - 5 / 4 * d[3]
    even3, odd3 = d[6] + 4 * d[2] - 5 * d[4], d[5] + 4 * d[1] - 5 * d[3]
    return [
        d[6] - d[0] + 21 / 4 * (d[2] - d[4]),
        even1 + odd1,
        even1 - odd1,
        even2 + 2 * odd2,
        even2 - 2 * odd2,
        even3 + 1 / 2 * odd3,
        even3 - 1 / 2 * odd3,
        d[7] - d[1] + 21 / 4 * (d[3] - d[5]),
    ]


def times_g(g: Sequence[Any]) -> list[Any]:
    """G g for three values or vectors g: G @ g with common terms added once."""
    even1, odd1 = -2 / 9 * (g[0] + g[2]), -2 / 9 * g[1]
    even2, odd2 = 1 / 90 * g[0] + 4 / 90 * g[2], 2 / 90 * g[1]
    even3, odd3 = 32 / 45 * g[0] + 8 / 45 * g[2], 16 / 45 * g[1]
    return [-1 * g[0], even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, even3 + odd3, even3 - odd3, g[2]]


def times_a(m: Sequence[Any]) -> list[Any]:
    """A' m for eight values or vectors m: A_T @ m with common terms added once."""
    even1, odd1 = m[1] + m[2], m[1] - m[2]
    even2, odd2 = m[3] + m[4], m[3] - m[4]
    even3, odd3 = m[5] + m[6], m[5] - m[6]
    return [
        m[0] + even1 + even2 + even3,
        odd1 + 2 * odd2 + 1 / 2 * odd3,
        even1 + 4 * even2 + 1 / 4 * even3,
        odd1 + 8 * odd2 + 1 / 8 * odd3,
        even1 + 16 * even2 + 1 / 16 * even3,
        m[7] + odd1 + 32 * odd2 + 1 / 32 * odd3,
    ]


def needed_elements(taps: Any) -> np.ndarray:
    """Which elements of G g do not vanish for all g that have these taps, (3,) bool: (8,) bool.

    Without g[0] the polynomial vanishes at 0, the first of the points, without g[2] it has no leading coefficient.
    """
    return np.array([taps[0], *[True] * (INPUT_TILE - 2), taps[2]])
