"""The command: files in, files out, interrupted and resumed."""

import json
import re

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.commands import compress as compress_command
from lowrank_sr.commands import finetune as command
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.training import finetune as loop
from lowrank_sr.training import parts
from lowrank_sr.training.length import Length


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(loop, "CROPS", 2)
    monkeypatch.setattr(loop, "SIDE", 8)
    monkeypatch.setattr(loop, "CHECK", 1)
    monkeypatch.setattr(command, "PAUSE", 0.0)  # after every step


@pytest.fixture
def folder(tmp_path):
    """Photographs, pictures to validate on, and a small network."""
    for name, size, count in (("photos", (40, 36), 3), ("truth", (24, 20), 2), ("tiny", (12, 12), 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = np.random.default_rng(i).random((*size, 3), dtype=np.float32)
            write_image(tmp_path / name / f"{i}.png", Image(pixels))
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(tmp_path / "net.npz")
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=1).save(tmp_path / "teacher.npz")
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=2).save(tmp_path / "x2.npz")
    return tmp_path


def run(folder, output, *rest):
    arguments = ["finetune", folder / "net.npz", "-o", folder / output, "--validate", folder / "truth"]
    if "--photos" not in rest:
        arguments += ["--photos", folder / "photos"]
    return main([str(argument) for argument in (*arguments, *rest)])


def arrays(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files if name != "meta"}


def assert_equal_weights(path, other):
    a, b = arrays(path), arrays(other)
    assert a.keys() == b.keys()
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name])


def test_it_writes_a_network_a_curve_and_where_they_come_from(folder, capsys):
    assert run(folder, "out.npz", "--steps", 3, "--json", folder / "out.json") == 0
    tuned = lsr.load(folder / "out.npz")
    assert tuned.meta["finetuning"] | {"seconds": 0} == {
        "photographs": 3,
        "target": "photographs",
        "length": {"steps": 3, "minutes": None},
        "seed": 0,
        "crops": 2,
        "side": 8,
        "rate": loop.RATE,
        "parts": 0,
        "steps": 3,
        "seconds": 0,
    }
    assert tuned.meta["source"] == "random, seed 0"
    numbers = json.loads((folder / "out.json").read_text())
    assert [row["step"] for row in numbers["curve"]] == [0, 1, 2, 3]
    assert numbers["curve"][0]["loss"] is None
    assert numbers["finetuning"] == tuned.meta["finetuning"]
    printed = capsys.readouterr()
    assert f"{numbers['curve'][-1]['psnr_y']:.3f}" in printed.out
    assert re.search(r"^step 2, \d+\.\d min: PSNR Y", printed.err, re.MULTILINE)
    assert sorted(path.name for path in folder.glob("out*")) == ["out.json", "out.npz"]


def test_an_interrupted_run_keeps_what_it_reached_and_goes_on_to_the_bit(folder, monkeypatch):
    assert run(folder, "whole.npz", "--steps", 4) == 0
    step, done = loop.muon.step, []

    def interrupted(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop.muon, "step", interrupted)
        assert run(folder, "part.npz", "--steps", 4) == 130
    assert lsr.load(folder / "part.npz").meta["finetuning"]["steps"] == 2
    assert run(folder, "part.npz", "--steps", 4, "--resume", "--json", folder / "part.json") == 0
    assert_equal_weights(folder / "part.npz", folder / "whole.npz")
    assert [row["step"] for row in json.loads((folder / "part.json").read_text())["curve"]] == [0, 1, 2, 3, 4]
    assert not (folder / "part.state.npz").exists()


def test_a_rate_that_throws_everything_about_is_halved_until_it_does_not(folder, monkeypatch):
    """Towards a teacher on the pictures that it trains on: what comes out is nearer to it than what went in."""
    monkeypatch.setattr(loop, "RATE", 1e3)
    assert run(folder, "out.npz", "--steps", 3, "--teacher", folder / "teacher.npz", "--json", folder / "out.json") == 0
    curve = json.loads((folder / "out.json").read_text())["curve"]
    assert curve[-1]["step"] == 3
    assert all(np.isfinite(array).all() for array in arrays(folder / "out.npz").values())
    assert min(row["fidelity"] for row in curve) > curve[0]["fidelity"] - 1


