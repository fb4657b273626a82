"""Pickles, read as data: a `find_class` that refuses names is not enough against a hostile file.

A pickle is a program for a small stack machine, and `pickle.Unpickler` runs all of it. Overriding `find_class` keeps
it from calling what the file names, but not from other harm: one LONG_BINPUT opcode allocates a memo of gigabytes,
BUILD changes existing objects, and a deeply nested tuple as a dict key takes for ever to hash. So this module
interprets, of the opcodes that the standard library's `pickletools.genops` parses, only those that `torch.save` writes.
They make numbers, strings, lists, tuples and dicts, and call the functions that the caller lists by name; nothing else
is within reach. No opcode costs more work or memory than the values made by the bytes before it, and `MAX_BYTES` bounds
those: a state dict of a thousand tensors needs about 0.2 MB.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from lowrank_sr.checkpoints.wrong_files import HALF_A_DOWNLOAD
from lowrank_sr.errors import InputError

MAX_BYTES = 2**20

PersistentLoad = Callable[[object], object]


def restricted_load(stream: BinaryIO, allowed: Mapping[str, object], persistent_load: PersistentLoad) -> object:
    """Return the value of the pickle that begins at the position of `stream`, and leave `stream` after it.

    `allowed` maps each `module.name` that the pickle may ask for to its stand-in: a function of this package, or plain
    data. `persistent_load` turns a persistent id into its stand-in. `stream` holds at most `MAX_BYTES`.

    Raises InputError where the pickle is damaged or asks for another name or opcode, which the message gives.
    """
    machine = _Machine(allowed, persistent_load)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name not in _OPERATIONS:
                raise InputError(f"its pickle uses the opcode {opcode.name}, which no state dict needs")
            _OPERATIONS[opcode.name](machine, argument)
        return machine.pop()
    except InputError:
        raise
    except (ValueError, IndexError, KeyError) as error:  # from genops, an empty stack, a memo never written
        if not stream.read(1) and stream.tell() < MAX_BYTES:
            raise InputError(
                f"its pickle is damaged: it breaks off after {stream.tell()} bytes, {HALF_A_DOWNLOAD}"
            ) from error
        raise InputError(f"its pickle is damaged, or longer than {MAX_BYTES} bytes") from error


class _Machine:
    """The stack, the marks in it, and the memo: all that the opcodes below can reach."""

    def __init__(self, allowed: Mapping[str, object], persistent_load: PersistentLoad) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.allowed = allowed
        self.persistent_load = persistent_load

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def pop_n(self, n: int) -> list[Any]:
        return [self.pop() for _ in range(n)][::-1]

    def memoize(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise InputError("its pickle appends to something that is not a list")
        self.stack[-1].extend(values)

    def set_items(self, keys_and_values: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise InputError("its pickle sets items of something that is not a dict")
        for key, value in zip(keys_and_values[::2], keys_and_values[1::2], strict=True):
            # Strings hash under a secret seed, small ints to themselves; other keys can be chosen to collide.
            if not (type(key) is str or (type(key) is int and abs(key) < 2**31)):
                raise InputError("its pickle has a dict key that is neither a string nor a small integer")
            self.stack[-1][key] = value

    def push_global(self, name: str) -> None:
        if name not in self.allowed:
            raise InputError(
                f"its pickle asks for {name[:100]!a}, which no state dict of tensors needs: nothing was run"
            )
        self.push(self.allowed[name])

    def push_stack_global(self) -> None:
        name = self.pop_n(2)
        if any(type(word) is not str for word in name):
            raise InputError("its pickle asks for a global whose name is not a string")
        self.push_global(".".join(name))

    def reduce(self) -> None:
        function, arguments = self.pop_n(2)
        if not callable(function) or type(arguments) is not tuple:
            raise InputError("its pickle calls something that is not a function")
        try:
            self.push(function(*arguments))
        except TypeError as error:
            raise InputError(f"its pickle calls {function.__name__} as PyTorch never does") from error

    def build(self) -> None:
        # Module.state_dict sets one attribute of its OrderedDict, `_metadata`, which is dropped.
        self.pop()
        if type(self.stack[-1]) is not dict:
            raise InputError("its pickle sets attributes of something that is not a state dict")


_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING")

# What each opcode does to the machine, given the argument that follows it in the file.
_OPERATIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,  # genops ends here by itself
    **dict.fromkeys(_NUMBERS + _STRINGS, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop_n(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop_n(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop_n(3))),
    "APPEND": lambda machine, _: machine.extend(machine.pop_n(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop_n(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "BINPUT": _Machine.memoize,
    "LONG_BINPUT": _Machine.memoize,
    "MEMOIZE": _Machine.memoize,
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "GLOBAL": lambda machine, name: machine.push_global(name.replace(" ", ".")),
    "STACK_GLOBAL": lambda machine, _: machine.push_stack_global(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent_load(machine.pop())),
}
