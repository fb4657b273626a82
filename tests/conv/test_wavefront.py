"""The order in which threads compute the layers of a dense block, and what they wait for; nothing is computed here."""

import ctypes
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding
from numba import njit

from lowrank_sr.conv import dense_block, separable_dense_block, separable_winograd, turns, wavefront, winograd
from lowrank_sr.conv.epilogue import Epilogue, operands
from lowrank_sr.conv.feature_map import OUTPUT_TILE, allocate, records
from lowrank_sr.conv.turns import await_flag, set_flag
from lowrank_sr.layers import Dense, Separable
from lowrank_sr.machine.cpu import MR

COUNT = st.integers(1, 8)


@settings(max_examples=200, deadline=None)
@given(parts=st.integers(1, 60), behind=COUNT, n=COUNT, workers=COUNT)
def test_every_part_of_every_layer_has_one_turn_after_all_that_it_waits_for(parts, behind, n, workers):
    slots = wavefront.rings(parts, behind, workers, np.full(n, 100), np.zeros(n, int))["slots"]
    turn_of = {}
    for turn in range(wavefront.turn_count.py_func(parts, behind, n, workers)):
        layer, part = wavefront.place.py_func(turn, behind, n, workers)
        if 0 <= part < parts:
            assert (layer, part) not in turn_of
            turn_of[layer, part] = turn
    assert len(turn_of) == n * parts

    for (layer, part), turn in turn_of.items():
        if layer > 0:  # the furthest of those that it reads; the others come before it
            assert turn_of[layer - 1, min(parts - 1, part + behind)] < turn
        if part >= slots[layer]:  # the last reader of what was in its slot
            assert turn_of[n - 1, part - slots[layer]] < turn


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 50_000)), min_size=1, max_size=8), COUNT, COUNT)
def test_rings_do_not_overlap_and_begin_where_they_should(maps, behind, workers):
    part_bytes, offsets = (np.array(column) for column in zip(*maps, strict=True))
    rings = wavefront.rings(50, behind, workers, part_bytes, offsets)
    ends = rings["start"] + rings["slots"] * rings["stride"]
    assert (rings["start"][1:] >= ends[:-1]).all()
    assert (rings["stride"] >= part_bytes).all()
    assert (rings["start"] % 4096 == offsets % 4096).all()
    assert wavefront.rings_bytes(rings) >= ends[-1]


def with_attributes(argument):
    """What a compiled loop is given, for Python: the fields of records are attributes there."""
    names = getattr(getattr(argument, "dtype", None), "names", None)
    return argument.view(np.recarray) if names else argument


class Turns:
    """The turns of a dense block's loop: it runs in Python, on one thread, and computes nothing.

    `awaited[layer, part]` are the turns whose flags that one waits for before it begins, all of which have ended.
    """

    def __init__(self, monkeypatch, loops, arguments):
        self.awaited = {}
        self._turn, self._waits, self._turns_by_flag, self._next = None, [], {}, 0
        for name in ("await_parts", "turn_count", "slot_address"):
            monkeypatch.setattr(wavefront, name, getattr(wavefront, name).py_func)
        monkeypatch.setattr(wavefront, "await_flag", lambda flag: self._waits.append(self._turns_by_flag[flag]))
        monkeypatch.setattr(wavefront, "list_maps", lambda *_: None)
        monkeypatch.setattr(wavefront, "place", self._place(wavefront.place.py_func))
        for module in (dense_block, separable_dense_block):
            monkeypatch.setattr(module, "next_turn", self._count)
            monkeypatch.setattr(module, "set_flag", self._end)
        for module, name in (
            (dense_block, "_compute_group"),
            (separable_dense_block, "transform_columns"),
            (separable_dense_block, "multiply_factors"),
        ):
            monkeypatch.setattr(module, name, self._compute)
        monkeypatch.setattr(separable_dense_block, "room_floats", lambda *_: 0)
        loops.py_func(*map(with_attributes, arguments))

    def _count(self, counter):
        self._next += 1
        return self._next - 1

    def _place(self, place):
        def recorded(*arguments):
            self._turn, self._waits = place(*arguments), []
            return self._turn

        return recorded

    def _compute(self, *arguments):
        self.awaited.setdefault(self._turn, list(self._waits))

    def _end(self, flag):
        assert self._turn in self.awaited  # computed before
        assert self._waits == self.awaited[self._turn]  # and what it waits for, before that
        self._turns_by_flag[flag] = self._turn


LAYERS = 3
CHANNELS = 1


def loop_arguments(monkeypatch, module, name, prepared, height, width, workers):
    """What `module.convolve` gives to its compiled loop `name` for a picture of this size."""
    maps = [allocate(height, width, CHANNELS) for _ in range(1 + LAYERS)]
    given = []
    with monkeypatch.context() as patch:
        patch.setattr(module, name, lambda *arguments: given.append(arguments))
        ends = operands(maps[1:], [Epilogue(np.zeros(CHANNELS, np.float32))] * LAYERS)
        module.convolve(records(maps[:-1]), ends, prepared, workers)
    return given[0]


