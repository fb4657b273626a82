"""A run as a whole: it learns, it is the same every time, and it goes on where it stopped."""

import dataclasses
from itertools import islice

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.errors import InputError
from lowrank_sr.training import finetune as loop
from lowrank_sr.training.crops import photographs
from lowrank_sr.training.finetune import Length, first_state, training
from lowrank_sr.training.state import identity, load_state, save_state

PICTURES = [np.random.default_rng(seed).random((40, 48, 3), dtype=np.float32) for seed in range(3)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(loop, "CROPS", 2)
    monkeypatch.setattr(loop, "SIDE", 8)


@pytest.fixture(scope="module")
def net():
    """Method im2col: nothing to measure first."""
    return lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="im2col")


def arrays(net):
    return {(name, field): a for name, layer in net.layers.items() for field, a in layer.arrays().items()}


def distance(net, other):
    image = PICTURES[0][:16, :16]
    return float(np.abs(net(image) - other(image)).mean())


@pytest.mark.parametrize("form", [None, "svd", "cp"])
def test_a_network_learns_what_its_teacher_does(net, form, monkeypatch):
    """Low-rank and dense ones; towards a teacher, because what it does can be reached."""
    monkeypatch.setattr(loop, "RATE", 2e-3)
    if form is None:
        rng = np.random.default_rng(1)
        layers = {
            name: dataclasses.replace(layer, weight=layer.weight + 0.02 * rng.standard_normal(layer.weight.shape))
            for name, layer in net.layers.items()
        }
        start = lsr.RRDBNet(layers, "im2col")
    else:
        start = lsr.compress(net, form, speedup=1.2, images=())
    tuned = lsr.finetune(start, PICTURES, net, steps=40)
    assert distance(tuned, net) < 0.7 * distance(start, net)
    assert {type(layer) for layer in tuned.layers.values()} == {type(layer) for layer in start.layers.values()}
    assert tuned.meta["finetuning"]["steps"] == 40
    assert tuned.meta["finetuning"]["target"] == "teacher"


def test_photographs_are_a_target_too(net):
    pictures = photographs(PICTURES, 4, 8, with_teacher=False)
    losses = [state.loss for state in training(net, pictures, None, Length(60, None), first_state(net, 0))]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_the_network_that_went_in_stays_as_it_was(net):
    before = {key: a.copy() for key, a in arrays(net).items()}
    tuned = lsr.finetune(net, PICTURES, steps=2)
    for key, a in arrays(net).items():
        np.testing.assert_array_equal(a, before[key])
    assert any((a != before[key]).any() for key, a in arrays(tuned).items())


def test_the_seed_decides(net):
    a, b, c = (arrays(lsr.finetune(net, PICTURES, steps=3, seed=seed)) for seed in (1, 1, 2))
    assert all((a[key] == b[key]).all() for key in a)
    assert any((a[key] != c[key]).any() for key in a)


def test_an_interrupted_run_goes_on_to_the_bit(net, tmp_path):
    pictures, length, path = photographs(PICTURES, 4, 8, False), Length(7, None), tmp_path / "run.state.npz"
    *_, whole = training(net, pictures, None, length, first_state(net, 5))
    *_, half = islice(training(net, pictures, None, length, first_state(net, 5)), 3)
    save_state(path, half, identity(net, None), [{"step": 0}])
    loaded, curve = load_state(path, identity(net, None))
    assert curve == [{"step": 0}]
    *_, resumed = training(net, pictures, None, length, loaded)
    assert resumed.adam.steps == whole.adam.steps == 7
    assert resumed.random == whole.random
    for a, b in zip(resumed.adam[1:], whole.adam[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_minutes_end_a_run(net):
    tuned = lsr.finetune(net, PICTURES, minutes=0.2 / 60)
    assert tuned.meta["finetuning"]["seconds"] >= 0.2
    assert tuned.meta["finetuning"]["steps"] >= 1


def test_a_diverging_run_stops_and_leaves_the_state_before(net, monkeypatch):
    monkeypatch.setattr(loop, "RATE", 1e18)
    states = []
    run = training(net, photographs(PICTURES, 4, 8, False), None, Length(50, None), first_state(net, 0))
    with pytest.raises(InputError, match=r"step \d+: the loss is not finite: the run has diverged"):
        states.extend(run)
    assert len(states) < 50
    assert all(np.isfinite(state.adam.average).all() for state in states)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "0 steps: expected at least 1"),
        ({"steps": None, "minutes": -1}, "-1 minutes: expected more than 0"),
        ({"steps": None}, "steps and minutes: expected exactly one of them"),
        ({"minutes": 1}, "steps and minutes: expected exactly one of them"),
        ({"teacher": 2}, "a teacher of scale 2: expected 4, that of the network"),
        ({"images": []}, "photographs: none of 0 is large enough: expected at least 32 x 32 pixels"),
    ],
    ids=str,
)
def test_what_does_not_fit_gets_a_sentence(net, change, sentence):
    if "teacher" in change:
        change = {"teacher": lsr.RRDBNet.random(8, 1, 4, scale=change["teacher"])}
    with pytest.raises(InputError, match=sentence):
        lsr.finetune(**({"net": net, "images": PICTURES, "steps": 1} | change))


def test_a_state_that_does_not_fit_gets_a_sentence(net, tmp_path):
    path = tmp_path / "run.state.npz"
    with pytest.raises(InputError, match="no such file: expected the state of an interrupted run"):
        load_state(path, {})
    save_state(path, first_state(net, 0), {"seed": 0}, [])
    with pytest.raises(InputError, match="the state of another run: its seed is 0, not 1"):
        load_state(path, {"seed": 1})
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"PK" + whole[2:200]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not the state of a run"):
            load_state(path, {})
    net.save(path)
    with pytest.raises(InputError, match="not the state of a run"):
        load_state(path, {})
