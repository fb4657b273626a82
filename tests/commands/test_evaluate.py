import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.commands.evaluate import MEASURES, evaluate, summary
from lowrank_sr.network import plan as network_plan
from lowrank_sr.network.enlarge import enlarge_in_tiles
from lowrank_sr.network.tiles import TilePlan
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.pictures.niqe import niqe
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.pictures.resize import imresize


@pytest.fixture(scope="module")
def tiny():
    return lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)


def mean(rows, network):
    return next(row for row in rows if row["image"] == "mean" and row["network"] == network)


@pytest.fixture(scope="module")
def bundled():
    """By one method: those of test_rrdbnet.py differ from PyTorch by less than any digit here shows, each of them."""
    return lsr.load("psnr-small", method="winograd")


@pytest.mark.slow
def test_set5_gives_the_figures_measured_with_pytorch(shared, bundled):
    """../shared/weights/README.md: 31.34 dB and 0.8828, bicubic 28.42 dB and 0.8102 (0.8104 in the literature)."""
    rows = evaluate({"bundled": bundled}, shared / "data" / "Set5")
    ours, bicubic = mean(rows, "bundled"), mean(rows, "bicubic")
    assert ours["psnr_y"] == pytest.approx(31.34, abs=0.01)
    assert ours["ssim_y"] == pytest.approx(0.8828, abs=0.0005)
    assert bicubic["psnr_y"] == pytest.approx(28.42, abs=0.02)
    assert bicubic["ssim_y"] == pytest.approx(0.8104, abs=0.0005)


@pytest.mark.slow
def test_set14_with_its_greyscale_picture(shared, bundled):
    rows = evaluate({"bundled": bundled}, shared / "data" / "Set14")
    assert mean(rows, "bundled")["psnr_y"] == pytest.approx(27.99, abs=0.01)
    assert mean(rows, "bundled")["ssim_y"] == pytest.approx(0.7670, abs=0.0005)
    assert mean(rows, "bicubic")["psnr_y"] == pytest.approx(26.00, abs=0.02)
    assert mean(rows, "bicubic")["ssim_y"] == pytest.approx(0.7027, abs=0.0005)
    grey = next(row for row in rows if row["image"] == "img_003")
    assert grey["psnr_y"] == grey["psnr_rgb"]


@pytest.mark.slow
def test_the_bundled_images_are_better_than_bicubic(bundled):
    rows = evaluate({"bundled": bundled})
    for image in {row["image"] for row in rows}:
        bicubic, ours = (row for row in rows if row["image"] == image)
        assert (bicubic["network"], ours["network"]) == ("bicubic", "bundled")
        assert ours["psnr_y"] > bicubic["psnr_y"]
        assert ours["ssim_y"] > bicubic["ssim_y"]


def write_random(path, height, width, grey=False):
    pixels = np.random.default_rng(0).random((height, width, 1 if grey else 3), dtype=np.float32)
    write_image(path, Image(np.ascontiguousarray(np.broadcast_to(pixels, (height, width, 3))), grey=grey))


def test_rows_and_means(tmp_path, tiny):
    write_random(tmp_path / "a.png", 66, 67)
    write_random(tmp_path / "b.png", 64, 80, grey=True)
    rows = evaluate({"one": tiny, "two": tiny.with_method("im2col")}, tmp_path)
    assert [(row["image"], row["network"], row["method"]) for row in rows[:3]] == [
        ("a", "bicubic", None),
        ("a", "one", tiny.method),
        ("a", "two", "im2col"),
    ]
    assert len(rows) == 9
    for key in MEASURES.keys() - {"niqe"}:
        a, b = (row[key] for row in rows[:6] if row["network"] == "one")
        assert mean(rows, "one")[key] == pytest.approx((a + b) / 2)
    assert summary(rows).count("\n") == len(rows)
    assert find_pairs(tmp_path)[0].read_images(4)[1].pixels.shape == (64, 64, 3)


