"""ncnn's `.param`: a text, a line for each layer: its kind and name, the blobs that it reads and makes, its options.

    7767517
    999 1782
    Convolution  Conv_1  1 1 703 705  0=32 1=3 4=1 5=1 6=18432 9=2 -23310=1,2.000000e-01

A number that marks the format, how many layers and blobs there are, then the layers. An option is `number=value`, or
`-(23300 + number)=count,value,...` for several values; which number means what is the layer's own affair.
Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and `src/paramdict.cpp` there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lowrank_sr.errors import InputError

_MAGIC = "7767517"
_BINARY_MAGIC = int(_MAGIC).to_bytes(4, "little")
_MAX_BYTES = 4 * 2**20  # twenty times ESRGAN
_MAX_LAYERS = 2**15  # the same; of 4 MB there could be half a million, each a hundred times as large in memory
_MAX_NAME = 255  # as in ncnn

_COUNT = re.compile("[0-9]{1,7}")
_OPTION = re.compile("(-?[0-9]{1,6})=(.+)")
_INTEGER = re.compile("[+-]?[0-9]{1,10}")
_REAL = re.compile(r"[+-]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")
_FIRST_ARRAY = -23300


@dataclass(frozen=True, slots=True)
class Layer:
    """A line of the text: what the layer is, the names of the blobs that it reads and makes, its options as written."""

    line: int
    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[int, str]

    def __str__(self) -> str:
        return f"{self.kind[:40]} {quoted(self.name)}"

    def integer(self, number: int, default: int) -> int:
        """Return an option that is a whole number; raise InputError where it is something else."""
        text = self.options.get(number)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise self._unreadable(number, "a whole number")
        return int(text)

    def real(self, number: int, default: float) -> float:
        """Return an option that is a number; raise InputError where it is something else."""
        text = self.options.get(number)
        if text is None:
            return default
        if not _REAL.fullmatch(text):
            raise self._unreadable(number, "a number")
        return float(text)

    def reals(self, number: int) -> tuple[float, ...]:
        """Return an option that is an array of numbers, none where it is missing; raise InputError as the others do."""
        key = _FIRST_ARRAY - number
        if key not in self.options:
            return ()
        count, *values = self.options[key].split(",")
        if not _COUNT.fullmatch(count) or int(count) != len(values) or not all(map(_REAL.fullmatch, values)):
            raise self._unreadable(key, "a count and so many numbers")
        return tuple(map(float, values))

    def _unreadable(self, key: int, expected: str) -> InputError:
        return InputError(f"gives {self} the option {key}={self.options[key][:40]!a}, where {expected} was expected")


def quoted(name: str) -> str:
    """The name of a layer or blob as it stands in a sentence."""
    return f"{name[:60]!a}"


def is_binary(data: memoryview) -> bool:
    """Say whether `data` begins as a binary `.param` does, which ncnn's tools make of the text."""
    return bytes(data[:4]) == _BINARY_MAGIC


def parse(data: memoryview) -> list[Layer]:
    """Return the layers in the order of the text.

    Raises InputError, naming the line, where the text is no such list or ends before as many layers as it says.
    """
    if is_binary(data):
        raise InputError("is a binary .param, without the names of its layers: give the text that it was made from")
    if len(data) > _MAX_BYTES:
        raise InputError(f"is {len(data)} bytes, where the text of an ncnn model was expected, {_MAX_BYTES} at most")
    lines = _lines(data)
    if next(lines, (0, [""]))[1] != [_MAGIC]:
        raise InputError(f"is not the text of an ncnn model: its first line is not {_MAGIC}")
    number, counts = next(lines, (2, []))
    if len(counts) != 2 or not all(map(_COUNT.fullmatch, counts)):
        raise InputError(f"does not say in line {number} how many layers and how many blobs it has")
    claimed = int(counts[0])
    if claimed > _MAX_LAYERS:
        raise InputError(f"says that there are {claimed} layers: expected {_MAX_LAYERS} at most")
    listed = list(lines)
    if len(listed) != claimed:
        raise InputError(
            f"lists {len(listed)} layers and says that there are {claimed}: it is damaged, or half a download"
        )
    return [_layer(number, words) for number, words in listed]


def _lines(data: memoryview) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of each line that has any."""
    try:
        text = str(data, "utf-8-sig")  # editors for Windows put a mark before the first line
    except UnicodeDecodeError as error:
        raise InputError("is not the text of an ncnn model: it is not text") from error
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words:
            yield number, words


def _layer(number: int, words: list[str]) -> Layer:
    counts = words[2:4]
    if len(counts) < 2 or not all(map(_COUNT.fullmatch, counts)) or max(map(len, words[:2])) > _MAX_NAME:
        raise InputError(f"has in line {number} no layer: expected its kind, its name and two counts of blobs")
    first_output = 4 + int(counts[0])
    first_option = first_output + int(counts[1])
    blobs = words[4:first_option]
    if "." in words[0]:  # nn.Conv2d, pnnx.Input
        raise InputError("is a model of pnnx, not of ncnn: give the .ncnn.param that pnnx writes beside it")
    if len(words) < first_option or max(map(len, blobs), default=0) > _MAX_NAME:
        raise InputError(f"names in line {number} fewer blobs than the layer reads and makes")
    options = {}
    for word in words[first_option:]:
        option = _OPTION.fullmatch(word)
        if option is None:
            raise InputError(f"has in line {number} {word[:40]!a}, where an option, number=value, was expected")
        options[int(option[1])] = option[2]
    kind, name = words[:2]
    return Layer(number, kind, name, tuple(words[4:first_output]), tuple(words[first_output:first_option]), options)
