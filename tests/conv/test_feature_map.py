"""Where a feature map's values lie, and what its border guarantees."""

import numpy as np
import pytest

from lowrank_sr.conv.feature_map import OUTPUT_TILE, allocate, from_array, record, unpadded
from lowrank_sr.machine.cpu import MR


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 8), (7, 13), (1, 40)], ids=str)
def test_the_border_holds_what_any_method_reads(size):
    feature_map = allocate(*size, 5)
    height, width, _ = feature_map.buffer.shape
    tiles_down, tiles_across = (-(-side // OUTPUT_TILE) for side in size)
    assert height >= tiles_down * OUTPUT_TILE + 2
    assert width == tiles_across * OUTPUT_TILE + 2
    # MR pixels from the last one on, whose lowest, rightmost tap is a row and a column further
    last_read = (feature_map.first_row + size[0]) * width + feature_map.first_column + size[1] + MR - 1
    assert last_read < height * width
    assert feature_map.array.shape == (*size, 5)
    feature_map.array[:] = 1
    assert feature_map.buffer.sum() == size[0] * size[1] * 5
    assert not feature_map.buffer[0].any()
    assert not feature_map.buffer[:, 0].any()
    assert not feature_map.buffer[:, size[1] + 1 :].any()
    assert not feature_map.buffer[size[0] + 1 :].any()


def test_slices_and_rows_are_views_one_within_the_other():
    array = np.arange(6 * 5 * 8, dtype=np.float32).reshape(6, 5, 8)
    feature_map = from_array(array)
    part = feature_map.slice(2, 5).rows(1, 5).slice(1, 3).rows(1, 3)
    np.testing.assert_array_equal(part.array, array[2:4, :, 3:6])
    part.array[:] = -1
    assert (feature_map.array[2:4, :, 3:6] == -1).all()
    assert (feature_map.array == -1).sum() == 2 * 5 * 3


def test_rows_beyond_the_map_are_zeros():
    feature_map = from_array(np.ones((4, 4, 1)))
    assert not feature_map.rows(-1, 0).array.any()
    assert not feature_map.rows(4, 5).array.any()


def test_a_record_is_the_address_of_the_first_value_and_its_strides():
    buffer = np.zeros((7, 9, 10), np.float32)
    part = unpadded(buffer).rows(2, 6).slice(3, 4)
    start, row_stride, pixel_stride, *size = record(part)
    assert start == buffer[2, 0, 3:].ctypes.data
    assert (row_stride, pixel_stride) == (4 * 90, 4 * 10)
    assert size == [4, 9, 4]


def test_an_unpadded_map_writes_to_the_array_itself():
    array = np.zeros((3, 4, 2), np.float32)
    unpadded(array).slice(1, 1).array[:] = 5
    np.testing.assert_array_equal(array[..., 1], 5)
    assert not array[..., 0].any()
