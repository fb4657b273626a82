"""From a checkpoint that PyTorch wrote to the picture: `convert`, and checkpoints given as weights."""

import json

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main

torch = pytest.importorskip("torch")

from checkpoint_networks import SCHEMES, save, torch_network  # noqa: E402


def assert_same_pictures(net, twin, size=(8, 12)):
    """Within 2e-5 of the output's range of PyTorch's own, in float64 on the weights that the checkpoint holds."""
    image = np.random.default_rng(0).random((*size, net.architecture.image_channels), dtype=np.float32)
    with torch.inference_mode():
        batch = torch.from_numpy(image.transpose(2, 0, 1)[None]).double()
        expected = twin.double()(batch)[0].numpy().transpose(1, 2, 0)
    actual = net(image)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 2e-5 * np.ptp(expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("file_format", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_convert_gives_pytorchs_pictures(tmp_path, scheme, file_format, dtype):
    twin = torch_network(scheme).to(getattr(torch, dtype))
    source = save(twin.state_dict(), tmp_path / "model.pth", file_format)
    target = tmp_path / "model.npz"
    assert main(["convert", str(source), str(target)]) == 0
    assert_same_pictures(lsr.load(target, method="direct"), twin)


@pytest.mark.slow
def test_23_blocks(tmp_path):
    twin = torch_network("Real-ESRGAN", num_block=23, num_feat=64, num_grow_ch=32)
    assert_same_pictures(lsr.load(save(twin.state_dict(), tmp_path / "model.pth", "zip"), method="direct"), twin)


@pytest.mark.parametrize(
    ("num_upsample", "unshuffle"), [(0, 1), (1, 1), (3, 1), (4, 1), (2, 2), (2, 4), (1, 2), (3, 2)]
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_scales_and_pixel_unshuffle(tmp_path, scheme, num_upsample, unshuffle):
    twin = torch_network(scheme, num_upsample=num_upsample, unshuffle=unshuffle)
    net = lsr.load(save(twin.state_dict(), tmp_path / "model.pth", "zip"), method="direct")
    assert net.scale == 2**num_upsample // unshuffle
    assert_same_pictures(net, twin)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_grey_and_four_channels(tmp_path, scheme, unshuffle, channels):
    twin = torch_network(scheme, in_channels=channels, out_channels=channels, unshuffle=unshuffle)
    net = lsr.load(save(twin.state_dict(), tmp_path / "model.pth", "zip"), method="direct")
    assert (net.architecture.image_channels, net.architecture.out_channels) == (channels, channels)
    assert_same_pictures(net, twin)


def test_a_checkpoint_is_as_good_as_weights(tmp_path, capsys):
    twin = torch_network("ESRGAN (old)", num_feat=8, num_block=1, num_grow_ch=4)
    source = save(twin.state_dict(), tmp_path / "model.safetensors", "safetensors")
    assert main(["info", str(source), "--method", "direct", "--json", str(tmp_path / "info.json")]) == 0
    assert "model.safetensors: ESRGAN (old) names, float32" in capsys.readouterr().out
    assert json.loads((tmp_path / "info.json").read_text())["scale"] == 4
    assert main(["upscale", str(lsr.resources.IMAGES / "none.png"), "--weights", str(source)]) == 2


def test_float16_on_disk(tmp_path, capsys):
    twin = torch_network("ESRGAN release")
    source, target = save(twin.state_dict(), tmp_path / "model.pth", "zip"), tmp_path / "model.npz"
    assert main(["convert", str(source), str(target), "--dtype", "float16"]) == 0
    with np.load(target) as stored:
        assert stored["HRconv.weight"].dtype == np.float16

    with torch.no_grad():
        twin.HRconv.weight[0, 0, 0, 0] = 1e6
    save(twin.state_dict(), source, "zip")
    assert main(["convert", str(source), str(target), "--dtype", "float16"]) == 2
    assert "HRconv.weight has values beyond the range of float16" in capsys.readouterr().err
    assert main(["convert", str(source), str(target)]) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path, capsys, value):
    twin = torch_network("ESRGAN release")
    with torch.no_grad():
        twin.trunk_conv.weight[0, 0, 0, 0] = value
    source = save(twin.state_dict(), tmp_path / "model.pth", "zip")
    assert main(["convert", str(source), str(tmp_path / "model.npz")]) == 2
    assert f"{source}: trunk_conv.weight contains NaN or infinity" in capsys.readouterr().err
    assert not (tmp_path / "model.npz").exists()


def test_another_networks_checkpoint(tmp_path, capsys):
    source = save({"encoder.conv_in.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "vae.pth", "zip")
    assert main(["convert", str(source), str(tmp_path / "model.npz")]) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1
    assert f"{source}: is not an ESRGAN generator" in stderr
