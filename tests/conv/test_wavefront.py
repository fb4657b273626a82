"""The order in which threads compute the layers of a dense block, and what they wait for; nothing is computed here."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from lowrank_sr.conv import wavefront
from lowrank_sr.conv.turns import await_flag, set_flag

COUNT = st.integers(1, 8)


@njit(nogil=True)
def wait_for(flags, values):
    await_flag(flags.ctypes.data)
    return values[0] + flags[0] * 0


@njit
def set_first(flags):
    set_flag(flags.ctypes.data)
    return flags[0]


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


@pytest.mark.parametrize("late", [0, 0.05])
def test_a_flag_is_awaited_awake_or_asleep(late):
    """What was written before the flag was set is there; processor time passes for the first microseconds only."""
    flags, values = np.zeros(1, np.int64), np.zeros(1)
    set_first(np.zeros(1, np.int64))
    wait_for(np.ones(1, np.int64), values)  # compiled

    def write():
        time.sleep(late)
        values[0] = 7
        set_first(flags)

    thread = threading.Thread(target=write)
    thread.start()
    before = time.thread_time()
    assert wait_for(flags, values) == 7
    thread.join()
    if late:
        assert time.thread_time() - before < late / 2
