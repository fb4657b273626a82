"""Files that are replaced: their permissions, and the locks by which temporary ones are known."""

import errno
import os
import sys
from pathlib import Path

import pytest

from lowrank_sr import temporary
from lowrank_sr.files import replacing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions and locks as POSIX has them")


def write(path, content=b"new"):
    with replacing(path) as new:
        new.write_bytes(content)


def test_a_new_file_has_the_permissions_of_any(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("other threads create files meanwhile"))
        write(tmp_path / "a")
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o664])
def test_a_replaced_file_keeps_its_permissions(tmp_path, mode):
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(mode)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert (tmp_path / "a").read_bytes() == b"new"


def test_where_permissions_cannot_be_set(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refused)
    for content in (b"first", b"second"):
        write(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content


def test_where_a_lock_keeps_out_who_opens_the_file_again(tmp_path, monkeypatch):
    """As SMB does on Linux: there is no telling then whether another process is at work."""

    def refused(descriptor, content):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "write", refused)
    other = tmp_path / f"{temporary.PREFIX}other"
    other.touch()
    descriptor, path = temporary.create(tmp_path, ".png")
    again = os.open(path, os.O_RDWR)
    try:
        temporary._lock(again)  # raises where it is locked
    finally:
        os.close(again)
        os.close(descriptor)
    assert other.exists()


def test_a_file_that_another_process_locks_first_is_left_to_it(tmp_path, monkeypatch):
    lock, taken = temporary._lock, []

    def raced(descriptor):
        if not taken:
            taken.extend(tmp_path.iterdir())
            raise BlockingIOError
        lock(descriptor)

    monkeypatch.setattr(temporary, "_lock", raced)
    descriptor, path = temporary.create(tmp_path, ".png")
    os.close(descriptor)
    assert Path(path) not in taken
