import mmap

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.errors import InputError
from lowrank_sr.machine import memory
from lowrank_sr.machine.memory import _left_in_control_groups, free_bytes, parse_size, resident_bytes, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GB", 10**9), ("1 gb", 10**9), ("512MB", 512 * 10**6), ("2GiB", 2**31), ("1.5g", 1_500_000_000),
        (".5T", 5 * 10**11), ("64Ki", 65536), ("4096", 4096), ("4096B", 4096), ("7kB", 7000),
    ],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "1XB", "-1GB", "0", "1e3", "nan", "1GBB", "1 G B", "9" * 400, "1,5GB"])
def test_what_is_no_size(text):
    with pytest.raises(InputError, match=r"expected a number and a unit, such as 800MB"):
        parse_size(text)


@settings(deadline=None)
@given(st.integers(1, 10**12))
def test_the_text_of_a_size_is_a_size_that_is_enough(size):
    assert size <= parse_size(size_text(size)) <= 1.1 * size + 1


def test_text():
    assert [size_text(n) for n in (12, 1000, 1_540_000_000, 20_000_000_001)] == ["12 B", "1 KB", "1.6 GB", "21 GB"]


def group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def this_process(root, line):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line)


V2 = {"memory.current": 700, "memory.stat": "anon 500\ninactive_file 200\nactive_file 50"}
V1 = {"memory.usage_in_bytes": 900, "memory.stat": "inactive_file 1\ntotal_inactive_file 300"}


def test_version_2_looks_at_every_group_above(tmp_path):
    this_process(tmp_path, "0::/user/job\n")
    group(tmp_path / "sys/fs/cgroup/user/job", {**V2, "memory.max": "max"})
    group(tmp_path / "sys/fs/cgroup/user", {**V2, "memory.max": 2000})
    assert list(_left_in_control_groups(tmp_path)) == [2000 - 500]


def test_version_1(tmp_path):
    this_process(tmp_path, "9:name=systemd:/\n4:cpu,memory:/job\n0::/\n")
    group(tmp_path / "sys/fs/cgroup/memory/job", {**V1, "memory.limit_in_bytes": 1000})
    group(tmp_path / "sys/fs/cgroup/memory", {**V1, "memory.limit_in_bytes": 9223372036854771712})
    assert list(_left_in_control_groups(tmp_path)) == [400, 9223372036854771712 - 600]


def test_a_container_that_sees_its_hosts_path(tmp_path):
    this_process(tmp_path, "4:memory:/docker/0123abcd\n")
    group(tmp_path / "sys/fs/cgroup/memory", {**V1, "memory.limit_in_bytes": 500})
    assert list(_left_in_control_groups(tmp_path)) == [0]  # more in use than allowed: nothing is left


def test_no_control_groups(tmp_path):
    assert list(_left_in_control_groups(tmp_path)) == []
    this_process(tmp_path, "0::/\n")
    assert list(_left_in_control_groups(tmp_path)) == []


def test_free_is_the_least_of_all(monkeypatch):
    assert 0 < free_bytes() <= psutil.virtual_memory().total
    monkeypatch.setattr(memory, "_left_in_control_groups", lambda root: iter([3000, 2000]))
    assert free_bytes() == 2000


def test_resident_memory_grows_with_what_is_held():
    before = resident_bytes()
    with mmap.mmap(-1, 40_000_000) as held:  # fresh pages; NumPy may be given some that the process holds already
        np.frombuffer(held, np.uint8)[:] = 1
        assert 39_000_000 < resident_bytes() - before < 60_000_000
