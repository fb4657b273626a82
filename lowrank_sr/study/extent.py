"""How much a study measures of a network: of one like psnr-small, of a deep one, and of both in a quick study."""

from dataclasses import dataclass, replace
from itertools import product

from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.study.technique import (
    ALL,
    BIAS,
    BLOCKS,
    CHOSEN,
    FITTED,
    FORMS,
    KERNEL,
    MARKED,
    OUTSIDE,
    UNIFORM,
    UNMARKED,
)
from lowrank_sr.training.folder import MOST_PHOTOGRAPHS

Combination = tuple[str, str, str]
"""Ranks, layers and factors of a network of the ablation."""

# all, for a deep network, whose fits take minutes, and only what says where a loss comes from
EVERY: tuple[Combination, ...] = (
    *product((UNIFORM, CHOSEN), (ALL, BLOCKS), (KERNEL, BIAS, FITTED)),
    *product((UNIFORM,), (MARKED, UNMARKED), (KERNEL, BIAS, FITTED)),
    (UNIFORM, OUTSIDE, KERNEL),
)
OF_DEEP: tuple[Combination, ...] = (
    *product((UNIFORM,), (ALL,), (KERNEL, BIAS, FITTED)),
    (CHOSEN, ALL, FITTED),
    *product((UNIFORM,), (BLOCKS, OUTSIDE, MARKED, UNMARKED), (KERNEL,)),
)
ESSENTIAL: tuple[Combination, ...] = (
    *product((UNIFORM,), (ALL,), (KERNEL, BIAS)),
    (CHOSEN, ALL, FITTED),
    *product((UNIFORM,), (BLOCKS, OUTSIDE, MARKED, UNMARKED), (KERNEL,)),
)


@dataclass(frozen=True)
class Extent:
    """How much is measured of a network: sides are of square pictures at low resolution, in pixels."""

    pictures: int | None = None  # enlarged, the smallest ones, at most; None for all
    calibration: int | None = None  # crops of the bundled pictures to calibrate on; None for all
    left_out: tuple[str, ...] = ()  # techniques, by their names
    rounds: int = 7
    side: int = 96
    memory_sides: tuple[int, ...] = (32, 64, 96, 128, 256)
    blurs: tuple[float, ...] = (0.3, 0.5, 0.7, 1, 1.5, 2, 3)  # standard deviations, in pixels of the enlarged picture
    speedups: tuple[float, ...] = (1.1, 1.5, 2, 3, 4, 6)  # theoretical, of the whole network, for kernels' factors
    fitted_speedups: tuple[float, ...] = (1.5, 2, 3, 4, 6)  # the same for fitted factors, which take longer to compute
    block_speedups: tuple[float, ...] = (1.25, 1.5, 2)  # the same for factors of the kernels of the dense blocks alone
    swept: tuple[str, ...] = FORMS  # the forms of these
    ablated: tuple[str, ...] = FORMS  # the forms of the ablation
    combinations: tuple[Combination, ...] = EVERY  # of the ablation
    alone: bool = True  # whether layers are factorised alone
    every_layer_alone: bool = True  # or only those outside the dense blocks
    marked: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1)  # fractions of the layers that a threshold marks
    condition: tuple[float, ...] = (2, 4, 8, 16, 32)  # condition numbers to truncate at
    dropped: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)  # fractions of all singular values that are below a limit
    layers: bool = True  # whether they are timed, one of each shape
    layer_side: int = 96
    layer_speedups: tuple[float, ...] = (2, 4)  # theoretical, of a layer
    again: bool = True  # whether networks are timed once more at the end, the self-check
    photographs: int = MOST_PHOTOGRAPHS  # to fine-tune on, at most
    minutes: float = 20  # of fine-tuning, each network


FULL = Extent()
_COARSE = Extent(  # fewer points than FULL
    ablated=("svd",), every_layer_alone=False, marked=(0.1, 1), condition=(4, 16), dropped=(0.5, 0.9)
)
DEEP = replace(
    _COARSE,
    rounds=5,
    side=64,
    memory_sides=(64, 128),
    speedups=(1.1, 1.5, 2, 4),
    fitted_speedups=(1.5, 2, 4),
    block_speedups=(1.5,),
    swept=("svd",),
    combinations=OF_DEEP,
    layer_side=64,
)
QUICK = replace(
    _COARSE,
    pictures=2,
    calibration=2,
    left_out=("kn2row", "cp fitted"),
    rounds=3,
    side=48,
    memory_sides=(48,),
    blurs=(0.5, 1, 2),
    speedups=(2,),
    fitted_speedups=(2,),
    block_speedups=(),  # the unmarked layers in Table 1 are about those of the blocks
    combinations=ESSENTIAL,
    marked=(),
    condition=(),
    dropped=(),
    layer_side=32,
    layer_speedups=(2,),
    again=False,
    photographs=50,
    minutes=1,
)
QUICK_DEEP = replace(
    QUICK,
    left_out=("im2col", "kn2row", "svd fitted", "svd fitted winograd", "cp", "cp marked", "cp unmarked", "cp fitted"),
    side=32,
    memory_sides=(32,),
    swept=(),
    ablated=(),
    alone=False,
    layers=False,
)
DEEP_FLOPS = 2e7  # for each pixel: of a network that costs more, DEEP or QUICK_DEEP is measured


def extent_of(net: RRDBNet, quick: bool) -> Extent:
    """What a study measures of a network."""
    deep = net.flops_per_pixel > DEEP_FLOPS
    return (QUICK_DEEP if deep else QUICK) if quick else (DEEP if deep else FULL)