def test_a_compression_that_was_interrupted_goes_on_from_where_it_was(folder, monkeypatch, capsys):
    """In the block, after it, in the steps of all layers: the same network as of a run without a break."""
    monkeypatch.setattr(parts, "VALIDATION", 2)
    steps = Length(2, None)
    of_block = steps.times(loop.ALONE_SHARE / (1 - loop.ALONE_SHARE))
    after_block = of_block.times(parts.AFTER_BLOCKS)

    def compress(output, *rest):
        monkeypatch.setattr(compress_command, "checked_length", lambda *_: steps)
        arguments = ["compress", folder / "net.npz", "-o", folder / output, "--rank", "3", "--no-calibration"]
        arguments += ["--finetune", "1", "--photos", folder / "photos", *rest]
        return main([str(argument) for argument in arguments])

    assert compress("whole.npz") == 0
    assert compress("part.npz", "--resume") == 0  # nothing is there: from the start
    assert_equal_weights(folder / "part.npz", folder / "whole.npz")
    assert compress("part.npz", "--resume") == 2
    assert "part.npz: fine-tuned to its end" in capsys.readouterr().err
    (folder / "part.npz").unlink()
    for after in (1, of_block.steps + 1, after_block.steps + 1):  # steps of Muon; a part is begun again
        count, step = [], loop.muon.step

        def interrupted(*arguments, count=count, step=step, after=after):
            if len(count) == after:
                raise KeyboardInterrupt
            count.append(1)
            return step(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(loop.muon, "step", interrupted)
            assert compress("part.npz", "--resume") == 130
    assert (folder / "part.state.npz").exists()
    assert compress("part.npz", "--resume") == 0
    assert_equal_weights(folder / "part.npz", folder / "whole.npz")
    assert compress("part.npz", "--resume", "--layers", "*conv5") == 2


def test_an_interruption_where_parts_lead_away_leaves_the_network_that_went_in(folder, monkeypatch):
    """The state has the parts all the same; at the end of all of them, too, nothing worse is taken."""
    monkeypatch.setattr(parts, "VALIDATION", 2)
    lsr.compress(lsr.load(folder / "net.npz"), rank=2, images=()).save(folder / "small.npz")
    start = arrays(folder / "small.npz")
    monkeypatch.setattr(loop._Check, "fidelity", lambda _, now: -float(now.steps == 0 and not from_start(now, start)))
    given = ["finetune", folder / "small.npz", "-o", folder / "out.npz", "--validate", folder / "truth"]
    given += ["--photos", folder / "photos", "--teacher", folder / "net.npz", "--steps", 1]
    train, trained = parts.train, []

    def interrupted(*arguments):
        if trained:
            raise KeyboardInterrupt
        trained.append(1)
        return train(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "train", interrupted)
        assert main([str(each) for each in given]) == 130
        assert_equal_weights(folder / "out.npz", folder / "small.npz")
        lsr.load(folder / "teacher.npz").save(folder / "out.npz")  # as if an earlier run had written something better
        assert main([str(each) for each in (*given, "--resume")]) == 130
        assert_equal_weights(folder / "out.npz", folder / "teacher.npz")
    about = json.loads(str(np.load(folder / "out.state.npz")["about"]))
    assert (about["parts"], about["nearer"], about["fidelity"]) == (1, False, -1.0)
    monkeypatch.setattr(loop, "_all_together", lambda *arguments: iter([arguments[-1]]))
    assert main([str(each) for each in (*given, "--resume")]) == 0
    assert_equal_weights(folder / "out.npz", folder / "small.npz")


def from_start(now, start):
    return np.array_equal(np.sort(now.average), np.sort(np.concatenate([array.ravel() for array in start.values()])))


def test_a_teacher_takes_pictures_that_are_too_small_otherwise(folder, capsys):
    tiny = ("--photos", folder / "tiny", "--steps", 1)
    assert run(folder, "out.npz", *tiny) == 2
    assert "none of 2 is large enough: expected at least 32 x 32 pixels" in capsys.readouterr().err
    assert run(folder, "out.npz", *tiny, "--teacher", folder / "teacher.npz") == 0
    assert lsr.load(folder / "out.npz").meta["finetuning"]["target"] == "teacher"


def test_a_teacher_by_a_bundled_network_s_name(folder, capsys):
    assert run(folder, "out.npz", "--steps", 1, "--teacher", "psnr-small") == 0
    assert lsr.load(folder / "out.npz").meta["finetuning"]["target"] == "teacher"
    assert run(folder, "out.npz", "--steps", 1, "--teacher", "psnr-tiny") == 2
    assert (
        "psnr-tiny: no such file, and no bundled network: expected one of realesrgan-x4plus" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("output", "rest", "sentence"),
    [
        ("out.npz", ("--teacher", "x2.npz"), "a teacher of scale 2: expected 4"),
        ("out.pth", (), "expected a name that ends in .npz"),
        ("out.npz", ("--photos", "nowhere"), "cannot be listed"),
        ("out.npz", ("--resume",), "expected the state of an interrupted run"),
    ],
    ids=str,
)
def test_what_does_not_fit_gets_a_sentence(folder, capsys, output, rest, sentence):
    rest = [folder / name if name in ("x2.npz", "nowhere") else name for name in rest]
    assert run(folder, output, *rest, "--steps", 1) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_compress_does_both(folder, capsys):
    arguments = ["compress", folder / "net.npz", "-o", folder / "small.npz", "--rank", 2, "--no-calibration"]
    assert main([str(a) for a in (*arguments, "--finetune", 0.01)]) == 2
    assert "--finetune and --photos: expected both or neither" in capsys.readouterr().err
    arguments += ["--finetune", 0.2 / 60, "--photos", folder / "photos", "--json", folder / "small.json"]
    assert main([str(argument) for argument in arguments]) == 0
    tuned = lsr.load(folder / "small.npz")
    assert tuned.meta["compression"]["method"] == "svd"
    assert tuned.meta["finetuning"]["seconds"] >= 0.2
    assert tuned.meta["finetuning"]["target"] == "teacher"
    numbers = json.loads((folder / "small.json").read_text())
    assert {"layers", "totals", "curve", "finetuning"} <= numbers.keys()
