"""What a call of the network needs: how much memory, and how far around a pixel it looks."""

import math

from lowrank_sr.conv.dense_block import transforms_bytes
from lowrank_sr.conv.feature_map import OUTPUT_TILE, allocated_bytes
from lowrank_sr.conv.toom_cook import INPUT_TILE
from lowrank_sr.conv.winograd import TILE_ELEMENTS
from lowrank_sr.layers import Separable
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.cpu import LANES, PANEL
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture
from lowrank_sr.network.auto import AUTO
from lowrank_sr.network.rrdbnet import GROWTHS, RRDBNet
from lowrank_sr.network.tail import largest_band, tail_bytes

_CACHES_A_THREAD = 4  # what the loops keep in second-level caches, and what is lost between allocations


def receptive_field(design: Architecture) -> int:
    """How many pixels of the image in each direction an output pixel depends on, at most.

    One for each convolution of the trunk, and of the tail one for each at its own resolution: as many pixels of
    features, each of `unshuffle` pixels of the image.
    """
    trunk = 1 + CONVOLUTIONS * DENSE_BLOCKS * design.num_block + 1
    # upconv i at 2^i times the resolution, HRconv and conv_last at the last: pixels there, rounded up to features
    enlargement: int = 2**design.upsamplings
    tail: int = sum(enlargement // 2**i for i in range(1, design.upsamplings + 1)) + 2
    return (trunk + -(-tail // enlargement)) * design.unshuffle


def alignment(design: Architecture) -> int:
    """Pixels of the image: tiles that begin at multiples of them are folded and transformed as the whole would be."""
    return OUTPUT_TILE * design.unshuffle


def call_bytes(net: RRDBNet, height: int, width: int, threads: int) -> int:
    """The most memory that net(image) holds for an image of `height` x `width`, image and result included."""
    design = net.architecture
    image = 4 * height * width * design.image_channels
    height, width = -(-height // design.unshuffle), -(-width // design.unshuffle)
    if design.unshuffle > 1:
        image += 2 * 4 * height * width * design.in_channels
    pixels = allocated_bytes(height, width, design.in_channels)
    features = allocated_bytes(height, width, design.num_feat)
    grown = GROWTHS * allocated_bytes(height, width, design.num_grow_ch)
    factors = [2] * design.upsamplings + [1, 1]
    enlargement = math.prod(factors)
    tail = tail_bytes(height, width, design.num_feat, factors)
    out = 4 * height * width * enlargement**2 * design.out_channels
    return image + pixels + features + max(2 * features + grown, tail + out) + _scratch(net, height, width, threads)


def _scratch(net: RRDBNet, height: int, width: int, threads: int) -> int:
    """What the methods need besides the feature maps.

    A few caches a thread, and rows for some; all patches for im2col, of a layer of the trunk or of a band of the
    tail; for winograd the transforms of the kernels of a dense block, which are computed anew for each, of those of
    the tail, which are kept, four for an upconv, and of a dense block's feature maps; for SVD pairs those of their
    factors, 8 elements for 3 taps, which are kept.
    """
    design = net.architecture
    widest = design.num_feat + GROWTHS * design.num_grow_ch
    enlargement: int = 2**design.upsamplings
    row = 4 * 3 * max(width * widest, enlargement * width * design.num_feat)  # kn2row: the products of one row
    size = threads * (_CACHES_A_THREAD * l2_bytes() + row)
    if net.method == "im2col":
        rows = largest_band(height, width, [2] * design.upsamplings + [1, 1])
        size += 4 * 10 * max(height * width * widest, rows * enlargement * width * design.num_feat)
    if net.method in (AUTO, "winograd"):
        channels = [design.num_feat, *[design.num_grow_ch] * GROWTHS]
        size += transforms_bytes(height, width, channels, threads)
        first_block, shapes = next(iter(design.dense_blocks().values())), design.shapes()
        in_block = sum(
            _whole(n, PANEL) * (_whole(design.num_feat, LANES) + k * _whole(design.num_grow_ch, LANES))
            for k, (n, _, _) in enumerate(shapes[name] for name in first_block)
        )
        in_tail = (4 * design.upsamplings + 2) * design.num_feat**2
        size += 4 * TILE_ELEMENTS * (in_block + in_tail)
        for name, layer in net.layers.items():
            if isinstance(layer, Separable):
                n, c, _ = layer.shape
                factors = _whole(c, LANES) * _whole(layer.rank, PANEL) + _whole(layer.rank, LANES) * _whole(n, PANEL)
                size += 4 * INPUT_TILE * factors * (4 if design.enlarges(name) else 1)
    return size


def _whole(count: int, multiple: int) -> int:
    """`count`, rounded up to a multiple."""
    return -(-count // multiple) * multiple