def test_niqe_where_a_picture_is_large_enough(tmp_path, tiny):
    write_random(tmp_path / "a.png", 208, 208)
    write_random(tmp_path / "b.png", 208, 212, grey=True)
    write_random(tmp_path / "c.png", 64, 80)
    rows = evaluate({"net": tiny}, tmp_path)
    found = {row["image"]: row["niqe"] for row in rows if row["network"] == "bicubic"}
    (_, low, _), (_, grey_low, _) = ((pair.name, *pair.read_images(4)) for pair in find_pairs(tmp_path)[:2])
    assert found["a"] == niqe(imresize(low.pixels, 4), crop=4)
    assert found["b"] == niqe(imresize(grey_low.pixels, 4).mean(axis=2), crop=4)
    assert found["c"] is None
    assert found["mean"] == pytest.approx((found["a"] + found["b"]) / 2)
    assert [line.split()[-2] == "-" for line in summary(rows).splitlines()[1:]] == [row["niqe"] is None for row in rows]


def test_the_fidelity_to_a_reference(tmp_path, tiny, monkeypatch):
    """Computed once for a picture; infinite for the reference itself; of bicubic, too, and of the means."""
    from lowrank_sr.commands import evaluate as module

    for name, grey in (("a", False), ("b", True)):
        write_random(tmp_path / f"{name}.png", 48, 52, grey)
    reference, other = (lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, seed=seed) for seed in (1, 2))
    runs = []
    monkeypatch.setattr(module, "enlarge_in_tiles", lambda net, *rest: runs.append(net) or enlarge_in_tiles(net, *rest))
    rows = evaluate({"other": other, "same": reference}, tmp_path, reference=reference)
    assert len(runs) == 2 * 3
    for pair in find_pairs(tmp_path):
        low, _ = pair.read_images(4)
        theirs = lsr.enlarge(reference, low.pixels)  # of a grey picture grey
        of = {row["network"]: row for row in rows if row["image"] == pair.name}
        for name, picture in (("other", lsr.enlarge(other, low.pixels)), ("bicubic", lsr.imresize(low.pixels, 4))):
            assert of[name]["fidelity"] == pytest.approx(lsr.fidelity(picture, theirs), abs=1e-3)
            assert of[name]["fidelity_ssim"] == pytest.approx(lsr.ssim(picture, theirs, channels="rgb"), abs=1e-4)
        assert of["same"]["fidelity"] == np.inf
        assert of["same"]["fidelity_ssim"] == 1
    bicubic = [row["fidelity"] for row in rows if row["network"] == "bicubic"]
    assert bicubic[2] == pytest.approx((bicubic[0] + bicubic[1]) / 2)
    assert summary(rows).splitlines()[0].endswith("fidelity (dB)  fidelity SSIM")


def test_references_that_do_not_fit(tmp_path, tiny, capsys):
    write_random(tmp_path / "a.png", 48, 48)
    shape = {"num_feat": 8, "num_block": 1, "num_grow_ch": 4}
    tiny.save(tmp_path / "net.npz")
    lsr.RRDBNet.random(**shape, scale=2).save(tmp_path / "x2.npz")
    grey_out = {**tiny.layers, "conv_last": lsr.Dense(np.zeros((1, 8, 3, 3), np.float32), np.zeros(1, np.float32))}
    lsr.RRDBNet(grey_out).save(tmp_path / "grey.npz")
    for name, sentence in (
        ("x2.npz", "a reference of scale 2: expected 4, that of the networks"),
        ("grey.npz", "the network takes 3 channels and gives 1: expected 1, 3 or 4"),
        ("none.npz", "none.npz: no such file"),
    ):
        options = ["--data", str(tmp_path), "--reference", str(tmp_path / name)]
        assert main(["evaluate", str(tmp_path / "net.npz"), *options]) == 2
        assert sentence in capsys.readouterr().err


