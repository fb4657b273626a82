"""A study of two networks: what it keeps when it is interrupted, and of networks that are not asked for now."""

import json

import pytest
from tiny_study import METHODS

from lowrank_sr.errors import InputError
from lowrank_sr.study import record, run
from lowrank_sr.study.settings import open_studies


@pytest.fixture
def measured_now(monkeypatch):
    """The names of the steps that are measured from now on; each finds a number, and the report is not written.

    A name that is put among `stops` interrupts the study instead.
    """
    names, stops = [], set()

    def find(name):
        if name in stops:
            raise KeyboardInterrupt
        names.append(name)
        return {"found": len(name)}

    def steps(study):
        found = {step: f"{study.settings.slug}/{step}" for step in ("network", "quality/svd")}
        return {step: run.Measurement(lambda name=name: find(name)) for step, name in found.items()}

    monkeypatch.setattr(run, "steps", steps)
    monkeypatch.setattr(record, "assemble", lambda steps: steps)
    monkeypatch.setattr(run, "judge", lambda results: [f"judged on {len(results)} steps"])
    monkeypatch.setattr(run, "_write", lambda report, folder: None)
    return names, stops


def study(root, folder, *names, seed=0):
    weights = [root / f"{name}.npz" for name in names]
    return run.study(open_studies(folder, weights, root / "pictures", True, METHODS, seed), folder)


def parts(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["networks"]


def test_an_interruption_in_the_second_network_keeps_the_first(root, tmp_path, measured_now):
    names, stops = measured_now
    stops.add("other/quality/svd")
    with pytest.raises(KeyboardInterrupt, match="3 of 4 steps are in"):
        study(root, tmp_path, "tiny", "other")
    kept = parts(tmp_path)
    assert kept["tiny.npz"]["claims"] == ["judged on 2 steps"]
    assert (list(kept["other.npz"]["steps"]), kept["other.npz"]["claims"]) == (["network"], [])
    names.clear()
    stops.clear()
    study(root, tmp_path, "tiny", "other")
    assert names == ["other/quality/svd"]
    assert parts(tmp_path)["tiny.npz"] == kept["tiny.npz"]


def test_a_network_that_is_not_asked_for_stays(root, tmp_path, measured_now):
    names, _ = measured_now
    study(root, tmp_path, "tiny")
    before = parts(tmp_path)["tiny.npz"]
    study(root, tmp_path, "other")
    assert parts(tmp_path).keys() == {"tiny.npz", "other.npz"}
    assert parts(tmp_path)["tiny.npz"] == before
    names.clear()
    study(root, tmp_path, "tiny", "other")
    assert names == []


def test_another_study_of_the_second_network_is_refused(root, tmp_path, measured_now):
    study(root, tmp_path, "other")
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(InputError, match="holds another study: seed 0, here 1"):
        study(root, tmp_path, "tiny", "other", seed=1)
    assert (tmp_path / "results.json").read_bytes() == before


def test_numbers_keep_the_day_that_they_were_measured_on(root, tmp_path, measured_now, monkeypatch):
    study(root, tmp_path, "tiny")
    monkeypatch.setattr(run, "origin", lambda: {"date": "2099-01-01"})
    study(root, tmp_path, "tiny", "other")
    days = {name: part["measured"]["date"] for name, part in parts(tmp_path).items()}
    assert days["other.npz"] == "2099-01-01" > days["tiny.npz"]
