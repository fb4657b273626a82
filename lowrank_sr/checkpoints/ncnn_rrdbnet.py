"""An RRDBNet recognised in the graph of an ncnn model: the walk of `network/esrgan.py`, one convolution after another.

Each step looks up the one convolution that reads the value which that layer of an RRDBNet reads. Neither names nor the
order of the file decide anything; they only tell the reader of a refusal where to look. What the last step computes has
to be the one blob that no layer reads: so every layer of the file is part of the network, and does what it has to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lowrank_sr.checkpoints.ncnn_convolution import shape_of
from lowrank_sr.checkpoints.ncnn_graph import (
    CLIP,
    CONCAT,
    CONVOLUTION,
    ENLARGED,
    IMAGE,
    LEAKY_RELU,
    SUM,
    UNSHUFFLED,
    Graph,
    Value,
    summed,
)
from lowrank_sr.checkpoints.ncnn_param import Layer
from lowrank_sr.errors import InputError

_SLOPE, _BETA = 0.2, 0.2  # of LeakyReLU and of the residuals, as in `network/esrgan.py`

_DENSE_BLOCKS, _CONVOLUTIONS = 3, 5
_MOST_UPSAMPLINGS = 4
_UNSHUFFLE_FACTORS = (2, 4)  # as in `network/architecture.py`, which reads them from the channels alone


@dataclass(frozen=True)
class Recognised:
    """The convolutions of an RRDBNet by the ESRGAN release's names of its layers, in the order of computation.

    `pixel_by_pixel` is the factor by which the image is unshuffled before conv_first where all channels of one pixel
    stand together, and 1 for PyTorch's order of channels.
    """

    convolutions: dict[str, Layer]
    pixel_by_pixel: int


def recognise(layers: Sequence[Layer]) -> Recognised:
    """The RRDBNet that the layers compute.

    Raises InputError for any other network: by its name where that is known, else with the first edge that does not
    fit: which layer it is in the file, what it reads, and what was expected.
    """
    _refuse_by_name(layers)
    return _Walk(Graph(layers)).run()


def _refuse_by_name(layers: Sequence[Layer]) -> None:
    kinds = {layer.kind for layer in layers}
    if {"PReLU", "PixelShuffle"} <= kinds:
        raise InputError(
            "is not an ESRGAN generator but looks like a compact Real-ESRGAN (SRVGGNet), by its PReLU and PixelShuffle"
        )
    for layer in layers:
        if "quantize" in layer.kind.lower() or (layer.kind == "Convolution" and layer.integer(8, 0)):
            raise InputError(f"is quantised to int8, as {layer} says: expected weights in float16 or float32")


class _Walk:
    """Where the walk is: the graph, and the convolutions that have a name already."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.placed: dict[str, Layer] = {}

    def run(self) -> Recognised:
        pixels, factor, order = self._pixels()
        features = self._place("conv_first", self._reader("conv_first", pixels))
        x = self._trunk(features)
        x, upsamplings = self._upsampled(x)
        hr_conv = self._reader("HRconv, or an Interp by 2 for another upconv,", x)
        x = self._activated("HRconv", self._place("HRconv", hr_conv))
        out = self._place("conv_last", self._reader("conv_last", x))
        self._require_output(out)
        self._require_channels(factor, upsamplings)
        return Recognised(self.placed, factor if order else 1)

    def _pixels(self) -> tuple[int, int, int]:
        """What conv_first reads: the image, unshuffled by a factor or (1) as it is; and Reorg's order of channels."""
        image = self.graph.find(Value(IMAGE))
        if image is None:
            raise InputError("is not an RRDBNet: it has no Input")
        for x in self.graph.readers[image]:
            if self.graph.values[x].operation == UNSHUFFLED:
                factor, order = map(int, self.graph.values[x].numbers)
                if factor not in _UNSHUFFLE_FACTORS or order not in (0, 1):
                    raise self._misfit(f"{self.graph.makers[x]} unshuffles by {factor}", "a Reorg by 2 or 4 may be")
                return x, factor, order
        return image, 1, 0

    def _trunk(self, features: int) -> int:
        """features + trunk_conv(RRDB_n(... RRDB_1(features)))."""
        x, block = features, 0
        while True:
            name = f"RRDB_trunk.{block}"
            conv = self._reader(f"{name}.RDB1.conv1 or trunk_conv", x)
            if any(self.graph.values[reader].operation == SUM for reader in self.graph.readers[conv]):
                break
            rrdb = x
            for j in range(1, _DENSE_BLOCKS + 1):
                rrdb = self._dense_block(f"{name}.RDB{j}", rrdb)
            x = self._sum(name, (_BETA, rrdb), x)
            block += 1
        if not block:
            raise self._misfit(
                f"trunk_conv comes after conv_first, as {self.graph.makers[conv]}", "there are RRDBs between"
            )
        return self._sum("the trunk", (1.0, self._place("trunk_conv", conv)), features)

    def _dense_block(self, name: str, x: int) -> int:
        """x + 0.2 conv5(x, g1, ..., g4) with g_k = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))."""
        inputs = [x]
        for k in range(1, _CONVOLUTIONS):
            inputs.append(self._activated(f"{name}.conv{k}", self._concatenated(f"{name}.conv{k}", inputs)))
        conv5 = self._concatenated(f"{name}.conv5", inputs)
        return self._sum(name, (_BETA, conv5), x)

    def _upsampled(self, x: int) -> tuple[int, int]:
        """LeakyReLU(upconv(nearest x2(x))), as often as there is one, and how often that is."""
        upsamplings = 0
        while (enlarged := self.graph.find(Value(ENLARGED, (x,)))) is not None:
            upsamplings += 1
            if upsamplings > _MOST_UPSAMPLINGS:
                raise self._misfit(f"{self.graph.makers[enlarged]} enlarges by 2 once more", "4 times are the most")
            name = f"upconv{upsamplings}"
            x = self._activated(name, self._place(name, self._reader(name, enlarged)))
        return x, upsamplings

    def _concatenated(self, name: str, inputs: list[int]) -> int:
        """Place the convolution that reads `inputs` side by side."""
        value = Value(CONCAT, tuple(inputs))
        x = inputs[0] if len(inputs) == 1 else self.graph.find(value)
        if x is None:
            raise self._not_read(name, self.graph.formula(value))
        return self._place(name, self._reader(name, x))

    def _place(self, name: str, conv: int) -> int:
        layer = self.placed[name] = self.graph.makers[conv]
        shape_of(layer)
        return conv

    def _reader(self, name: str, x: int) -> int:
        """What the one convolution that reads x computes; `name` is what the network has in this place."""
        graph = self.graph
        convolutions = [reader for reader in graph.readers[x] if graph.values[reader].operation == CONVOLUTION]
        if not convolutions:
            raise self._not_read(name, graph.describe(x))
        if len(convolutions) > 1:
            first, second = (graph.makers[conv] for conv in convolutions[:2])
            raise self._misfit(f"{second} reads {graph.describe(x)}, as {first} does", f"only {name} does")
        return convolutions[0]

    def _activated(self, name: str, conv: int) -> int:
        found = self.graph.find(Value(LEAKY_RELU, (conv,), (_SLOPE,)))
        if found is None:
            raise self._followed_otherwise(conv, f"{name} is followed by a LeakyReLU of slope {_SLOPE}")
        return found

    def _sum(self, name: str, branch: tuple[float, int], skip: int) -> int:
        """skip + factor x, `branch` being the two."""
        value = summed((branch, (1.0, skip)))
        found = self.graph.find(value)
        if found is None:
            raise self._followed_otherwise(branch[1], f"{name} ends with {self.graph.formula(value)}")
        return found

    def _require_output(self, out: int) -> None:
        """Raise InputError unless conv_last's output, clipped to 0..1 or not, is the only blob that is never read.

        chaiNNer's models clip. Here a network's output is not clipped, the picture that is written is.
        """
        graph = self.graph
        clipped = graph.find(Value(CLIP, (out,), (0.0, 1.0)))
        expected = out if clipped is None else clipped
        for blob in graph.unread:
            if graph[blob] != expected:
                raise self._misfit(
                    f"no layer reads {graph.describe(graph[blob])}", "the last blob is conv_last's output"
                )
        if len(graph.unread) != 1:
            raise self._misfit(f"{len(graph.unread)} blobs come out", "one does")

    def _require_channels(self, factor: int, upsamplings: int) -> None:
        """Raise InputError where the channels of conv_first and conv_last say another factor than the graph.

        The factor is not kept: a network is known by its shapes alone, see `network/architecture.py`.
        """
        n, c = shape_of(self.placed["conv_last"])[0], shape_of(self.placed["conv_first"])[1]
        factors = (f for f in _UNSHUFFLE_FACTORS if c == f * f * n and f <= 1 << upsamplings)
        implied = next(factors, 1)
        first = f"{self.placed['conv_first']} reads {c} channels"
        if factor == 1 < implied:
            raise self._misfit(
                f"{first}, as many as an unshuffled image of {n} has", f"a Reorg by {implied} is before it"
            )
        if factor != implied:
            raise self._misfit(
                f"{first} of an image unshuffled by {factor}, of which {n} come out enlarged by {2**upsamplings}",
                f"{factor**2 * n} channels are needed, and to enlarge by {factor} or more",
            )

    def _not_read(self, name: str, expected: str) -> InputError:
        """No convolution reads what layer `name` does: the first that has no name yet is said to be the wrong one."""
        taken = {layer.line for layer in self.placed.values()}
        for value, maker in zip(self.graph.values, self.graph.makers, strict=True):
            if value.operation == CONVOLUTION and maker.line not in taken:
                return self._misfit(
                    f"{maker} reads {self.graph.describe(value.operands[0])}", f"{name} reads {expected}"
                )
        return self._misfit("all convolutions have their place", f"{name} is missing, which reads {expected}")

    def _followed_otherwise(self, conv: int, expected: str) -> InputError:
        readers = self.graph.readers[conv]
        if not readers:
            return self._misfit(f"no layer reads {self.graph.describe(conv)}", expected)
        last = readers[-1]  # of 0.2 x, and of x + 0.2 y, which reads y itself in the graph, the sum
        return self._misfit(
            f"{self.graph.makers[last]} computes {self.graph.formula(self.graph.values[last])}", expected
        )

    def _misfit(self, actual: str, expected: str) -> InputError:
        return InputError(f"is not an RRDBNet: {actual}, where {expected}")