def assert_that_all_is_awaited(turns, slots, part_of_tile):
    """What a turn reads is there when it begins, and what it writes over nobody reads any more.

    `part_of_tile` (tiles down, tiles across) are the parts that the output tiles belong to.
    """
    down, across = part_of_tile.shape
    around = {part: set() for part in part_of_tile.flat}
    for y, x in np.ndindex(down, across):  # an input tile is larger by a pixel on each side: it sees eight neighbours
        around[part_of_tile[y, x]].update(part_of_tile[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].flat)
    before = {}  # what has ended when a turn begins, because it or what it waits for has waited for that
    for turn, awaited in turns.awaited.items():
        before[turn] = set(awaited).union(*(before[other] for other in awaited))
    assert len(before) == LAYERS * len(around)
    for (layer, part), ended in before.items():
        if layer > 0:
            assert {(layer - 1, other) for other in around[part]} <= ended  # they write the map that is transformed
        assert {(m, part) for m in range(layer)} <= ended  # they transformed the maps before
        if part >= slots[layer]:  # all that read what was in this slot
            assert {(k, part - slots[layer]) for k in range(layer, LAYERS)} <= ended


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_a_turn_of_dense_layers_needs_is_awaited(monkeypatch, workers):
    """All pictures of up to six tile rows of up to two groups and a tile."""
    kernels = [np.ones((CHANNELS, CHANNELS * (1 + k), 3, 3), np.float32) for k in range(LAYERS)]
    prepared = [winograd.prepare(Dense(kernel, np.zeros(CHANNELS)), keep_transformed=True) for kernel in kernels]
    reused = False
    for down, across in np.ndindex(6, 2 * MR + 1):
        down, across = down + 1, across + 1
        size = OUTPUT_TILE * down - 1, OUTPUT_TILE * across - 5  # as many tiles as of the largest picture of so many
        arguments = loop_arguments(monkeypatch, dense_block, "_dense_block_loops", prepared, *size, workers)
        with monkeypatch.context() as patch:
            turns = Turns(patch, dense_block._dense_block_loops, arguments)
        slots = arguments[4]["slots"]
        parts = np.arange(down * across).reshape(down, across) // MR
        assert_that_all_is_awaited(turns, slots, parts)
        reused |= parts[-1, -1] >= slots[0]
    assert reused


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_what_a_turn_of_pairs_needs_is_awaited(monkeypatch, workers, block):
    """All pictures of up to eight strips of up to seven tiles."""
    monkeypatch.setattr(separable_dense_block, "tiles_of_block", lambda *_: block)
    factors = [
        (np.ones((1, CHANNELS * (1 + k), 3), np.float32), np.ones((CHANNELS, 1, 3), np.float32)) for k in range(LAYERS)
    ]
    prepared = [separable_winograd.prepare(Separable(*each, np.zeros(CHANNELS)), True) for each in factors]
    reused = False
    for down, across in np.ndindex(8, 7):
        down, across = down + 1, across + 1
        size = OUTPUT_TILE * down - 5, OUTPUT_TILE * across - 1
        name = "_separable_dense_block_loops"
        arguments = loop_arguments(monkeypatch, separable_dense_block, name, prepared, *size, workers)
        with monkeypatch.context() as patch:
            turns = Turns(patch, separable_dense_block._separable_dense_block_loops, arguments)
        slots = arguments[4]["slots"]
        strips, columns = np.indices((down, across))
        parts = strips * -(-across // block) + columns // block
        assert_that_all_is_awaited(turns, slots, parts)
        reused |= parts[-1, -1] >= slots[0]
    assert reused


class Sleep:
    """In the place of the system's sleep, in loops that are compiled meanwhile: counts, and calls `when_asleep`."""

    def __init__(self, when_asleep):
        self.count = 0
        self._when_asleep = when_asleep
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(self._sleep)

    def _sleep(self, _):
        self.count += 1
        self._when_asleep(self.count)

    def __enter__(self):
        self._before = binding.address_of_symbol(turns._SLEEP)
        binding.add_symbol(turns._SLEEP, ctypes.cast(self._function, ctypes.c_void_p).value)
        return self

    def __exit__(self, *_):
        binding.add_symbol(turns._SLEEP, self._before)


def compiled_wait():
    @njit(nogil=True)
    def wait_for(flags, values):
        await_flag(flags.ctypes.data)
        return values[0] + flags[0] * 0

    wait_for(np.ones(1, np.int64), np.zeros(1))
    return wait_for


@njit
def set_first(flags):
    set_flag(flags.ctypes.data)
    return flags[0]


def test_who_waits_long_sleeps_between_looks():
    flags = np.zeros(1, np.int64)

    def set_at_third(count):
        if count == 3:
            flags[0] = 1

    with Sleep(set_at_third) as sleep:
        assert compiled_wait()(flags, np.zeros(1)) == 0
    assert sleep.count == 3


def test_whose_flag_is_set_soon_does_not_sleep(monkeypatch):
    looks = iter([0] * turns._LOOKS_AWAKE + [1])
    monkeypatch.setattr(turns, "read_flag", lambda flag: next(looks))
    monkeypatch.setattr(turns, "_sleep", lambda _: pytest.fail("slept"))
    await_flag.py_func(0)
    assert next(looks, None) is None


@pytest.mark.parametrize("late", [False, True])
def test_what_another_thread_wrote_before_it_set_the_flag_is_there(late):
    """Also where the one that waits sleeps by then."""
    flags, values, asleep = np.zeros(1, np.int64), np.zeros(1), threading.Event()
    set_first(np.zeros(1, np.int64))  # compiled

    def write():
        if late:
            asleep.wait()
        values[0] = 7
        set_first(flags)

    with Sleep(lambda _: asleep.set()) as sleep:
        wait_for = compiled_wait()
        thread = threading.Thread(target=write)
        thread.start()
        assert wait_for(flags, values) == 7
        thread.join()
    assert sleep.count > 0 or not late
