"""The dataclasses of a study as JSON objects with the same names and nesting, and back.

Three rules complete that: a technique is written as its name; a field that defaults to None is left out where it is
None; the fields of a dataclass that is annotated FLAT stand among those of the object that holds it.
"""

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from lowrank_sr.study.technique import BY_NAME, Technique

FORMAT = 5  # of results.json: a study does not go on from a file of another format
FLAT = "flat"  # in `Annotated[Quality, FLAT]`


def encode(value: Any) -> Any:
    """A dataclass, container, number or text as JSON has it: objects, lists, numbers and text."""
    if isinstance(value, Technique):
        return value.name
    if isinstance(value, dict):
        return {encode(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if not is_dataclass(value):
        return value
    encoded: dict[str, Any] = {}
    flat = _flat(type(value))
    for member in sorted(fields(value), key=lambda member: member.default is None):  # what may be missing comes last
        item = getattr(value, member.name)
        if item is None and member.default is None:
            continue
        encoded |= encode(item) if member.name in flat else {member.name: encode(item)}
    return encoded


def decode(kind: Any, value: Any) -> Any:
    """The value of type `kind` that `encode` turned into `value`."""
    if kind is Technique:
        return BY_NAME[value]
    if is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        return None if value is None else decode(arguments[0], value)
    if origin is dict:
        return {decode(arguments[0], key): decode(arguments[1], item) for key, item in value.items()}
    if origin is tuple:  # tuple[X, ...]
        return tuple(decode(arguments[0], item) for item in value)
    return value


def _decode_dataclass(kind: type, value: dict[str, Any]) -> Any:
    hints, flat = typing.get_type_hints(kind), _flat(kind)
    arguments = {name: decode(hint, value[name]) for name, hint in hints.items() if name in value}
    if value.keys() - hints.keys():  # the fields of flat dataclasses; a flat one that is None has none
        arguments |= {name: decode(hints[name], value) for name in flat}
    return kind(**arguments)


def _flat(kind: type) -> set[str]:
    """The names of the fields that are annotated FLAT."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if FLAT in getattr(hint, "__metadata__", ())}
