import json
import math
from datetime import UTC, date, datetime

import pytest
from example_results import encoded_steps, example, layer, low_rank_network, quality, timing

from lowrank_sr.errors import InputError
from lowrank_sr.files import write_json
from lowrank_sr.machine import cpu
from lowrank_sr.study import origin, record
from lowrank_sr.study.encoding import FORMAT, decode, encode
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.layers import LayerTimes
from lowrank_sr.study.measure.memory import MemoryAt, Peak
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.speed import SpeedAndSize
from lowrank_sr.study.measure.sweeps import SpeedupPoint, ThresholdPoint, TruncationPoint
from lowrank_sr.study.technique import REFERENCE, SVD_FITTED

SECONDS = {"seconds", "seconds_low", "seconds_high", "speedup", "speedup_low", "speedup_high", "gflops"}
SECONDS |= {"rounds", "load"}
QUALITY = {"psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "niqe", "fidelity", "fidelity_ssim", "sharpness"}
QUALITY |= {"blur_sigma", "blur_explained", "blur_psnr_rgb", "fidelity_matched"}
LOW_RANK = {"factorised", "parameters", "pictures"} | QUALITY
LOW_RANK |= {"gflop", "theoretical_speedup", "measured"}


def test_the_keys_of_results_json():
    """Other programs may read them."""
    point = encode(SpeedupPoint(technique=SVD_FITTED, speedup=2, network=low_rank_network(27.0, 2.0)))
    assert point.keys() == {"technique", "speedup"} | LOW_RANK
    assert point["technique"] == "svd fitted"
    assert point["measured"].keys() == SECONDS | {"winograd"}
    assert point["measured"]["winograd"].keys() == SECONDS
    point = encode(ThresholdPoint(threshold=9.0, marked=3, energy=0.9, network=low_rank_network(27.0, 2.0)))
    assert point.keys() == {"threshold", "marked", "energy"} | LOW_RANK
    assert encode(TruncationPoint(condition=4, refused="why")) == {"condition": 4, "refused": "why"}
    point = encode(example().limits[0])
    assert point.keys() == {"limit", "dropped", "unguarded"} | LOW_RANK
    assert point["unguarded"].keys() == LOW_RANK
    pictures = encode(quality(28.0))["pictures"]
    assert [row.keys() for row in pictures] == 2 * [{"picture"} | QUALITY]
    dense = encode(quality(28.0, dense=True))["pictures"]
    assert [row.keys() for row in dense] == 2 * [{"picture", "psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "niqe"}]
    combination = {"form", "ranks", "layers", "factors", "factorised", "theoretical_speedup", "pictures"} | QUALITY
    assert encode(example().ablation[0]).keys() == combination
    assert encode(example().alone[0]).keys() == {"layer", "rank", "error", "theoretical_speedup", "pictures"} | QUALITY
    direct, *_, cp = encode(layer(64, 192))["rows"]
    row = {"technique", "rank", "gflop", "theoretical_speedup", "multiplications", "measured"}
    assert direct.keys() == row
    assert direct["rank"] is None
    assert cp.keys() == row | {"poster_bound", "error"}
    assert encode(SpeedAndSize(48, 1.0, 2.0, 0.5, timing(2.0), 10, 4e-5)).keys() == {
        "side", "gflop", "theoretical_speedup", "multiplications", "measured", "parameters", "size_mb",
    }  # fmt: skip
    assert encode(timing(2.0))["load"] == {"before": 0.0, "after": 0.1, "spare": 0.0}
    assert encode(Panel("ground truth", "a.png", "1f")) == {"name": "ground truth", "file": "a.png", "digest": "1f"}
    assert encode(MemoryAt(48, Peak(None))) == {"side": 48, "measured": {"peak_mb": None}}


@pytest.mark.parametrize(
    "value",
    [
        quality(28.0),
        layer(64, 192),
        SpeedupPoint(technique=SVD_FITTED, speedup=2, network=low_rank_network(27.0, 2.0)),
        TruncationPoint(condition=4, refused="why"),
        example().times[REFERENCE],
        example().limits[0],
        example().ablation[0],
        example().crop,
    ],
)
def test_decoding_undoes_encoding(value):
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


def test_results_are_assembled_from_the_steps():
    assert record.assemble(encoded_steps(example())) == example()


IDENTITY = {"seed": "0", "threads": "2"}


@pytest.fixture
def kept(tmp_path):
    """A results.json of two networks with two steps each."""
    path = tmp_path / "results.json"
    steps = {name: record.Step("mark", encode(quality(psnr))) for name, psnr in (("one", 26.0), ("two", 27.0))}
    parts = {name: record.Part(IDENTITY, {"seed": 0}, {"date": "2026"}, steps, []) for name in ("first", "second")}
    record.write(path, parts)
    return path, parts


def test_a_file_is_read_again(kept):
    path, parts = kept
    assert record.read(path, {"first": IDENTITY}) == parts
    assert record.read(path.with_name("missing.json"), {"first": IDENTITY}) == {}
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["poster"]["svd"] == {"psnr": 23.31, "ssim": 0.68}
    assert list(content) == ["format", "poster", "networks"]
    assert list(content["networks"]["first"]) == ["identity", "settings", "measured", "claims", "steps", "keys"]


def test_another_study_is_refused_and_stays(kept):
    path, _ = kept
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"holds another study: seed 0, here 1; threads 2, here 4: .* --fresh"):
        record.read(path, {"second": {"seed": "1", "threads": "4"}})
    assert path.read_bytes() == before
    others = record.read(path, {"third": {"seed": "1"}})  # which are not asked for now
    assert others.keys() == {"first", "second"}
    path.write_text('{"format": 2, "steps": {}}')
    with pytest.raises(InputError, match="of another version"):
        record.read(path, {"first": IDENTITY})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "networks": {{"first": 1}}}}', "\xff"]
)
def test_a_damaged_file_is_kept_beside(kept, capsys, text):
    path, _ = kept
    path.write_bytes(text.encode("latin-1"))
    path.with_name("results-1.json").write_text("an earlier one")
    assert record.read(path, {"first": IDENTITY}) == {}
    assert path.with_name("results-2.json").read_bytes() == text.encode("latin-1")
    assert not path.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("results.json: is damaged: it is kept as results-2.json, and the study starts anew")


