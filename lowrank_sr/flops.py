"""The paper's cost formulas: FLOPs, 2 for each multiply-add, of one layer for each pixel of its output.

dense       2 d^2 N C              (Tai et al. 2015)
SVD pair    2 d K (C + N)          (Tai et al. 2015)
CP          2 R (C + 2 d + N)      (Lebedev et al. 2014)
"""

from lowrank_sr.layers import CP, Dense, Layer


def dense(n: int, c: int, d: int) -> int:
    """FLOPs a pixel of a dense layer with N output and C input channels and a d x d kernel."""
    return 2 * d * d * n * c


def separable(n: int, c: int, d: int, rank: int) -> int:
    """FLOPs a pixel of an SVD pair of rank K."""
    return 2 * d * rank * (c + n)


def cp(n: int, c: int, d: int, rank: int) -> int:
    """FLOPs a pixel of a CP layer of rank R."""
    return 2 * rank * (c + 2 * d + n)


def per_pixel(layer: Layer) -> int:
    """FLOPs a pixel of `layer` as it is represented."""
    if isinstance(layer, Dense):
        return dense(*layer.shape)
    return (cp if isinstance(layer, CP) else separable)(*layer.shape, layer.rank)
