"""What each blob of an ncnn model holds, whichever layers its exporter wrote for it.

Every blob is a `Value`, an operation on other values; two blobs that hold the same are one value. A Split is its
input; an activation is the same inside a convolution and in a layer of its own; a Concat of a Concat is one Concat;
0.2 a + b is the same by Eltwise, or by two BinaryOps, with its terms in either order. A layer that none of this
describes makes a value of its own kind, which equals no other.

Semantics of the layers: https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowrank_sr.checkpoints.ncnn_param import Layer, quoted
from lowrank_sr.errors import InputError

IMAGE, CONVOLUTION, LEAKY_RELU, CLIP = "image", "convolution", "LeakyReLU", "clip"
CONCAT, SUM, SCALED, ENLARGED, UNSHUFFLED = "concat", "sum", "scaled", "enlarged", "unshuffled"

_MOST_CONCATENATED = 5  # of a Concat in an RRDBNet; Concats of Concats could double with every line

_MOST_NAMES = 6  # in a sentence

_DECIMALS = 3  # of factors: they are written as text, and some were rounded to float16 before: 1.999512e-01

_NO_ACTIVATION, _RELU, _LEAKY_RELU, _CLIP = range(4)  # of a convolution, option 9
_ADD, _MULTIPLY = 0, 2  # of BinaryOp, option 0
_ELTWISE_SUM, _NEAREST = 1, 1  # of Eltwise and Interp, option 0


@dataclass(frozen=True, slots=True)
class Value:
    """An operation on the values that `operands` number, with the numbers that it needs."""

    operation: str
    operands: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()


class Graph:
    """The values of a model by their numbers, the layer that makes each, and the values that are computed from it."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Follow the layers in their order; raise InputError where one reads a blob that none before it makes."""
        self.values: list[Value] = []
        self.makers: list[Layer] = []
        self.readers: defaultdict[int, list[int]] = defaultdict(list)
        self._names: dict[int, str] = {}
        self._numbers: dict[Value, int] = {}
        self._blobs: dict[str, int] = {}
        unread: dict[str, None] = {}
        for layer in layers:
            for blob in layer.inputs:
                if blob not in self._blobs:
                    raise InputError(f"has {layer} read blob {quoted(blob)}, which no layer before it makes")
                unread.pop(blob, None)
            operands = tuple(map(self._blobs.__getitem__, layer.inputs))
            for i, blob in enumerate(layer.outputs):
                if blob in self._blobs:
                    raise InputError(f"has {layer} make blob {quoted(blob)}, which there is already")
                self._blobs[blob] = value = self._value(layer, operands, i)
                self._names.setdefault(value, blob)
                unread[blob] = None
        self.unread: list[str] = list(unread)

    def __getitem__(self, blob: str) -> int:
        """The number of the value that a blob holds."""
        return self._blobs[blob]

    def find(self, value: Value) -> int | None:
        """The number of a value, or None where no blob holds it."""
        return self._numbers.get(value)

    def add(self, value: Value, maker: Layer) -> int:
        """The number of a value, which it gets where there is none equal to it."""
        if value not in self._numbers:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
            self.makers.append(maker)
            for operand in dict.fromkeys(value.operands):
                self.readers[operand].append(number)
        return self._numbers[value]

    def _value(self, layer: Layer, operands: tuple[int, ...], output: int) -> int:
        """The value of a layer's output, the first of which is 0."""
        rule = _RULES.get(layer.kind)
        if rule is not None and (len(layer.outputs) == 1 or layer.kind == "Split"):
            value = rule(self, layer, operands)
            if value is not None:
                return value
        # operands once: many blobs read and as many made would cost the square of what their line does
        return self.add(Value(f"layer {layer.kind}", () if output else operands, (layer.line, output)), layer)

    def describe(self, number: int) -> str:
        """Say what a value is, in the names of the file, after the blob that holds it."""
        named = f"blob {self._name(number)}"
        value, maker = self.values[number], self.makers[number]
        if value.operation in (SUM, SCALED, CONCAT):
            return f"{named}, {self.formula(value)}"
        options = " ".join(f"{key}={text}" for key, text in maker.options.items())[:60]
        return f"{named} of {maker}" + (f" ({options})" if value.operation.startswith("layer ") and options else "")

    def formula(self, value: Value) -> str:
        """Say how a value is computed, in the names of the blobs."""
        names = [self._name(operand) for operand in value.operands[:_MOST_NAMES]]
        if len(value.operands) > _MOST_NAMES:
            names.append(f"{len(value.operands) - _MOST_NAMES} others")
        if value.operation == CONCAT:
            return f"the concatenation of {', '.join(names[:-1])} and {names[-1]}"
        if value.operation in (SUM, SCALED):
            return " + ".join(f"{factor:g} x {name}" for factor, name in zip(value.numbers, names, strict=False))
        return f"{value.operation} {' '.join(f'{number:g}' for number in value.numbers)} of {', '.join(names)}"

    def _name(self, number: int) -> str:
        if number in self._names:
            return quoted(self._names[number])
        return f"{self.makers[number]} before its activation"