def test_folders_that_do_not_fit(tmp_path, tiny):
    with pytest.raises(lsr.InputError, match="has no image"):
        evaluate({"a": tiny}, tmp_path)
    write_random(tmp_path / "a_HR.png", 64, 64)
    with pytest.raises(lsr.InputError, match=r"a_HR\.png: expected pairs"):
        evaluate({"a": tiny}, tmp_path)
    write_random(tmp_path / "a_LR.png", 16, 15)
    with pytest.raises(lsr.InputError, match=r"a_HR\.png: .*expected 4 times its LR"):
        evaluate({"a": tiny}, tmp_path)
    with pytest.raises(lsr.InputError, match="one scale"):
        evaluate({"a": tiny, "b": lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=2)}, tmp_path)


def test_pictures_of_one_stem(tmp_path, tiny):
    write_random(tmp_path / "a.png", 48, 48)
    write_random(tmp_path / "a.bmp", 40, 44)
    rows = evaluate({"net": tiny}, tmp_path)
    assert [row["image"] for row in rows] == ["a.bmp", "a.bmp", "a.png", "a.png", "mean", "mean"]
    assert rows[0]["psnr_y"] != rows[2]["psnr_y"]
    assert rows[1]["psnr_y"] != rows[3]["psnr_y"]
    (tmp_path / "pairs").mkdir()
    for name in ("x_HR.png", "x_HR.jpg", "x_LR.png"):
        write_random(tmp_path / "pairs" / name, 48, 48)
    with pytest.raises(lsr.InputError, match=r"x_HR\.png: x_HR\.jpg is there, too: expected one file of a name"):
        find_pairs(tmp_path / "pairs")


def test_a_picture_too_small_to_compare_is_named_before_the_first(tmp_path, tiny, monkeypatch):
    from lowrank_sr.commands import evaluate as module

    write_random(tmp_path / "a.png", 48, 48)
    write_random(tmp_path / "b.png", 48, 19)
    monkeypatch.setattr(module, "_measure", lambda *arguments: pytest.fail("the work has begun"))
    with pytest.raises(lsr.InputError, match=r"b\.png: 19 x 48 pixels: expected at least 20 a side"):
        evaluate({"net": tiny}, tmp_path)


def test_the_network_s_own_values_or_tiles_where_memory_is_short(tmp_path, monkeypatch):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="direct")
    write_random(tmp_path / "a.png", 520, 400, grey=True)
    (pair,) = find_pairs(tmp_path)
    low, high = pair.read_images(4)
    whole = evaluate({"net": net}, tmp_path)[1]
    assert measure_quality(net(low.pixels), high, 4).items() <= whole.items()
    computed = []
    needed = network_plan.needed_bytes(3, np.dtype(np.float32), 0, net, TilePlan(130, 100, 130, 100, 0))
    monkeypatch.setattr(network_plan, "MEMORY", needed - 1)
    monkeypatch.setattr(lsr.RRDBNet, "__call__", _noting(computed, lsr.RRDBNet.__call__))
    tiled = evaluate({"net": net}, tmp_path)[1]
    assert len(computed) > 2  # the first warms up
    assert tiled["psnr_y"] == pytest.approx(whole["psnr_y"], abs=0.01)


def test_the_clock_stands_while_the_overlap_is_measured(tmp_path, tiny, monkeypatch):
    from lowrank_sr.commands import evaluate as module

    now = [0.0]

    def measuring(net):
        now[0] += 1000
        return 12

    write_random(tmp_path / "a.png", 520, 400)
    needed = network_plan.needed_bytes(3, np.dtype(np.float32), 0, tiny, TilePlan(130, 100, 130, 100, 0))
    monkeypatch.setattr(network_plan, "MEMORY", needed - 1)
    monkeypatch.setattr(network_plan, "overlap_of", measuring)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    rows = evaluate({"net": tiny}, tmp_path)
    assert now[0] >= 1000
    assert [row["seconds"] for row in rows] == [0] * len(rows)


def _noting(calls, function):
    def called(self, *arguments):
        calls.append(self)
        return function(self, *arguments)

    return called
