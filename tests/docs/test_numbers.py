"""Numbers of README.md and docs/results.md: from docs/results/, with their origin, and known where they are stale."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs"))

import number_tables
import provenance
import remeasure

CODE = (
    '"""What it is."""\n\nLIMIT = 3  # of them\n"""The most."""\n\n\ndef f(x):\n    """Doubled."""\n    return 2 * x\n'
)


@pytest.mark.parametrize("page", number_tables.PAGES, ids=lambda page: page.name)
def test_a_page_has_the_numbers_that_were_measured(page):
    assert number_tables.written(page) == page.read_text(encoding="utf-8"), "python docs/remeasure.py"


def test_every_table_stands_in_a_page_and_every_measurement_has_its_origin():
    text = "".join(page.read_text(encoding="utf-8") for page in number_tables.PAGES)
    assert all(f"<!-- table: {name}" in text for name in number_tables.TABLES)
    for name in provenance.MEASUREMENTS:
        measured = provenance.load(name)["measured"]
        assert {"date", "commit", "machine"} <= measured.keys()
        assert {"cpu", "threads", "numpy", "scipy", "numba"} <= measured["machine"].keys()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("  # of them", "", True),
        ("The most", "The least", True),
        ("Doubled", "Twice", True),
        ("2 * x", "2 *  x", True),
        ("2 * x", "3 * x", False),
        ("LIMIT = 3", "LIMIT = None", False),
        ("f(x)", "f(x, y=None)", False),
    ],
)
def test_the_digest_is_of_what_code_does(tmp_path, monkeypatch, old, new, same):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    file = tmp_path / "module.py"
    file.write_text(CODE)
    before = provenance.digest(("module.py",))
    file.write_text(CODE.replace(old, new))
    assert (provenance.digest(("module.py",)) == before) == same


def test_the_digest_is_of_all_files_of_a_folder_but_what_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.npz").write_bytes(b"1")
    before = provenance.digest(("data",))
    (tmp_path / "data" / "a.pyc").write_bytes(b"1")
    assert provenance.digest(("data",)) == before
    (tmp_path / "data" / "b.npz").write_bytes(b"1")
    assert provenance.digest(("data",)) != before
    with pytest.raises(FileNotFoundError, match=r"lost\.py: a measurement names it"):
        provenance.digest(("lost.py",))


@pytest.fixture
def one_measurement(tmp_path, monkeypatch):
    """A repository with one measurement, of a script that says how long a file is."""
    script = "import json, sys; json.dump({'length': len(open('benchmarks/a.txt').read())}, open(sys.argv[2], 'w'))"
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "a.txt").write_text("abc")
    (tmp_path / "benchmarks" / "count.py").write_text(script)
    of = provenance.Measurement(("python benchmarks/count.py --json length.json",), ("length.json",), ("benchmarks",))
    for module in (provenance, remeasure):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "RESULTS", tmp_path)
        monkeypatch.setattr(module, "MEASUREMENTS", {"length": of})
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_file_is_stale_until_it_is_measured_and_once_its_sources_have_changed(one_measurement):
    assert provenance.stale() == ["length"]
    remeasure.measure("length", one_measurement)
    assert provenance.load("length")["found"] == {"length.json": {"length": 3}}
    assert provenance.stale() == []
    (one_measurement / "benchmarks" / "a.txt").write_text("abcd")
    assert provenance.stale() == ["length"]
    remeasure.keep("length", "a letter more")
    assert provenance.stale() == []
    kept = provenance.load("length")
    assert (kept["since"], kept["found"]) == (["a letter more"], {"length.json": {"length": 3}})
    remeasure.measure("length", one_measurement)
    assert "since" not in provenance.load("length")
    assert provenance.load("length")["found"] == {"length.json": {"length": 4}}


def test_a_page_that_was_edited_by_hand_is_found(tmp_path):
    page = tmp_path / "page.md"
    shutil.copy(number_tables.PAGES[0], page)
    text = page.read_text(encoding="utf-8")
    found = provenance.load("speed")["found"]["peers.json"]["rows"][0]["seconds a megapixel"]
    page.write_text(text.replace(f"| {found:.1f} |", "| 0.1 |"), encoding="utf-8")
    assert number_tables.written(page) == text != page.read_text(encoding="utf-8")
