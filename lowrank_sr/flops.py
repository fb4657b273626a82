"""The paper's cost formulas: FLOPs, 2 for each multiply-add, of one layer for each pixel of its output.

            FLOPs                   break-even rank
dense       2 d² N C
SVD pair    2 d K (C + N)           d N C / (C + N)             (Tai et al. 2015)
CP          2 R (C + 2 d + N)       d² N C / (C + 2 d + N)      (Lebedev et al. 2014)

N output channels, C input channels, a d x d kernel, rank K or R. At the break-even rank the factors cost what the dense
layer does; their cost is proportional to the rank, so at 1/S of it they cost 1/S as much.
"""

from lowrank_sr.layers import CP, Dense, Layer


def dense(n: int, c: int, d: int) -> int:
    """FLOPs a pixel of a dense layer: 2 d² N C."""
    return 2 * d * d * n * c


def svd(n: int, c: int, d: int, rank: int) -> int:
    """FLOPs a pixel of an SVD pair: 2 d K (C + N)."""
    return 2 * d * rank * (c + n)


def cp(n: int, c: int, d: int, rank: int) -> int:
    """FLOPs a pixel of a CP layer: 2 R (C + 2 d + N)."""
    return 2 * rank * (c + 2 * d + n)


_BY_FORM = {"svd": svd, "cp": cp}


def factorised(form: str, n: int, c: int, d: int, rank: int) -> int:
    """FLOPs a pixel of a layer in `form`, "svd" or "cp", of the given rank."""
    return _BY_FORM[form](n, c, d, rank)


def break_even(form: str, n: int, c: int, d: int) -> float:
    """The rank, not a whole number in general, below which `form`, "svd" or "cp", costs less than the dense layer."""
    return dense(n, c, d) / factorised(form, n, c, d, rank=1)


def per_pixel(layer: Layer) -> int:
    """FLOPs a pixel of `layer` as it is represented."""
    if isinstance(layer, Dense):
        return dense(*layer.shape)
    return factorised("cp" if isinstance(layer, CP) else "svd", *layer.shape, layer.rank)