def test_an_edited_step_is_left_out(kept, capsys):
    path, parts = kept
    content = json.loads(path.read_text(encoding="utf-8"))
    content["networks"]["second"]["steps"]["two"]["psnr_rgb"] = 30.0
    path.write_text(json.dumps(content), encoding="utf-8")
    known = record.read(path, {"first": IDENTITY})
    assert known["first"] == parts["first"]
    assert known["second"].steps.keys() == {"one"}
    assert "the step 'two' of second has been changed: it is measured again" in capsys.readouterr().err


def test_an_infinite_fidelity_comes_back(tmp_path):
    """JSON has no infinity: a network that is the dense one's twin has none there."""
    same = quality(28.0, fidelity=math.inf)
    write_json(tmp_path / "same.json", encode(same))
    read = decode(Quality, json.loads((tmp_path / "same.json").read_text(encoding="utf-8")))
    assert (read.fidelity, read.near, read.distance) == (None, math.inf, 0.0)


def test_where_numbers_come_from():
    found = origin.origin()
    assert found.keys() - {"commit"} == {"date", "machine"}  # no commit outside a checkout
    assert date.fromisoformat(found["date"]) <= datetime.now(UTC).date()
    assert found["machine"] == cpu.describe()


def test_encoded_types():
    assert decode(Quality, encode(quality(28.0))).pictures[1].picture == "nose"
    assert decode(LayerTimes, encode(layer(64, 192))).shape == (64, 192, 3)