def summed(terms: Sequence[tuple[float, int]]) -> Value:
    """The sum of values times factors, the same in any order of its terms."""
    ordered = sorted((operand, round(factor, _DECIMALS)) for factor, operand in terms)
    return Value(SUM, tuple(operand for operand, _ in ordered), tuple(factor for _, factor in ordered))


_Rule = Callable[[Graph, Layer, tuple[int, ...]], int | None]
"""From a layer and its operands to the number of its value, or None where the rule does not hold for the layer."""


def _input(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    second = graph.find(Value(IMAGE)) is not None
    return None if operands or second else graph.add(Value(IMAGE), layer)


def _same(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    return operands[0] if len(operands) == 1 else None


def _convolution(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    if len(operands) != 1:
        return None
    x = graph.add(Value(CONVOLUTION, operands, (layer.line,)), layer)
    activation = layer.integer(9, _NO_ACTIVATION)
    numbers = layer.reals(10)
    if activation == _NO_ACTIVATION:
        return x
    if activation == _RELU:
        return graph.add(Value(LEAKY_RELU, (x,), (0.0,)), layer)
    if activation == _LEAKY_RELU and len(numbers) == 1:
        return graph.add(Value(LEAKY_RELU, (x,), _rounded(numbers)), layer)
    if activation == _CLIP and len(numbers) == 2:
        return graph.add(Value(CLIP, (x,), numbers), layer)
    return graph.add(Value(f"activation {activation}", (x,), numbers), layer)


def _relu(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    if len(operands) != 1:
        return None
    return graph.add(Value(LEAKY_RELU, operands, _rounded((layer.real(0, 0.0),))), layer)


def _clip(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    if len(operands) != 1 or not {0, 1} <= layer.options.keys():  # without them it clips to float32's range
        return None
    return graph.add(Value(CLIP, operands, (layer.real(0, 0.0), layer.real(1, 0.0))), layer)


def _concat(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    concatenated: list[int] = []
    for operand in operands:
        value = graph.values[operand]
        concatenated += value.operands if value.operation == CONCAT else (operand,)
    if layer.integer(0, 0) != 0 or not 2 <= len(concatenated) <= _MOST_CONCATENATED:  # 0: along the channels
        return None
    return graph.add(Value(CONCAT, tuple(concatenated)), layer)


def _eltwise(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    factors = layer.reals(1) or (1.0,) * len(operands)
    if layer.integer(0, 0) != _ELTWISE_SUM or len(operands) < 2 or len(factors) != len(operands):
        return None
    return _add_up(graph, layer, factors, operands)


def _binary(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    operation, with_scalar = layer.integer(0, 0), layer.integer(1, 0)
    if operation == _MULTIPLY and with_scalar and len(operands) == 1:
        return _scale(graph, layer, operands[0], layer.real(2, 0.0))
    if operation == _ADD and not with_scalar and len(operands) == 2:
        return _add_up(graph, layer, (1.0, 1.0), operands)
    return None


def _dropout(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    return _scale(graph, layer, operands[0], layer.real(0, 1.0)) if len(operands) == 1 else None


def _interp(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    twice = layer.real(1, 1.0) == layer.real(2, 1.0) == 2.0
    by_factor = layer.integer(3, 0) == layer.integer(4, 0) == layer.integer(5, 0) == 0 and 9 not in layer.options
    if len(operands) != 1 or layer.integer(0, 0) != _NEAREST or not twice or not by_factor:
        return None
    return graph.add(Value(ENLARGED, operands), layer)


def _reorg(graph: Graph, layer: Layer, operands: tuple[int, ...]) -> int | None:
    if len(operands) != 1:
        return None
    return graph.add(Value(UNSHUFFLED, operands, (layer.integer(0, 1), layer.integer(1, 0))), layer)


def _scale(graph: Graph, layer: Layer, operand: int, factor: float) -> int:
    factor, operand = _term(graph, factor, operand)
    scaled = Value(SCALED, (operand,), _rounded((factor,)))
    return operand if scaled.numbers == (1.0,) else graph.add(scaled, layer)


def _add_up(graph: Graph, layer: Layer, factors: Sequence[float], operands: Sequence[int]) -> int:
    terms = [_term(graph, factor, operand) for factor, operand in zip(factors, operands, strict=True)]
    return graph.add(summed(terms), layer)


def _term(graph: Graph, factor: float, operand: int) -> tuple[float, int]:
    """A factor and a value, whose own factor, where it has one, becomes a part of the first."""
    value = graph.values[operand]
    return (factor * value.numbers[0], value.operands[0]) if value.operation == SCALED else (factor, operand)


def _rounded(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(number, _DECIMALS) for number in numbers)


_RULES: dict[str, _Rule] = {
    "Input": _input,
    "Split": _same,
    "Noop": _same,
    "Dropout": _dropout,
    "Convolution": _convolution,
    "ReLU": _relu,
    "Clip": _clip,
    "Concat": _concat,
    "Eltwise": _eltwise,
    "BinaryOp": _binary,
    "Interp": _interp,
    "Reorg": _reorg,
}
