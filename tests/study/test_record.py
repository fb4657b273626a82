import json

import pytest
from example_results import example, layer, network, quality, timing

from lowrank_sr.study import record
from lowrank_sr.study.encoding import decode, encode
from lowrank_sr.study.measure.crops import Panel
from lowrank_sr.study.measure.layers import LayerTimes
from lowrank_sr.study.measure.networks import MemoryAt, Peak, Quality, SpeedAndSize
from lowrank_sr.study.measure.sweeps import SpeedupPoint, ThresholdPoint, TruncationPoint
from lowrank_sr.study.technique import SVD_FITTED

SECONDS = {"seconds", "seconds_low", "seconds_high", "speedup", "speedup_low", "speedup_high", "gflops"}
LOW_RANK = {"factorised", "parameters", "psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y", "pictures"}
LOW_RANK |= {"gflop", "theoretical_speedup", "measured"}


def test_the_keys_of_results_json():
    """Other programs may read them."""
    point = encode(SpeedupPoint(technique=SVD_FITTED, speedup=2, network=network(27.0, 2.0)))
    assert point.keys() == {"technique", "speedup"} | LOW_RANK
    assert point["technique"] == "svd fitted"
    assert point["measured"].keys() == SECONDS | {"winograd"}
    assert point["measured"]["winograd"].keys() == SECONDS
    point = encode(ThresholdPoint(threshold=9.0, marked=3, energy=0.9, network=network(27.0, 2.0)))
    assert point.keys() == {"threshold", "marked", "energy"} | LOW_RANK
    assert encode(TruncationPoint(condition=4, refused="why")) == {"condition": 4, "refused": "why"}
    pictures = encode(quality(28.0))["pictures"]
    assert [row.keys() for row in pictures] == 2 * [{"picture", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"}]
    direct, *_, cp = encode(layer(64, 192))["rows"]
    row = {"technique", "rank", "gflop", "theoretical_speedup", "measured"}
    assert direct.keys() == row
    assert direct["rank"] is None
    assert cp.keys() == row | {"poster_bound", "error"}
    assert encode(SpeedAndSize(1.0, 2.0, timing(2.0), 10, 4e-5)).keys() == {
        "gflop", "theoretical_speedup", "measured", "parameters", "size_mb",
    }  # fmt: skip
    assert encode(Panel("ground truth", "a.png")) == {"name": "ground truth", "file": "a.png"}
    assert encode(MemoryAt(48, Peak(None))) == {"side": 48, "measured": {"peak_mb": None}}


@pytest.mark.parametrize(
    "value",
    [
        quality(28.0),
        layer(64, 192),
        SpeedupPoint(technique=SVD_FITTED, speedup=2, network=network(27.0, 2.0)),
        TruncationPoint(condition=4, refused="why"),
        example().times,
        example().full_size,
        example().crop,
    ],
)
def test_decoding_undoes_encoding(value):
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


def encoded_steps(results):
    steps = {
        "network": results.network,
        "condition numbers": results.condition_numbers,
        **{f"speed-up/{point.technique.name}/{point.speedup:g}": point for point in results.speedups},
        **{f"threshold/{point.marked}": point for point in results.thresholds},
        **{f"truncation/{point.condition:g}": point for point in results.truncations},
        "quality/bicubic": results.bicubic,
        **{f"quality/{technique.name}": value for technique, value in results.quality.items()},
        "time": results.times,
        **{f"memory/{technique.name}": value for technique, value in results.memory.items()},
        "crop": results.crop,
        "sgemm": results.sgemm,
        **{f"layer/{name}": value for name, value in results.layers.items()},
    }
    return encode(steps)


def test_results_are_assembled_from_the_steps():
    results, steps = example(), encoded_steps(example())
    steps["full size"] = encode(results.full_size)
    assert record.assemble(steps) == results


def test_without_full_size():
    assert record.assemble(encoded_steps(example())).full_size is None


def test_a_file_is_read_again_by_its_fingerprint(tmp_path):
    path = tmp_path / "results.json"
    steps = {"quality/bicubic": encode(quality(26.0))}
    record.write(path, "mark", {"seed": 0}, {"cpu": "some"}, steps)
    assert record.read(path, "mark") == steps
    assert record.read(path, "another") == {}
    assert record.read(tmp_path / "missing.json", "mark") == {}
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["poster"]["svd"] == {"psnr": 23.31, "ssim": 0.68}
    assert list(content) == ["format", "fingerprint", "settings", "measured", "steps", "poster", "claims"]
    path.write_text("{")
    assert record.read(path, "mark") == {}


def test_encoded_types():
    assert decode(Quality, encode(quality(28.0))).pictures[1].picture == "nose"
    assert decode(LayerTimes, encode(layer(64, 192))).shape == (64, 192, 3)
