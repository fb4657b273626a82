"""SIMD vectors for Numba: Python expressions over `Vector` become LLVM instructions, one for one.

LLVM's loop vectoriser gives up on the inner loops of a convolution: they write through more pointers than it will
check for overlap. It also cannot keep a block of sums in registers, and prefers 256-bit vectors where 512-bit ones
exist. The few loops in which all the time goes are therefore emitted from this module's vectors; everything around
them is ordinary Numba.

Addresses are `intp` values in bytes, as `array.ctypes.data` gives them; every element is a float32.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from llvmlite.ir import IRBuilder, Value
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lowrank_sr.machine.cpu import LANES

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
_FLOAT = ir.FloatType()
_BYTE = ir.IntType(8).as_pointer()
_VECTOR = ir.VectorType(_FLOAT, LANES)

# Arguments of llvm.prefetch: for reading rather than writing, into every level of the cache, of data rather than code.
_PREFETCH_READ = ir.Constant(_LANE, 0)
_PREFETCH_ALL_LEVELS = ir.Constant(_LANE, 3)
_PREFETCH_DATA = ir.Constant(_LANE, 1)


def instructions(
    *argument_types: types.Type, result: types.Type = types.void
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make `emit(builder, *arguments)`, which emits instructions, a Numba function of `argument_types`.

    `emit` returns the LLVM value that the Numba function returns, or nothing where `result` is void.
    """

    def decorate(emit: Callable[..., Any]) -> Callable[..., Any]:
        def codegen(context: Any, builder: IRBuilder, signature: Any, arguments: Any) -> Any:
            value = emit(builder, *arguments)
            return context.get_dummy_value() if result is types.void else value

        return _intrinsic(emit, len(argument_types), lambda *_: (result(*argument_types), codegen))

    return decorate


def instructions_of_record(record: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make `emit(builder, fields)` a Numba function of a `record`, a NamedTuple of integers: many arguments by name."""

    def decorate(emit: Callable[..., Any]) -> Callable[..., Any]:
        def codegen(context: Any, builder: IRBuilder, signature: Any, arguments: Any) -> Any:
            (given,) = signature.args
            values = cgutils.unpack_tuple(builder, arguments[0])
            casts = zip(values, given.types, strict=True)
            emit(builder, record(*(context.cast(builder, value, kind, types.intp) for value, kind in casts)))
            return context.get_dummy_value()

        return _intrinsic(emit, 1, lambda _, given: (types.void(given), codegen))

    return decorate


def _intrinsic(emit: Callable[..., Any], count: int, typing: Callable[..., Any]) -> Callable[..., Any]:
    """The Numba function of `count` arguments with the name and text of `emit`.

    Numba reads the number of arguments from the signature, whose first parameter it takes for the typing context;
    `emit` has the builder in that position.
    """
    names = list(inspect.signature(emit).parameters)[: 1 + count]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typing.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typing.__name__, typing.__doc__ = emit.__name__, emit.__doc__
    return intrinsic(typing)


def constant(value: float) -> ir.Constant:
    """The LLVM vector with `value` in every lane."""
    return ir.Constant(_VECTOR, [float(value)] * LANES)


class Vector:
    """LANES float32 values in a register, with +, - and * by vectors and numbers.

    A product that is then added or subtracted may fuse with it (one rounding instead of two); nothing else is
    reordered.
    """

    def __init__(self, builder: IRBuilder, value: Value):
        self.builder = builder
        self.value = value

    def _apply(self, instruction: Callable[..., Value], other: "Vector | float") -> "Vector":
        operand = other.value if isinstance(other, Vector) else constant(other)
        return Vector(self.builder, instruction(self.value, operand, flags=("contract",)))

    def __add__(self, other: "Vector | float") -> "Vector":
        return self._apply(self.builder.fadd, other)

    def __sub__(self, other: "Vector | float") -> "Vector":
        return self._apply(self.builder.fsub, other)

    def __mul__(self, other: "Vector | float") -> "Vector":
        return self._apply(self.builder.fmul, other)

    __rmul__ = __mul__

    def maximum(self, other: "Vector") -> "Vector":
        """The larger of each lane's two values; that of `other` where either is NaN."""
        larger = self.builder.fcmp_ordered(">", self.value, other.value)
        return Vector(self.builder, self.builder.select(larger, self.value, other.value))


def pointer(builder: IRBuilder, address: Value, floats: int | Value = 0) -> Value:
    """The float32 pointer `floats` elements (an int or an LLVM value) after `address`."""
    offset = ir.Constant(_INDEX, floats) if isinstance(floats, int) else floats
    return builder.gep(builder.inttoptr(address, _FLOAT.as_pointer()), [offset])


def strided(builder: IRBuilder, start: Value, stride: Value, count: int) -> Value:
    """The address `count` strides after `start`."""
    return builder.add(start, builder.mul(stride, stride.type(count)))


def load(builder: IRBuilder, address: Value, floats: int | Value = 0, count: Value | None = None) -> Vector:
    """The LANES values at `address` + `floats`; with `count`, the first `count` of them and zeros."""
    source = pointer(builder, address, floats)
    if count is not None:
        padded = cgutils.alloca_once_value(builder, constant(0))
        _copy_elements(builder, source, builder.bitcast(padded, _FLOAT.as_pointer()), count)
        return Vector(builder, builder.load(padded))
    return Vector(builder, builder.load(builder.bitcast(source, _VECTOR.as_pointer()), align=4))


def store(
    builder: IRBuilder,
    vector: Vector,
    address: Value,
    floats: int | Value = 0,
    count: Value | None = None,
) -> None:
    """Write `vector` to `address` + `floats`; with `count`, its first `count` values only."""
    target = pointer(builder, address, floats)
    if count is not None:
        whole = cgutils.alloca_once(builder, _VECTOR)
        builder.store(vector.value, whole)
        _copy_elements(builder, builder.bitcast(whole, _FLOAT.as_pointer()), target, count)
    else:
        builder.store(vector.value, builder.bitcast(target, _VECTOR.as_pointer()), align=4)


def load_scalar(builder: IRBuilder, address: Value, kind: types.Type) -> Value:
    """The one float32 or intp value at `address`."""
    source = builder.inttoptr(address, (_FLOAT if kind is types.float32 else _INDEX).as_pointer())
    return builder.load(source, align=4)


def emit_if(
    builder: IRBuilder, condition: Value, emit: Callable[[], Sequence[Vector]], otherwise: Sequence[Vector]
) -> list[Vector]:
    """What `emit` returns where `condition` holds at run time, `otherwise` where it does not."""
    before = builder.block
    with builder.if_then(condition):
        changed = emit()
        after = builder.block
    chosen = [Vector(builder, builder.phi(_VECTOR)) for _ in otherwise]
    for phi, unchanged, new in zip(chosen, otherwise, changed, strict=True):
        phi.value.add_incoming(unchanged.value, before)
        phi.value.add_incoming(new.value, after)
    return chosen


def loop(
    builder: IRBuilder,
    stop: Value,
    step: int,
    values: Sequence[Vector],
    emit: Callable[[Value, list[Vector]], Sequence[Vector]],
) -> list[Vector]:
    """values = emit(i, values) for i = 0, `step`, ... below `stop`, at least once; the values stay in registers."""
    index = stop.type
    entry = builder.block
    body, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(body)
    builder.position_at_end(body)
    i = builder.phi(index)
    before = [Vector(builder, builder.phi(_VECTOR)) for _ in values]
    after = list(emit(i, before))
    following = builder.add(i, index(step))
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", following, stop), body, done)

    i.add_incoming(index(0), entry)
    i.add_incoming(following, end)
    for phi, initial, new in zip(before, values, after, strict=True):
        phi.value.add_incoming(initial.value, entry)
        phi.value.add_incoming(new.value, end)
    builder.position_at_end(done)
    return after


def prefetch(builder: IRBuilder, address: Value) -> None:
    """Ask for the cache line at `address`, which need not be readable."""
    target = builder.inttoptr(address, _BYTE)
    signature = ir.FunctionType(ir.VoidType(), [_BYTE, _LANE, _LANE, _LANE])
    function = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], signature)
    builder.call(function, [target, _PREFETCH_READ, _PREFETCH_ALL_LEVELS, _PREFETCH_DATA])


