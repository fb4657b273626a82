"""Where the feature maps of a dense block lie, so that no concatenation of them is ever computed.

All dense blocks share one buffer of (H, W) pixels and three ranges of channels:

    [ x | g1 g2 g3 g4 | y ]          the next block, mirrored:   [ y | g4 g3 g2 g1 | x ]

conv_k of a block reads a range that grows from x to the right, and the block writes its result y at the right end.
There the next block finds its x and grows to the left; its kernels are given their input channels in that order.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.feature_map import FeatureMap
from lowrank_sr.layers import Layer, reorder_inputs
from lowrank_sr.network.architecture import DENSE_BLOCKS, Architecture


class BlockMaps(NamedTuple):
    """The feature maps of a dense block, ranges of the channels of one buffer: [ x g1 g2 g3 g4 y ], or mirrored."""

    buffer: FeatureMap
    mirrored: bool

    def range(self, start: int, stop: int) -> FeatureMap:
        """Channels `start` to `stop` of x g1 g2 g3 g4 y, in the buffer's order."""
        first = self.buffer.channels - stop if self.mirrored else start
        return self.buffer.slice(first, stop - start)

    def following(self) -> "BlockMaps":
        """The maps of the next dense block, whose x is this block's y."""
        return BlockMaps(self.buffer, not self.mirrored)


def mirror_every_second(layers: Mapping[str, Layer], design: Architecture) -> dict[str, Layer]:
    """The layers by name, those of the second dense block, the fourth and so on for mirrored maps."""
    dense_blocks = [f"RRDB_trunk.{i}.RDB{j}." for i in range(design.num_block) for j in range(1, DENSE_BLOCKS + 1)]
    mirrored = tuple(dense_blocks[1::2])
    return {
        name: reorder_inputs(layer, _mirrored_inputs(layer.shape[1], design)) if name.startswith(mirrored) else layer
        for name, layer in layers.items()
    }


def _mirrored_inputs(channels: int, design: Architecture) -> np.ndarray:
    """The order g_k ... g1 x of the first `channels` input channels of a dense block's layer."""
    grown = np.arange(design.num_feat, channels).reshape(-1, design.num_grow_ch)
    return np.concatenate([grown[::-1].ravel(), np.arange(design.num_feat)])
