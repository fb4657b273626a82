from dataclasses import replace

import numpy as np
import pytest
from tiny_study import opened, tiny_network

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, write_image
from lowrank_sr.resources import CALIBRATION
from lowrank_sr.study import extent, settings


def test_a_folder_is_shared_by_the_same_study_only(root, tmp_path):
    fingerprint = opened(root, tmp_path).fingerprint
    assert opened(root, tmp_path / "elsewhere").fingerprint == fingerprint
    assert opened(root, tmp_path, methods=("direct", "cp")).fingerprint == fingerprint
    assert opened(root, tmp_path, seed=1).fingerprint != fingerprint
    assert opened(root, tmp_path, weights="other.npz").fingerprint != fingerprint


def test_other_kernels_are_another_study(root, tmp_path, monkeypatch):
    """The version number alone would not tell an edit of the kernels' sources."""
    before = opened(root, tmp_path).fingerprint
    monkeypatch.setattr("lowrank_sr.machine.cpu.kernels_digest", lambda: "another")
    assert opened(root, tmp_path).fingerprint != before


def test_settings_in_results_json(root, tmp_path):
    described = opened(root, tmp_path).settings.describe()
    assert described["pictures"] == ("eye", "nose")
    assert described["weights"] == "tiny.npz"
    assert described["rounds"] == extent.QUICK.rounds
    assert str(root) not in str(described)


def test_a_quick_study_takes_the_smallest_pictures(root, tmp_path):
    (tmp_path / "pictures").mkdir()
    pixels = np.random.default_rng(0).random((80, 80, 3), dtype=np.float32)
    for name, height, width in (("a", 80, 80), ("b", 48, 52), ("c", 52, 60), ("d", 48, 48)):
        write_image(tmp_path / "pictures" / f"{name}.png", Image(np.ascontiguousarray(pixels[:height, :width])))
    for quick, expected in ((True, ("b", "d")), (False, ("a", "b", "c", "d"))):
        (study,) = settings.open_studies(
            tmp_path / "report", [root / "tiny.npz"], tmp_path / "pictures", quick, ("direct",), 0
        )
        assert study.settings.pictures == expected


def test_networks_are_the_real_one_and_its_control(tmp_path):
    """A deep network is measured in less detail, so that a study ends the same day."""
    deep, control = settings.open_studies(tmp_path, [], None, True, None, 0)
    assert [part.settings.weights for part in (deep, control)] == ["realesrgan-x4plus", "psnr-small"]
    assert (deep.extent, control.extent) == (extent.QUICK_DEEP, extent.QUICK)
    assert [extent.extent_of(part.net, quick=False) for part in (deep, control)] == [extent.DEEP, extent.FULL]
    assert deep.folder == tmp_path / "realesrgan-x4plus"
    assert [each.name for each in deep.techniques if each.factors == "bundled"] == [
        "svd bundled",
        "svd bundled winograd",
    ]
    assert not {each.name for each in deep.techniques} & set(extent.QUICK_DEEP.left_out)
    assert not [each for each in control.techniques if each.factors == "bundled"]


def test_how_much_is_measured_is_part_of_a_study(root, tmp_path, monkeypatch):
    """A step of another size must not stand beside others; how long to fine-tune joins a study and leaves it."""
    before = opened(root, tmp_path).fingerprint
    monkeypatch.setattr(extent, "QUICK", replace(extent.QUICK, minutes=3, photographs=7))
    assert opened(root, tmp_path).fingerprint == before
    monkeypatch.setattr(extent, "QUICK", replace(extent.QUICK, side=40))
    assert opened(root, tmp_path).fingerprint != before


def test_a_file_in_the_place_of_a_networks_folder_is_one_sentence(root, tmp_path, only_sentence):
    (tmp_path / "tiny").write_text("mine")
    assert main(["study", "-o", str(tmp_path), "--weights", str(root / "tiny.npz"), "--quick"]) == 2
    assert "tiny: cannot be made a folder: File exists" in only_sentence()


def test_two_networks_of_one_name_are_refused(root, tmp_path, only_sentence):
    """They would share a folder."""
    (tmp_path / "more").mkdir()
    tiny_network().save(tmp_path / "more" / "tiny.npz")
    both = map(str, (root / "tiny.npz", tmp_path / "more" / "tiny.npz"))
    assert main(["study", "-o", str(tmp_path / "report"), "--weights", *both]) == 2
    assert "more/tiny.npz: another network of the study is called tiny, too: rename one" in only_sentence()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--methods", "fft"], "method 'fft': expected some of direct, im2col, kn2row, winograd, svd, cp"),
        (["--weights", "missing.npz"], "missing.npz"),
        (["--data", "missing"], "missing: cannot be listed"),
    ],
)
def test_bad_input(tmp_path, only_sentence, more, sentence):
    assert main(["study", "-o", str(tmp_path / "report"), *more]) == 2
    assert sentence in only_sentence()


def test_pictures_that_say_nothing_are_refused(root, tmp_path, only_sentence):
    """PSNR is infinite on a plain one; and factors are not to be measured on the pictures that they are fitted on."""
    (tmp_path / "plain").mkdir()
    write_image(tmp_path / "plain" / "sky.png", Image(np.full((32, 32, 3), 0.5, np.float32)))
    for data, sentence in (
        (tmp_path / "plain", "plain: sky is of one colour, which has no PSNR"),
        (CALIBRATION, f"{CALIBRATION}: citrus is one of the pictures that factors are fitted on"),
    ):
        assert main(["study", "-o", str(tmp_path / "report"), "--data", str(data), "--quick"]) == 2
        assert sentence in only_sentence()


def test_a_compressed_network_is_refused(tmp_path, only_sentence):
    small = lsr.compress(tiny_network(), "svd", rank=2, images=())
    small.save(tmp_path / "small.npz")
    assert main(["study", "-o", str(tmp_path), "--weights", str(tmp_path / "small.npz")]) == 2
    assert "small.npz: is compressed already" in only_sentence()
