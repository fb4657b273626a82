import pytest

from lowrank_sr.machine import remembered as module
from lowrank_sr.machine.remembered import path_of, remembered


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "lowrank_sr")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    another_process(monkeypatch)
    return tmp_path / "lowrank-sr"


def another_process(monkeypatch):
    monkeypatch.setattr(module, "_known", {})
    monkeypatch.setattr(module, "_said", set())
    module._warn_once.cache_clear()


def figure(key, measure, file="figures.json"):
    return remembered(file, key, lambda kept: type(kept) is int, measure, "measuring ...")


def never():
    pytest.fail("measured again")


def test_a_figure_is_measured_once(monkeypatch, caplog):
    assert figure("a", lambda: 1) == figure("a", never) == 1
    assert figure("b", lambda: 2) == 2
    assert caplog.messages == ["measuring ..."]
    another_process(monkeypatch)
    assert (figure("a", never), figure("b", never)) == (1, 2)
    assert caplog.messages == ["measuring ..."]
    assert figure("a", lambda: 3, "others.json") == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"a": "much"}', '{"a": null}', "[" * 100_000])
def test_a_damaged_file_is_measured_anew(folder, content):
    folder.mkdir()
    (folder / "figures.json").write_text(content)
    assert figure("a", lambda: 1) == 1


def test_a_cache_that_cannot_be_written_does_no_harm_and_is_said_once(folder, caplog):
    folder.write_text("a file where the folder should be")
    assert (figure("a", lambda: 1), figure("b", lambda: 2), figure("a", never)) == (1, 2, 1)
    (said,) = caplog.messages[1:]  # the first: that something is measured
    assert str(folder) in said


def test_a_user_without_a_home_measures_without_a_cache(monkeypatch, caplog):
    def no_home(*arguments, **options):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(module.platformdirs, "user_cache_dir", no_home)
    assert (figure("a", lambda: 1), figure("b", lambda: 2), figure("a", never)) == (1, 2, 1)
    (said,) = caplog.messages[1:]
    assert "there is no home folder" in said


def test_a_file_that_cannot_be_read_is_replaced_by_one_that_can(folder, monkeypatch):
    folder.mkdir()
    path_of("figures.json").touch(mode=0o000)
    monkeypatch.setattr(module.os, "access", lambda path, mode: bool(module.os.stat(path).st_mode & 0o400))  # a user's
    assert figure("a", lambda: 1) == 1
    assert path_of("figures.json").stat().st_mode & 0o400
    another_process(monkeypatch)
    assert figure("a", never) == 1


def test_processes_keep_each_others_figures(monkeypatch):
    figure("a", lambda: 1)
    another_process(monkeypatch)
    figure("b", lambda: figure_of_another_process())
    another_process(monkeypatch)
    assert (figure("a", never), figure("b", never), figure("c", never)) == (1, 2, 3)


def figure_of_another_process():
    """Meanwhile it writes the file, too."""
    known = dict(module._known)
    module._known.clear()
    figure("c", lambda: 3)
    module._known.clear()
    module._known.update(known)
    return 2
