"""What photographs add to a study: networks that are fine-tuned on them, and no change to anything else."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tiny_study import arguments, opened

from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.study import extent, record, run
from lowrank_sr.study.measure import memory, networks
from lowrank_sr.study.technique import DENSE_TUNED, SVD_FITTED, Technique
from lowrank_sr.training import finetune, muon

SVD_TUNED = Technique("svd", "tuned")
EACH = ("fine-tuning", "quality", "time", "memory")
ADDED = [*(f"{step}/{name}" for name in ("direct tuned", "svd tuned") for step in EACH), "stages"]


pytestmark = pytest.mark.usefixtures("one_short_step")


def inputs(study):
    """What the steps of a study are measured from, as digests."""
    return {name: record.digest([study.identity, name, step.uses]) for name, step in run.steps(study).items()}


def arrays(net):
    return {f"{name}.{key}": array for name, layer in net.layers.items() for key, array in layer.arrays().items()}


def test_photographs_add_steps_and_change_none(root, tmp_path, photos):
    without, with_photos = opened(root, tmp_path), opened(root, tmp_path, photos=photos)
    assert with_photos.fingerprint == without.fingerprint
    before, after = inputs(without), inputs(with_photos)
    assert {name: after[name] for name in before} == before
    assert list(after)[: len(ADDED)] == ADDED
    assert set(after) == set(before) | set(ADDED)
    assert not any(run.steps(with_photos)[name].anywhere for name in ADDED)


def test_settings_name_the_folder_only_where_there_is_one(root, tmp_path, photos):
    without, with_photos = (opened(root, tmp_path, photos=folder).settings.describe() for folder in (None, photos))
    assert {name: with_photos[name] for name in without} == without
    added = {name: value for name, value in with_photos.items() if name not in without}
    assert added == {"photos": "photos", "photographs": extent.QUICK.photographs, "minutes": 1e-9}


@pytest.mark.parametrize("change", ["content", "name", "minutes"])
def test_what_the_added_steps_depend_on(root, tmp_path, photos, monkeypatch, change):
    before = inputs(opened(root, tmp_path, photos=photos))
    if change == "content":
        shutil.copy(photos / "a.png", photos / "b.png")
    elif change == "name":
        (photos / "a.png").rename(photos / "c.png")
    else:
        monkeypatch.setattr(extent, "QUICK", replace(extent.QUICK, minutes=2.0))
    after = inputs(opened(root, tmp_path, photos=photos))
    assert {name for name in after if after[name] != before[name]} == set(ADDED)


def test_their_peaks_depend_on_how_often_they_are_measured(root, tmp_path, photos, monkeypatch):
    """As those of all techniques do."""
    study = opened(root, tmp_path, photos=photos)
    before = inputs(study)
    monkeypatch.setattr(memory, "TIMES", memory.TIMES + 1)
    after = inputs(study)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {name for name in after if name.startswith("memory/")}
    assert {"memory/direct tuned", "memory/svd tuned"} <= changed


@pytest.mark.slow
def test_a_training_begins_with_fitted_factors_and_moves_every_layer(root, tmp_path, photos):
    study = opened(root, tmp_path, photos=photos)
    fitted, tuned = networks.network(study, SVD_FITTED), networks.network(study, SVD_TUNED)
    assert tuned.method == "direct"
    assert tuned.meta["finetuning"]["photographs"] == 2
    assert tuned.meta["finetuning"]["steps"] == 1
    before, after = arrays(fitted), arrays(tuned)
    assert {name: array.shape for name, array in after.items()} == {name: array.shape for name, array in before.items()}
    # Muon's step moves an array by at most the rate of its norm, where that is not very small; float32 rounds it
    moved = {name: np.linalg.norm(after[name] - before[name]) for name in after}
    assert max(moved.values()) > 0
    for name, array in before.items():
        norm = max(np.linalg.norm(array), muon.LEAST_SIZE * np.sqrt(array.size))
        assert moved[name] <= 1.01 * finetune.RATE * norm
    assert not any(np.array_equal(after[name], before[name]) for name in ("conv_first.weight", "conv_last.weight"))
    dense = networks.network(study, DENSE_TUNED)
    assert all(layer.rank is None for layer in dense.layers.values())


@pytest.mark.slow
def test_a_trained_network_is_kept_for_its_photographs(root, tmp_path, photos, monkeypatch, capsys):
    study = opened(root, tmp_path, photos=photos)
    first, path = arrays(networks.network(study, DENSE_TUNED)), tmp_path / "tiny" / "networks" / "direct-tuned.npz"
    assert path.exists()
    assert networks.is_kept(study, DENSE_TUNED)
    assert not networks.is_kept(study, SVD_TUNED)
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "trained", lambda *_: pytest.fail("trained again"))
        again = arrays(networks.network(study, DENSE_TUNED))
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)
    path.write_bytes(b"PK")
    assert not networks.is_kept(study, DENSE_TUNED)
    networks.network(study, DENSE_TUNED)
    assert f"{path}: is damaged: the network is computed again" in capsys.readouterr().err
    (photos / "a.png").unlink()
    assert not networks.is_kept(opened(root, tmp_path, photos=photos), DENSE_TUNED)


def bad_folder(photos, root, kind):
    if kind == "missing":
        return photos / "nowhere"
    if kind == "measured on":
        shutil.copy(root / "pictures" / "eye.png", photos / "copy.png")
        return photos
    for path in photos.iterdir():
        path.unlink()
    if kind == "small":
        write_image(photos / "small.png", Image(np.zeros((31, 64, 3), np.float32)))
    elif kind == "damaged":
        (photos / "a.png").write_bytes(b"no picture")
    return photos


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", "nowhere: cannot be listed"),
        ("empty", "photos: has no image"),
        ("small", "photos: no photograph is large enough: expected at least 32 x 32 pixels"),
        ("damaged", "a.png: cannot be read"),
        ("measured on", "copy.png: is eye.png, which quality is measured on: expected others"),
    ],
)
def test_unusable_photographs_are_refused_before_anything_is_measured(
    root, tmp_path, photos, only_sentence, kind, sentence
):
    folder = bad_folder(photos, root, kind)
    assert main(arguments(root, tmp_path / "report", "--photos", str(folder))) == 2
    assert sentence in only_sentence()
    assert not list((tmp_path / "report").iterdir())


def test_what_another_training_would_contradict_is_measured_again(root, tmp_path, photos, monkeypatch):
    """A step is missing and the network that the others were measured of is lost."""
    study = opened(root, tmp_path, photos=photos)
    todo = run.steps(study)
    done = {name: record.Step("mark", None) for name in todo}
    assert run._without_lost(study, todo, done) == done
    del done["memory/svd tuned"]
    left = run._without_lost(study, todo, done)
    assert done.keys() - left.keys() == {"fine-tuning/svd tuned", "quality/svd tuned", "time/svd tuned"}
    monkeypatch.setattr(networks, "is_kept", lambda *_: True)
    assert run._without_lost(study, todo, done) == done
