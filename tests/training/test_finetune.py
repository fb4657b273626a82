"""A run as a whole: it learns, it is the same every time, and it goes on where it stopped."""

import dataclasses
from itertools import islice

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.errors import InputError
from lowrank_sr.training import finetune as loop
from lowrank_sr.training import parts
from lowrank_sr.training.crops import photographs
from lowrank_sr.training.finetune import first_state, training
from lowrank_sr.training.length import Length
from lowrank_sr.training.state import identity, load_state, save_state

PICTURES = [np.random.default_rng(seed).random((40, 48, 3), dtype=np.float32) for seed in range(3)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(loop, "CROPS", 2)
    monkeypatch.setattr(loop, "SIDE", 8)
    monkeypatch.setattr(loop, "CHECK", 3)


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
    monkeypatch.setattr(loop, "RATE", 5e-2 if form == "cp" else 1e-2)
    if form is None:
        rng = np.random.default_rng(1)
        layers = {
            name: dataclasses.replace(layer, weight=layer.weight + 0.02 * rng.standard_normal(layer.weight.shape))
            for name, layer in net.layers.items()
        }
        start = lsr.RRDBNet(layers, "im2col")
    else:
        start = lsr.compress(net, form, speedup=1.2, images=())
    steps = 40 if form is None else 8  # of all layers; each part is trained longer
    tuned = lsr.finetune(start, PICTURES, net, steps=steps)
    assert distance(tuned, net) < (0.85 if form == "cp" else 0.7) * distance(start, net)  # CP of noise comes less near
    assert {type(layer) for layer in tuned.layers.values()} == {type(layer) for layer in start.layers.values()}
    assert tuned.meta["finetuning"]["steps"] == steps
    assert tuned.meta["finetuning"]["target"] == "teacher"


def test_photographs_are_a_target_too(net):
    pictures = photographs(PICTURES, 4, 8, with_teacher=False)
    losses = [state.loss for state in training(net, pictures, None, Length(60, None), 0, first_state(net, 0))]
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
    *_, whole = training(net, pictures, None, length, 5, first_state(net, 5))
    *_, half = islice(training(net, pictures, None, length, 5, first_state(net, 5)), 3)
    save_state(path, half, identity(net, None), [{"step": 0}])
    loaded, curve = load_state(path, identity(net, None))
    assert curve == [{"step": 0}]
    *_, resumed = training(net, pictures, None, length, 5, loaded)
    assert resumed.muon.steps == whole.muon.steps == 7
    assert resumed.random == whole.random
    for a, b in zip(resumed.muon[1:], whole.muon[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_minutes_end_a_run(net):
    tuned = lsr.finetune(net, PICTURES, minutes=0.2 / 60)
    assert tuned.meta["finetuning"]["seconds"] >= 0.2
    assert tuned.meta["finetuning"]["steps"] >= 1


def run_of(net, teacher=None, steps=50, start=None):
    pictures = photographs(PICTURES, 4, 8, teacher is not None)
    return training(net, pictures, teacher, Length(steps, None), 0, start or first_state(net, 0))


def test_steps_that_lead_away_are_taken_back(net, monkeypatch):
    """At a rate that throws the weights about: it is halved until steps help, and no state that stays is worse."""
    monkeypatch.setattr(loop, "RATE", 100.0)
    start = first_state(net, 0)._replace(rate=100.0)
    states = list(run_of(net, start=start))
    assert states[-1].rate < 100
    check = loop._Check(net, start.first, photographs(PICTURES, 4, 8, False), None, 0)
    assert check.fidelity(states[-1].muon) >= check.start
    assert np.isfinite(states[-1].muon.average).all()


def test_steps_of_all_layers_do_not_fall_behind_what_the_parts_reached(net, monkeypatch):
    monkeypatch.setattr(loop, "RATE_AFTER_PARTS", 100.0)
    small = lsr.compress(net, rank=2, images=())
    states = list(run_of(small, net, steps=4))
    after_parts = next(state for state in states if state.parts == parts.count(net.architecture))
    check = loop._Check(small, states[-1].first, photographs(PICTURES, 4, 8, True), net, 0)
    assert after_parts.nearer
    assert after_parts.fidelity > check.start
    assert states[-1].floor == after_parts.fidelity == pytest.approx(check.fidelity(after_parts.muon))
    assert check.fidelity(states[-1].muon) >= after_parts.fidelity


def test_a_loss_that_is_not_finite_is_a_step_taken_back(net, monkeypatch):
    real, calls = loop.loss_and_gradient, []

    def sometimes_infinite(walk, layers, batch):
        loss, gradient = real(walk, layers, batch)
        calls.append(loss)
        return (np.inf, gradient) if len(calls) == 3 else (loss, gradient)

    monkeypatch.setattr(loop, "loss_and_gradient", sometimes_infinite)
    *_, last = run_of(net, steps=5)
    assert last.rate == loop.RATE / 2
    assert last.muon.steps == 5  # two steps were lost, and made again


def test_what_cannot_be_bettered_stays_as_it_is(net):
    """A network taught by itself: every step is taken back, and the run ends."""
    tuned = lsr.finetune(net, PICTURES, net, steps=3)
    for key, a in arrays(net).items():
        np.testing.assert_array_equal(arrays(tuned)[key], a)


def test_a_step_taken_back_takes_its_time(net, monkeypatch):
    monkeypatch.setattr(loop, "RATE", 100.0)
    seconds = [state.seconds for state in run_of(net, steps=5, start=first_state(net, 0)._replace(seconds=7.0))]
    assert seconds == sorted(seconds)
    assert seconds[0] > 7


def test_a_network_that_gives_no_numbers_is_refused(net):
    layer = net.layers["conv_last"]
    broken = lsr.RRDBNet({**net.layers, "conv_last": dataclasses.replace(layer, bias=np.full(3, np.nan))}, "im2col")
    with pytest.raises(InputError, match="the network's output is not finite"):
        next(run_of(broken))


def test_parts_are_trained_alone_before_all_layers_together(net, tmp_path):
    start, length = lsr.compress(net, "svd", speedup=1.5, images=()), Length(3, None)
    states = list(run_of(start, net, 3))
    assert [state.parts for state in states] == [1] + [2] * (len(states) - 1)  # one block, and the layers after it
    assert [state.muon.steps for state in states[:3]] == [0, 0, 1]
    assert states[0].loss < 1
    assert states[-1].muon.steps == 3
    done = [loop.done(state, length, start, net) for state in states]
    assert done == sorted(done)
    assert done[-1] == 1
    for state in states[:2]:  # interrupted after either part: the same to the bit
        save_state(tmp_path / "run.state.npz", state, {}, [])
        *_, resumed = run_of(start, net, 3, load_state(tmp_path / "run.state.npz", {})[0])
        np.testing.assert_array_equal(resumed.muon.average, states[-1].muon.average)


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
