"""How much a study measures, quick or full."""

from dataclasses import dataclass

from lowrank_sr.training.folder import MOST_PHOTOGRAPHS


@dataclass(frozen=True)
class Extent:
    """How much is measured: sides are of square pictures at low resolution, in pixels."""

    pictures: int | None  # enlarged, the smallest ones, at most; None for all
    calibration: int | None  # crops of the bundled pictures to calibrate on; None for all
    rounds: int
    side: int
    memory_sides: tuple[int, ...]
    speedups: tuple[float, ...]  # theoretical, of the whole network, for factors of the kernels alone
    fitted_speedups: tuple[float, ...]  # the same for fitted factors, which take longer to compute
    block_speedups: tuple[float, ...]  # the same for factors of the kernels of the dense blocks alone
    ablated: tuple[str, ...]  # the forms of the ablation
    every_combination: bool  # of ranks, layers and factors, or only those that say where the loss comes from
    every_layer_alone: bool  # or only those outside the dense blocks
    marked: tuple[float, ...]  # fractions of the layers that a threshold of the condition number marks
    condition: tuple[float, ...]  # condition numbers to truncate at
    dropped: tuple[float, ...]  # fractions of all singular values that are below a limit
    layer_side: int
    layer_speedups: tuple[float, ...]  # theoretical, of a layer
    full_side: int  # for ESRGAN's 23 blocks
    photographs: int  # to fine-tune on, at most
    minutes: float  # of fine-tuning, each network


QUICK = Extent(
    pictures=2,
    calibration=2,
    rounds=3,
    side=48,
    memory_sides=(24, 48),
    speedups=(2,),
    fitted_speedups=(2,),
    block_speedups=(),  # the unmarked layers in Table 1 are about those of the blocks
    ablated=("svd",),
    every_combination=False,
    every_layer_alone=False,
    marked=(0.1, 1),
    condition=(4, 16),
    dropped=(0.5, 0.9),
    layer_side=32,
    layer_speedups=(2,),
    full_side=32,
    photographs=50,
    minutes=1,
)
FULL = Extent(
    pictures=None,
    calibration=None,
    rounds=7,
    side=96,
    memory_sides=(32, 64, 96, 128, 256),
    speedups=(1.5, 2, 3, 4, 6),
    fitted_speedups=(1.5, 2, 3, 4, 6),
    block_speedups=(1.25, 1.5, 2),
    ablated=("svd", "cp"),
    every_combination=True,
    every_layer_alone=True,
    marked=(0.05, 0.1, 0.25, 0.5, 1),
    condition=(2, 4, 8, 16, 32),
    dropped=(0.3, 0.5, 0.7, 0.9),
    layer_side=96,
    layer_speedups=(2, 4),
    full_side=64,
    photographs=MOST_PHOTOGRAPHS,
    minutes=20,
)
