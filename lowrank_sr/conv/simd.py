"""SIMD vectors for Numba: Python expressions over `Vector` become LLVM instructions, one for one.

LLVM's loop vectoriser gives up on the inner loops of a convolution, which write through more pointers than it will
check for overlap, cannot keep a block of sums in registers, and prefers 256-bit vectors where 512-bit ones exist. The
few loops in which all the time goes are therefore emitted from this module's vectors; everything around them is
ordinary Numba.

Addresses are `intp` values in bytes, as `array.ctypes.data` gives them; every element is a float32.
"""

import inspect
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lowrank_sr.machine.cpu import LANES

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
_FLOAT = ir.FloatType()
_BYTE = ir.IntType(8).as_pointer()
_VECTOR = ir.VectorType(_FLOAT, LANES)


def instructions(*argument_types: types.Type, result: types.Type = types.void) -> Callable:
    """Make emit(builder, *arguments), which emits instructions, a Numba function of `argument_types`."""
    signature = result(*argument_types)

    def decorate(emit):
        def codegen(context, builder, signature, arguments):
            value = emit(builder, *arguments)
            return context.get_dummy_value() if result is types.void else value

        def typing(typing_context, *arguments):
            return signature, codegen

        # Numba reads the number of arguments from the signature: the builder's place becomes the typing context's.
        names = list(inspect.signature(emit).parameters)[: 1 + len(argument_types)]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typing.__signature__ = inspect.Signature(parameters)
        typing.__name__, typing.__doc__ = emit.__name__, emit.__doc__
        return intrinsic(typing)

    return decorate


def constant(value: float) -> ir.Constant:
    """The vector with `value` in every lane."""
    return ir.Constant(_VECTOR, [float(value)] * LANES)


class Vector:
    """LANES float32 values in a register, with +, - and * by vectors and numbers.

    A product that is then added or subtracted may fuse with it (one rounding instead of two); nothing else is
    reordered.
    """

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def _apply(self, instruction, other):
        other = other.value if isinstance(other, Vector) else constant(other)
        return Vector(self.builder, instruction(self.value, other, flags=("contract",)))

    def __add__(self, other):
        return self._apply(self.builder.fadd, other)

    def __sub__(self, other):
        return self._apply(self.builder.fsub, other)

    def __mul__(self, other):
        return self._apply(self.builder.fmul, other)

    __rmul__ = __mul__

    def where_positive(self, other):
        """This vector's lanes where they are above zero, those of `other` elsewhere; NaN goes to `other`."""
        positive = self.builder.fcmp_ordered(">", self.value, constant(0))
        return Vector(self.builder, self.builder.select(positive, self.value, other.value))


def pointer(builder, address, floats=0):
    """The float32 pointer `floats` elements (an int or an LLVM value) after `address`."""
    floats = ir.Constant(_INDEX, floats) if isinstance(floats, int) else floats
    return builder.gep(builder.inttoptr(address, _FLOAT.as_pointer()), [floats])


def strided(builder, start, stride, i):
    """The address `i` (an int) strides after `start`."""
    return builder.add(start, builder.mul(stride, stride.type(i)))


def _splat(builder, scalar):
    vector = ir.VectorType(scalar.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(_LANE, 0))
    everywhere = ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), everywhere)


def load(builder, address, floats=0, count=None) -> Vector:
    """The LANES values at `address` + `floats`; with `count`, the first `count` of them and zeros."""
    place = pointer(builder, address, floats)
    if count is not None:
        part = cgutils.alloca_once_value(builder, constant(0))
        _copy(builder, place, builder.bitcast(part, _FLOAT.as_pointer()), count)
        return Vector(builder, builder.load(part))
    return Vector(builder, builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4))


def store(builder, vector, address, floats=0, count=None) -> None:
    """Write `vector` to `address` + `floats`; with `count`, its first `count` values only."""
    place = pointer(builder, address, floats)
    if count is not None:
        part = cgutils.alloca_once(builder, _VECTOR)
        builder.store(vector.value, part)
        _copy(builder, builder.bitcast(part, _FLOAT.as_pointer()), place, count)
    else:
        builder.store(vector.value, builder.bitcast(place, _VECTOR.as_pointer()), align=4)


def prefetch(builder, address) -> None:
    """Ask for the cache line at `address`, which need not be readable."""
    place = builder.inttoptr(address, _BYTE)
    asked = ir.FunctionType(ir.VoidType(), [_BYTE, _LANE, _LANE, _LANE])
    ask = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], asked)
    builder.call(ask, [place, ir.Constant(_LANE, 0), ir.Constant(_LANE, 3), ir.Constant(_LANE, 1)])


def _copy(builder, source, target, count):
    with cgutils.for_range(builder, count) as loop:
        value = builder.load(builder.gep(source, [loop.index]), align=4)
        builder.store(value, builder.gep(target, [loop.index]), align=4)


def broadcast(builder, place) -> Vector:
    """The one value at the pointer `place`, in every lane."""
    return Vector(builder, _splat(builder, builder.load(place, align=4)))


def splat(builder, scalar) -> Vector:
    """The LLVM float `scalar` in every lane."""
    return Vector(builder, _splat(builder, scalar))


@instructions(types.intp, types.intp, types.intp)
def copy(builder, source, target, count):
    """Copy `count` values, a few at least, from one address to another."""
    whole, rest = (
        builder.sdiv(count, ir.Constant(_INDEX, LANES)),
        builder.srem(count, ir.Constant(_INDEX, LANES)),
    )
    with cgutils.for_range(builder, whole) as loop:
        offset = builder.mul(loop.index, ir.Constant(_INDEX, LANES))
        store(builder, load(builder, source, offset), target, offset)
    offset = builder.mul(whole, ir.Constant(_INDEX, LANES))
    _copy(builder, pointer(builder, source, offset), pointer(builder, target, offset), rest)


@instructions(types.intp, result=types.intp)
def take(builder, counter):
    """Add one to the int64 at the address `counter`, which threads share, and return what it was."""
    place = builder.inttoptr(counter, _INDEX.as_pointer())
    return builder.atomic_rmw("add", place, ir.Constant(_INDEX, 1), "monotonic")
