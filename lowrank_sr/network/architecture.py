"""Which RRDBNet a set of layers is, from their names and shapes alone: the package's one definition of scale."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lowrank_sr.errors import InputError

CONVOLUTIONS = 5  # in a dense block
DENSE_BLOCKS = 3  # in an RRDB
KERNEL_SIZE = 3

UNSHUFFLE_FACTORS = (2, 4)  # of Real-ESRGAN's x2 and x1 networks; spandrel recognises the same two


@dataclass(frozen=True)
class Architecture:
    """The numbers that define an RRDBNet, by the names that BasicSR gives them.

    `upsamplings` counts the x2 steps of the tail, `in_channels` are conv_first's and `out_channels` conv_last's.
    """

    num_feat: int
    num_block: int
    num_grow_ch: int
    upsamplings: int
    in_channels: int
    out_channels: int

    @property
    def unshuffle(self) -> int:
        """The factor u by which the image is pixel-unshuffled before conv_first: 1 (not at all), 2 or 4.

        in_channels = u^2 out_channels, and 2^upsamplings >= u. Real-ESRGAN makes its x2 and x1 networks from the x4 one
        by moving 2 x 2 or 4 x 4 neighbouring pixels into channels (Wang et al. 2021, section 3.4), so 12 or 48 input
        channels beside 3 output channels mean u = 2 or 4. Any other number is that of the image's channels.
        """
        for factor in UNSHUFFLE_FACTORS:
            if self.in_channels == factor**2 * self.out_channels and factor <= 1 << self.upsamplings:
                return factor
        return 1

    @property
    def image_channels(self) -> int:
        """Channels of the image that goes in."""
        return self.in_channels // self.unshuffle**2

    @property
    def scale(self) -> int:
        """Output size / input size: 2^upsamplings / unshuffle."""
        return (1 << self.upsamplings) // self.unshuffle

    @staticmethod
    def enlarges(name: str) -> bool:
        """Whether layer `name` reads its input enlarged by 2."""
        return name.startswith("upconv")

    def tail(self) -> list[str]:
        """The names of the layers of the tail, in the order in which they are computed."""
        return [*(f"upconv{i}" for i in range(1, self.upsamplings + 1)), "HRconv", "conv_last"]

    def outside_blocks(self) -> list[str]:
        """The names of the layers that are in no dense block, in the order in which they are computed."""
        return ["conv_first", "trunk_conv", *self.tail()]

    def area(self, name: str) -> float:
        """Pixels that layer `name` writes for each pixel of the image."""
        if self.enlarges(name):
            enlargement = 2 ** int(name.removeprefix("upconv"))
        else:
            enlargement = 2**self.upsamplings if name in ("HRconv", "conv_last") else 1
        return float(enlargement / self.unshuffle) ** 2

    def dense_blocks(self) -> dict[str, list[str]]:
        """The names of each dense block's layers, conv1 to conv5, by the block's name."""
        blocks = [f"RRDB_trunk.{i}.RDB{j}" for i in range(self.num_block) for j in range(1, DENSE_BLOCKS + 1)]
        return {block: [f"{block}.conv{k}" for k in range(1, CONVOLUTIONS + 1)] for block in blocks}

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """(N, C, d) of every layer by name, in the order in which the layers are computed."""
        shapes = {"conv_first": (self.num_feat, self.in_channels, KERNEL_SIZE)}
        for names in self.dense_blocks().values():
            for k, name in enumerate(names):
                n = self.num_feat if name is names[-1] else self.num_grow_ch
                shapes[name] = (n, self.num_feat + k * self.num_grow_ch, KERNEL_SIZE)
        for name in ("trunk_conv", *self.tail()):
            n = self.out_channels if name == "conv_last" else self.num_feat
            shapes[name] = (n, self.num_feat, KERNEL_SIZE)
        return shapes


def architecture_of(shapes: Mapping[str, tuple[int, int, int]]) -> Architecture:
    """The architecture whose layers have these (N, C, d) shapes by name, in any order.

    Raises InputError, naming the layer, where one is missing, does not belong or has another shape.
    """
    for name in ("conv_first", "RRDB_trunk.0.RDB1.conv1", "conv_last"):
        if name not in shapes:
            raise InputError(f"layer {name} is missing: expected the layers of an RRDBNet (ESRGAN's generator)")
    blocks = {match[1] for name in shapes if (match := re.match(r"RRDB_trunk\.(\d+)\.", name))}
    architecture = Architecture(
        num_feat=shapes["conv_first"][0],
        num_block=len(blocks),
        num_grow_ch=shapes["RRDB_trunk.0.RDB1.conv1"][0],
        upsamplings=sum(re.fullmatch("upconv[0-9]+", name) is not None for name in shapes),
        in_channels=shapes["conv_first"][1],
        out_channels=shapes["conv_last"][0],
    )
    expected = architecture.shapes()
    for name in expected:
        if name not in shapes:
            raise InputError(f"layer {name} is missing")
    for name, shape in shapes.items():
        if name not in expected:
            raise InputError(f"layer {name} is not one of an RRDBNet with {architecture.num_block} blocks")
        if tuple(shape) != expected[name]:
            raise InputError(f"layer {name} has (N, C, d) = {tuple(shape)}: expected {expected[name]}")
    return architecture