def _copy_elements(builder: IRBuilder, source: Value, target: Value, count: Value) -> None:
    with cgutils.for_range(builder, count) as loop:
        value = builder.load(builder.gep(source, [loop.index]), align=4)
        builder.store(value, builder.gep(target, [loop.index]), align=4)


def splat(builder: IRBuilder, scalar: Value) -> Vector:
    """The LLVM float `scalar` in every lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first_lane = builder.insert_element(undefined, scalar, ir.Constant(_LANE, 0))
    all_from_first = ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES)
    return Vector(builder, builder.shuffle_vector(first_lane, undefined, all_from_first))


def broadcast(builder: IRBuilder, source: Value) -> Vector:
    """The one value at the pointer `source`, in every lane."""
    return splat(builder, builder.load(source, align=4))


@instructions(types.intp, types.intp, types.intp)
def copy_values(builder: IRBuilder, source: Value, target: Value, count: Value) -> None:
    """Copy `count` values, zero or more, from the address `source` to the address `target`; they must not overlap."""
    lanes = ir.Constant(_INDEX, LANES)
    vectors = builder.sdiv(count, lanes)
    remainder = builder.srem(count, lanes)
    with cgutils.for_range(builder, vectors) as loop:
        offset = builder.mul(loop.index, lanes)
        store(builder, load(builder, source, offset), target, offset)
    offset = builder.mul(vectors, lanes)
    _copy_elements(builder, pointer(builder, source, offset), pointer(builder, target, offset), remainder)


@instructions(types.intp, types.intp)
def clear(builder: IRBuilder, target: Value, vectors: Value) -> None:
    """Write `vectors` vectors of zeros to the address `target`."""
    with cgutils.for_range(builder, vectors) as loop:
        store(builder, Vector(builder, constant(0)), target, builder.mul(loop.index, ir.Constant(_INDEX, LANES)))
