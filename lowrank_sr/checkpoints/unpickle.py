"""Pickles, read as data.

A pickle is a program for a small stack machine, and `pickle.Unpickler` runs all of it. Overriding
`find_class` keeps that from calling what the file names, but not from the rest: one LONG_BINPUT opcode makes
it allocate a memo of gigabytes, BUILD reaches into the objects that exist, and a tuple of tuples of tuples as
the key of a dict takes for ever to hash. So this runs, of the opcodes that the standard library's
`pickletools.genops` parses, only those that `torch.save` writes. It can make numbers, strings, lists, tuples
and dicts, and call the functions that its caller lists by name; it has no way to reach anything else. An
opcode costs no more work and memory than the bytes before it made, and `MAX_BYTES` bounds those: a state dict
of a thousand tensors needs about 0.2 MB.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import BinaryIO

from lowrank_sr.errors import InputError

MAX_BYTES = 2**20


def load(stream: BinaryIO, allowed: Mapping[str, object], persistent_load: Callable[[object], object]) -> object:
    """Return the value of the pickle that begins at the position of `stream`, and leave `stream` after it.

    `allowed` maps each `module.name` that the pickle may ask for to what it gets: a function of this package,
    or plain data. `persistent_load` turns a persistent id into what it stands for. `stream` holds `MAX_BYTES`
    at most.

    Raises InputError where the pickle is damaged, and where it asks for another name or opcode, naming that.
    """
    machine = _Machine(allowed, persistent_load)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return machine.pop()
            if opcode.name not in _OPERATIONS:
                raise InputError(f"its pickle uses the opcode {opcode.name}, which no state dict needs")
            _OPERATIONS[opcode.name](machine, argument)
    except InputError:
        raise
    except (ValueError, IndexError, KeyError) as error:  # from genops, an empty stack, a memo never written
        raise InputError(f"its pickle is damaged, or longer than {MAX_BYTES} bytes") from error


class _Machine:
    """The stack, the marks in it, and the memo: all that the opcodes below can touch."""

    def __init__(self, allowed, persistent_load):
        self.stack, self.marks, self.memo = [], [], {}
        self.allowed, self.persistent_load = allowed, persistent_load

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        return self.stack.pop()

    def pop_to_mark(self):
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def pop_n(self, n):
        return [self.pop() for _ in range(n)][::-1]

    def memoize(self, index):
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def extend(self, values):
        if type(self.stack[-1]) is not list:
            raise InputError("its pickle appends to something that is not a list")
        self.stack[-1].extend(values)

    def set_items(self, keys_and_values):
        if type(self.stack[-1]) is not dict:
            raise InputError("its pickle sets items of something that is not a dict")
        for key, value in zip(keys_and_values[::2], keys_and_values[1::2], strict=True):
            # Strings hash under a secret seed, small ints to themselves; others can be made to collide.
            if not (type(key) is str or (type(key) is int and abs(key) < 2**31)):
                raise InputError("its pickle has a dict key that is neither a string nor a small integer")
            self.stack[-1][key] = value

    def push_global(self, name):
        if name not in self.allowed:
            raise InputError(
                f"its pickle asks for {name[:100]!a}, which no state dict of tensors needs: nothing was run"
            )
        self.push(self.allowed[name])

    def push_stack_global(self):
        name = self.pop_n(2)
        if any(type(part) is not str for part in name):
            raise InputError("its pickle asks for a global whose name is not a string")
        self.push_global(".".join(name))

    def reduce(self):
        function, arguments = self.pop_n(2)
        if not callable(function) or type(arguments) is not tuple:
            raise InputError("its pickle calls something that is not a function")
        try:
            self.push(function(*arguments))
        except TypeError as error:
            raise InputError(f"its pickle calls {function.__name__} as PyTorch never does") from error

    def build(self):
        # Attributes: `_metadata`, the version numbers that Module.state_dict hangs on its OrderedDict.
        self.pop()
        if type(self.stack[-1]) is not dict:
            raise InputError("its pickle sets attributes of something that is not a state dict")


_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING")

# What each opcode does to the machine, given the argument that follows it in the file.
_OPERATIONS: dict[str, Callable[[_Machine, object], object]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
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
