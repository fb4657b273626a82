"""The micro-kernel and the vectors beneath it, called from compiled code as the algorithms do."""

import numpy as np
import pytest
from numba import njit, prange
from reference import EPS

from lowrank_sr.conv.micro_kernel import (
    PIECE_BYTES,
    Product,
    accumulate,
    list_pieces,
    multiply,
    multiply_elements,
    multiply_pieces,
    pack_panels,
)
from lowrank_sr.conv.simd import copy_values
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.machine.cpu import LANES, MR, NR


@njit
def run_multiply(sums, rows, panel, columns):
    multiply(
        sums.ctypes.data, sums.strides[0], rows.ctypes.data, rows.strides[0], panel.ctypes.data, len(panel), columns
    )
    return sums.sum() + rows[0, 0] + panel[0, 0]  # a use after the call: Numba frees an array after its last


@njit
def run_accumulate(sums, rows, panel, columns):
    accumulate(
        sums.ctypes.data, sums.strides[0], rows.ctypes.data, rows.strides[0], panel.ctypes.data, len(panel), columns
    )
    return sums.sum() + rows[0, 0] + panel[0, 0]


@njit
def run_multiply_pieces(sums, row_stride, vector_stride, pieces, panel, columns):
    addresses = np.empty(len(pieces), np.intp)
    list_pieces(addresses, pieces.ctypes.data - 64, pieces.strides[0])
    product = Product(
        sums=sums.ctypes.data,
        row_stride=row_stride,
        vector_stride=vector_stride,
        pieces=addresses.ctypes.data,
        offset=64,
        panel=panel.ctypes.data,
        depth=len(panel),
        columns=columns,
        next_pieces=addresses.ctypes.data,
        next_offset=0,
    )
    multiply_pieces(product)
    return sums.sum() + addresses[0] + pieces[0, 0, 0] + panel[0, 0]


@njit
def run_multiply_elements(needed, rows, panels, columns, sums):
    pieces = np.empty(rows.shape[:2], np.intp)
    for g in range(len(rows)):
        list_pieces(pieces[g], rows[g].ctypes.data, rows.strides[1])
    multiply_elements(
        needed,
        pieces,
        panels.ctypes.data,
        panels.strides[0],
        panels.shape[2],
        columns,
        sums.ctypes.data,
        sums.strides[0],
        rows.strides[1],
    )
    return sums.sum() + pieces[0, 0] + rows[0, 0, 0, 0, 0] + panels[0, 0, 0, 0]


@njit
def run_copy(source, target, count):
    copy_values(source.ctypes.data, target.ctypes.data, count)
    return source[0] + target[0]


@njit(parallel=True)
def take_turns(count, workers):
    """How often each of `count` turns was taken, in a column for each worker."""
    times = np.zeros((count, workers), np.int64)
    counter = np.zeros(1, np.int64)
    for worker in prange(workers):
        turn = next_turn(counter.ctypes.data)
        while turn < count:
            times[turn, worker] += 1
            turn = next_turn(counter.ctypes.data)
    return times, counter[0]


@pytest.mark.parametrize("run", [run_multiply, run_accumulate])
@pytest.mark.parametrize("depth", [1, 2, 67])
@pytest.mark.parametrize("columns", [1, LANES, LANES + 1, NR, NR + 5])
def test_it_is_a_product_of_matrices(run, depth, columns):
    rng = np.random.default_rng(depth)
    rows = rng.standard_normal((MR, depth + 3), dtype=np.float32)  # rows further apart than they are long
    panel = rng.standard_normal((depth, NR), dtype=np.float32)
    before = rng.standard_normal((MR, NR + 7), dtype=np.float32)
    sums = before.copy()
    run(sums, rows, panel, columns)

    written = LANES if columns <= LANES else NR
    start = before[:, :written].astype(float) if run is run_accumulate else 0.0
    products = rows[:, :depth, None].astype(float) * panel[:, :written]
    # depth + 1 terms, eps / 2 each of the sum of their magnitudes (Higham 2002, equation 3.5)
    bound = (depth + 1) * EPS / 2 * (np.abs(products).sum(1) + np.abs(start))
    assert (np.abs(sums[:, :written] - (start + products.sum(1))) <= bound).all()
    np.testing.assert_array_equal(sums[:, written:], before[:, written:])


