"""The tiles of a large picture as tasks."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.errors import InputError
from lowrank_sr.network.enlarge import Compute, Piece, enlarge_piece
from lowrank_sr.network.rrdbnet import RRDBNet

if TYPE_CHECKING:
    from distributed import Future


def tiles_on(pool: Pool, sent: "Future") -> Compute:
    """What computes tiles on the workers of `pool`, by the network that `Pool.send` has sent there."""

    def compute(net: RRDBNet, pieces: Iterable[Piece]) -> Iterator[np.ndarray]:
        calls = ((piece.tile.kept, (sent, piece)) for piece in pieces)
        for _, values in pool.run(enlarge_piece, calls, in_order=True):
            if isinstance(values, InputError):
                raise values
            yield values

    return compute
