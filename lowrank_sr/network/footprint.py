"""What a call of the network needs: how much memory, and how far around a pixel it looks."""

from collections.abc import Sequence

from lowrank_sr.conv.algorithm import Call, Scratch, one_after_the_other
from lowrank_sr.conv.algorithms import algorithm_of, dense_block_algorithm_of
from lowrank_sr.conv.feature_map import OUTPUT_TILE, allocated_bytes
from lowrank_sr.conv.upsampled import upsampled_scratch
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture
from lowrank_sr.network.rrdbnet import GROWTHS, RRDBNet
from lowrank_sr.network.tail import band_sizes, tail_bytes

_CACHES_A_THREAD = 2  # what BLAS packs, and what is lost between allocations


def receptive_field(design: Architecture) -> int:
    """How many pixels of the image in each direction an output pixel depends on, at most.

    One for each convolution of the trunk, and of the tail one for each at its own resolution: as many pixels of
    features, each of `unshuffle` pixels of the image.
    """
    trunk = 1 + CONVOLUTIONS * DENSE_BLOCKS * design.num_block + 1
    # upconv i at 2^i times the resolution, HRconv and conv_last at the last: pixels there, rounded up to features
    enlargement: int = 2**design.upsamplings
    tail: int = sum(enlargement // 2**i for i in range(1, design.upsamplings + 1)) + 2
    return (trunk + ceil_div(tail, enlargement)) * design.unshuffle


def alignment(design: Architecture) -> int:
    """Pixels of the image: tiles that begin at multiples of them are folded and transformed as the whole would be."""
    return OUTPUT_TILE * design.unshuffle


def call_bytes(net: RRDBNet, height: int, width: int, threads: int) -> int:
    """The most memory that net(image) holds for an image of `height` x `width`, image and result included."""
    design = net.architecture
    image = 4 * height * width * design.image_channels
    height, width = ceil_div(height, design.unshuffle), ceil_div(width, design.unshuffle)
    if design.unshuffle > 1:
        image += 2 * 4 * height * width * design.in_channels
    pixels = allocated_bytes(height, width, design.in_channels)
    features = allocated_bytes(height, width, design.num_feat)
    grown = GROWTHS * allocated_bytes(height, width, design.num_grow_ch) if _kinds_of_blocks(net) else 0
    tail = tail_bytes(height, width, design.num_feat, _factors(design))
    out: int = 4 * height * width * 4**design.upsamplings * design.out_channels
    return image + pixels + features + max(2 * features + grown, tail + out) + _scratch(net, height, width, threads)


def _factors(design: Architecture) -> list[int]:
    """By how much each layer of the tail enlarges its input."""
    return [2 if design.enlarges(name) else 1 for name in design.tail()]


def _scratch(net: RRDBNet, height: int, width: int, threads: int) -> int:
    """What the algorithms need besides the maps, and a few caches a thread, for features of `height` x `width`."""
    design = net.architecture
    needs = [_layer_scratch(net, "conv_first", Call((design.in_channels,), height, width, threads), False)]
    needs.append(_layer_scratch(net, "trunk_conv", Call((design.num_feat,), height, width, threads), False))
    in_block = Call((design.num_feat, *[design.num_grow_ch] * GROWTHS), height, width, threads)
    for names, count in _kinds_of_blocks(net):
        needed, kept = _dense_block_scratch(net, names, in_block)
        needs.append(Scratch(needed, count * kept))
    for name, (rows, columns) in zip(design.tail(), band_sizes(height, width, _factors(design)), strict=True):
        call = Call((design.num_feat,), rows, columns, threads)
        if design.enlarges(name):
            needs.append(upsampled_scratch(net.layers[name], net.methods[name], call))
        else:
            needs.append(_layer_scratch(net, name, call, True))
    return threads * _CACHES_A_THREAD * l2_bytes() + one_after_the_other(needs).total


def _layer_scratch(net: RRDBNet, name: str, call: Call, keep_transformed: bool) -> Scratch:
    return algorithm_of(net.layers[name], net.methods[name]).scratch(net.layers[name], call, keep_transformed)


def _dense_block_scratch(net: RRDBNet, names: Sequence[str], call: Call) -> Scratch:
    together = dense_block_algorithm_of([algorithm_of(net.layers[name], net.methods[name]) for name in names])
    if together is not None:
        return together.scratch([net.layers[name] for name in names], call)
    calls = [call._replace(channels=call.channels[: k + 1]) for k in range(len(names))]
    return one_after_the_other(_layer_scratch(net, name, each, False) for name, each in zip(names, calls, strict=True))


def _kinds_of_blocks(net: RRDBNet) -> list[tuple[list[str], int]]:
    """The layers of one dense block of each kind, and how many of the kind there are; of those that do not vanish."""
    kinds: dict[tuple[object, ...], list[list[str]]] = {}
    for block, names in net.architecture.dense_blocks().items():
        if block in net.vanished:
            continue
        layers = [net.layers[name] for name in names]
        kind = [(net.methods[name], type(layer), layer.rank) for name, layer in zip(names, layers, strict=True)]
        kinds.setdefault(tuple(kind), []).append(names)
    return [(blocks[0], len(blocks)) for blocks in kinds.values()]
