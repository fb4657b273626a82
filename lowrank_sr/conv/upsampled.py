"""A 3 x 3 convolution of a map enlarged by 2, nearest neighbour, without the enlarged map.

    out[2 y + a, 2 x + b, n] = sum over i, j, c of kernel[n, c, i, j] in[y + (a + i - 1) // 2, x + (b + j - 1) // 2, c]

Of the three rows that an output reads, two are copies of one row of `in`: for even rows of the output (a = 0) rows
y - 1, y, y, for odd ones (a = 1) y, y, y + 1. Taps of the same pixel can be added first,

    a = 0:  (g[0], g[1] + g[2], 0)          a = 1:  (0, g[0] + g[1], g[2])

and the same for columns. Each of the four phases (a, b) of the output is thus a convolution of `in` itself by a kernel
of 2 x 2 taps, which writes every second pixel of every second row: directly, 16 multiplications for 4 outputs instead
of 36; `im2col` and `kn2row` multiply by the zeros too. In Winograd's F(6 x 6, 3 x 3) the polynomial of two taps has no
leading coefficient (a = 0), or vanishes at 0 (a = 1): one of 8 elements in each direction is zero, and 4 x 49
multiplications do for 4 x 36 outputs instead of 4 x 64. All four phases use one transform of the input. For the SVD
pair and CP the taps of the vertical and of the horizontal factor are added in the same way, and each phase is a
convolution by itself: by F(6, 3) with 7 of 8 elements in each half.

Extra memory: that of the convolution; nothing of the enlarged input.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lowrank_sr.conv.algorithm import Call, Scratch
from lowrank_sr.conv.algorithms import algorithm_of
from lowrank_sr.conv.epilogue import NOTHING, Epilogue
from lowrank_sr.conv.feature_map import FeatureMap
from lowrank_sr.conv.methods import Convolution, convolutions
from lowrank_sr.layers import Dense, Layer, Separable

PHASES = [(a, b) for a in (0, 1) for b in (0, 1)]

# row a: which of the three taps fall on the pixel before, on it, and after it
MERGE = (
    np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], np.float32),
    np.array([[0, 0, 0], [1, 1, 0], [0, 0, 1]], np.float32),
)


def upsampled_convolution(layer: Layer, method: str) -> Convolution:
    """The convolution of the enlarged input by `layer`: x has half the height and width of out, nothing is added to it.

    Raises InputError as `convolution` does.
    """
    run = convolutions([merge_taps(layer, a, b) for a, b in PHASES], method)

    def convolve(x: FeatureMap | Sequence[FeatureMap], out: FeatureMap, epilogue: Epilogue) -> None:
        if epilogue.skip is not NOTHING or epilogue.outer is not NOTHING:
            raise ValueError("nothing can be added to an enlarged map")
        run(x, [out.every_second(a, b) for a, b in PHASES], epilogue)

    return convolve


def merge_taps(layer: Layer, a: int, b: int) -> Layer:
    """The layer that computes phase (a, b) of the enlarged input's convolution from the input itself."""
    rows, columns = MERGE[a], MERGE[b]
    if isinstance(layer, Dense):
        return replace(layer, weight=rows @ layer.weight @ columns.T)
    if isinstance(layer, Separable):
        return replace(layer, vertical=layer.vertical @ rows.T, horizontal=layer.horizontal @ columns.T)
    return replace(layer, cp_y=rows @ layer.cp_y, cp_x=columns @ layer.cp_x)


def upsampled_multiplications(layer: Layer, method: str) -> float:
    """Those that the loops do for a pixel of the output, but for those of transforms."""
    phases = [merge_taps(layer, a, b) for a, b in PHASES]
    return sum(algorithm_of(phase, method).multiplications(phase) for phase in phases) / len(PHASES)


def upsampled_scratch(layer: Layer, method: str, call: Call) -> Scratch:
    """What a call needs besides the maps, whose size is that of the input: the phases use the same memory in turn."""
    needed, kept = algorithm_of(layer, method).scratch(layer, call, True)
    return Scratch(needed, len(PHASES) * kept)
