"""How the threads of a loop share its work: turns, which each takes one after another, and flags, which others await.

A thread that must wait looks a few thousand times, which takes microseconds, and then sleeps between looks: the thread
that it waits for may itself be waiting for a core, and gets this one.
"""

import ctypes
import sys
from typing import Any

from llvmlite import binding, ir
from llvmlite.ir import IRBuilder, Value
from numba import njit, types
from numba.core.types import intp

from lowrank_sr.conv.simd import instructions

_COUNTER = ir.IntType(64)
_LOOKS_AWAKE = 4000

# The system's function under a name of ours that compiled code refers to, so that Numba can cache it.
_SLEEP = "lowrank_sr_sleep"
_sleep: Any = types.ExternalFunction(_SLEEP, types.void(types.uint32))
_SHORTLY = 0 if sys.platform == "win32" else 20  # there: to whoever waits for a core; elsewhere microseconds


def _register_sleep() -> None:
    """Make `await_flag` callable, before a compiled loop that calls it is compiled or loaded."""
    if binding.address_of_symbol(_SLEEP) is None:
        system = ctypes.CDLL("kernel32") if sys.platform == "win32" else ctypes.CDLL(None)
        sleep = system.Sleep if sys.platform == "win32" else system.usleep
        binding.add_symbol(_SLEEP, ctypes.cast(sleep, ctypes.c_void_p).value)


_register_sleep()


@instructions(intp, result=intp)
def next_turn(builder: IRBuilder, counter: Value) -> Value:
    """Add one to the int64 at the address `counter`, which threads share, and return what it was: 0, 1, 2, ...

    Each thread takes the next piece of work in this way, so that a slow thread holds none of the others up.
    """
    shared_counter = builder.inttoptr(counter, _COUNTER.as_pointer())
    return builder.atomic_rmw("add", shared_counter, _COUNTER(1), "monotonic")


@instructions(intp)
def set_flag(builder: IRBuilder, flag: Value) -> None:
    """Set the int64 at the address `flag` to 1, after everything that this thread has written before."""
    builder.store_atomic(_COUNTER(1), builder.inttoptr(flag, _COUNTER.as_pointer()), "release", align=8)


@instructions(intp, result=intp)
def read_flag(builder: IRBuilder, flag: Value) -> Value:
    """The int64 at the address `flag`; where it is 1, what its thread had written can be read from here on."""
    return builder.load_atomic(builder.inttoptr(flag, _COUNTER.as_pointer()), "acquire", align=8)


@njit(inline="always")
def await_flag(flag: int) -> None:
    """Return once another thread has set the int64 at the address `flag`."""
    looks = 0
    while read_flag(flag) == 0:
        looks += 1
        if looks > _LOOKS_AWAKE:
            _sleep(_SHORTLY)
