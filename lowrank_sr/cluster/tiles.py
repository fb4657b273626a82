"""The tiles of a large picture as tasks."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.errors import InputError
from lowrank_sr.network.enlarge import Compute, TileInput, TileProgress, enlarge_tile
from lowrank_sr.network.rrdbnet import RRDBNet

if TYPE_CHECKING:
    from distributed import Future


def tiles_on(pool: Pool, sent: "Future") -> Compute:
    """What computes tiles on the workers of `pool`, by the network that `Pool.send` has sent there."""

    def compute(net: RRDBNet, inputs: Iterable[TileInput], progress: TileProgress) -> Iterator[np.ndarray]:
        calls = ((given.tile, (sent, given)) for given in inputs)
        for tile, values in pool.run(enlarge_tile, calls, lambda tile: str(tile.kept), in_order=True):
            if isinstance(values, InputError):
                raise values
            progress(tile, 1)
            yield values

    return compute
