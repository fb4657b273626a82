"""The multiplications that are really done, after Winograd, by the method that takes fewest: the same on every machine.

FLOPs by the paper's formulas count a dense layer as its sum is written. Winograd's algorithm does 1 / 5.06 of it, and
1 / 2.25 of an SVD pair's. Transforms, additions for the most part, are not counted, and neither are the parts of tiles
that lie beyond the picture.
"""

from lowrank_sr.conv.algorithms import algorithms_of, multiplications
from lowrank_sr.conv.upsampled import upsampled_multiplications
from lowrank_sr.layers import Layer
from lowrank_sr.network.rrdbnet import RRDBNet


def fewest_multiplications(layer: Layer, enlarges: bool) -> float:
    """For a pixel of the layer's output; `enlarges`: the layer reads its input enlarged by 2."""
    count = upsampled_multiplications if enlarges else multiplications
    return min(count(layer, algorithm.name) for algorithm in algorithms_of(type(layer)))


def multiplications_per_pixel(net: RRDBNet) -> float:
    """Of all layers, for each pixel of the image, where its sides are whole multiples."""
    design = net.architecture
    return sum(
        fewest_multiplications(layer, design.enlarges(name)) * design.area(name) for name, layer in net.layers.items()
    )