@pytest.mark.parametrize("depth", [LANES, 3 * LANES])
@pytest.mark.parametrize("columns", [1, LANES, LANES + 1, NR, NR + 5])
@pytest.mark.parametrize("order", ["rows", "pieces"])
def test_of_pieces_it_is_a_product_of_matrices(depth, columns, order):
    """Sums as rows of NR columns, or as pieces that could be the rows of another product."""
    rng = np.random.default_rng(depth)
    # (pieces, MR and one more, LANES): further apart than they are long, and what lies between is not read
    pieces = rng.standard_normal((depth // LANES, MR + 1, LANES), dtype=np.float32)
    pieces[:, MR] = np.nan
    panel = rng.standard_normal((depth, NR), dtype=np.float32)
    before = rng.standard_normal((MR, NR // LANES, LANES), dtype=np.float32)
    sums = np.ascontiguousarray(before if order == "rows" else before.swapaxes(0, 1))
    vector_stride, row_stride = (sums if order == "rows" else sums.swapaxes(0, 1)).strides[1::-1]
    run_multiply_pieces(sums, row_stride, vector_stride, pieces, panel, columns)

    written = LANES if columns <= LANES else NR
    rows = pieces[:, :MR].transpose(1, 0, 2).reshape(MR, depth).astype(float)
    products = rows[:, :, None] * panel[:, :written]
    actual = (sums if order == "rows" else sums.swapaxes(0, 1)).reshape(MR, NR)
    # `depth` terms, eps / 2 each of the sum of their magnitudes (Higham 2002, equation 3.5)
    bound = depth * EPS / 2 * np.abs(products).sum(1)
    assert (np.abs(actual[:, :written] - products.sum(1)) <= bound).all()
    np.testing.assert_array_equal(actual[:, written:], before.reshape(MR, NR)[:, written:])


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("columns", [1, LANES, NR + 1, 2 * NR])
def test_a_product_for_each_element(groups, columns):
    rng = np.random.default_rng(columns)
    elements, depth, panel_count = 4, 2 * LANES, -(-columns // NR)
    needed = np.array([True, False, True, True])  # the sums of the second are zeros
    assert PIECE_BYTES == 4 * MR * LANES
    rows = rng.standard_normal((groups, depth // LANES, elements + 1, MR, LANES), dtype=np.float32)
    matrix = rng.standard_normal((elements, depth, columns), dtype=np.float32)
    panels = np.ascontiguousarray(pack_panels(matrix).swapaxes(0, 1)).reshape(elements, panel_count, depth, NR)
    sums = np.full((groups, panel_count * NR // LANES, elements + 1, MR, LANES), 7, np.float32)
    run_multiply_elements(needed, rows, panels, columns, sums)

    def in_order(pieces):  # groups, elements, rows, columns
        return pieces[:, :, :elements].transpose(0, 2, 3, 1, 4).reshape(groups, elements, MR, -1).astype(float)

    exact, magnitudes = (
        of(in_order(rows)) @ of(matrix.astype(float) * needed[:, None, None]) for of in (np.array, np.abs)
    )
    assert (np.abs(in_order(sums)[..., :columns] - exact) <= depth * EPS / 2 * magnitudes).all()
    assert (sums[:, :, elements:] == 7).all()


@pytest.mark.parametrize("n", [1, NR - 1, NR, NR + 1, 3 * NR])
def test_panels_side_by_side_are_the_matrix(n):
    matrix = np.random.default_rng(n).standard_normal((2, 5, n))
    panels = pack_panels(matrix)
    assert (panels.dtype, panels.shape[1:]) == (np.float32, (2, 5, NR))
    together = np.concatenate(list(panels), axis=-1)
    np.testing.assert_array_equal(together[..., :n], matrix.astype(np.float32))
    assert not together[..., n:].any()
    assert len(panels) == -(-n // NR)


@pytest.mark.parametrize("count", [0, 1, LANES - 1, LANES, 3 * LANES + 2])
def test_copies_so_many_values_and_no_more(count):
    source = np.arange(1, 5 * LANES + 1, dtype=np.float32)
    target = np.zeros_like(source)
    run_copy(source, target, count)
    np.testing.assert_array_equal(target[:count], source[:count])
    assert not target[count:].any()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_turn_is_taken_once(workers):
    times, counter = take_turns(1000, workers)
    assert (times.sum(1) == 1).all()
    assert counter == 1000 + workers  # each worker learns that there are no more
