"""Pictures of 1 to 4 channels through networks of 1, 3 and 4."""

from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
from test_rrdbnet import random_net

import lowrank_sr as lsr
from lowrank_sr import flops
from lowrank_sr.cli import main
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.channels import check_image, passes

DESIGN = Architecture(num_feat=4, num_block=1, num_grow_ch=2, upsamplings=1, in_channels=3, out_channels=3)
NETS = {n: random_net(replace(DESIGN, in_channels=n, out_channels=n)).with_method("direct") for n in (1, 3, 4)}
RNG = np.random.default_rng(0)


def write(path, *shape):
    iio.imwrite(path, RNG.integers(0, 256, shape, np.uint8).squeeze())
    return str(path)


def expected(taken, image):
    """What each network makes of a picture, written out."""
    net = NETS[taken]
    channels = [image[:, :, i] for i in range(image.shape[2])]
    if taken == 1:
        return np.stack([net(channel[:, :, None])[:, :, 0] for channel in channels], axis=2)
    if taken == 3:
        results = []
        for count in {1: [1], 2: [1, 1], 3: [3], 4: [3, 1]}[len(channels)]:
            taken, channels = channels[:count], channels[count:]
            made = net(np.stack(taken * (3 // count), axis=2))
            results.append(made if count == 3 else made.mean(axis=2, keepdims=True))
        return np.concatenate(results, axis=2)
    opaque = np.ones(image.shape[:2], np.float32)
    colours = channels[:3] if len(channels) > 2 else channels[:1] * 3
    alpha = channels[-1] if len(channels) in (2, 4) else opaque
    made = net(np.stack([*colours, alpha], axis=2))
    colour = made[:, :, :3] if len(channels) > 2 else made[:, :, :3].mean(axis=2, keepdims=True)
    return np.concatenate([colour, made[:, :, 3:]], axis=2) if len(channels) in (2, 4) else colour


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("taken", [1, 3, 4])
def test_every_picture_through_every_network(taken, channels):
    image = RNG.random((7, 9, channels), dtype=np.float32)
    done = []
    np.testing.assert_array_equal(lsr.enlarge(NETS[taken], image, progress=done.append), expected(taken, image))
    twice = flops.per_pixel(NETS[taken].layers["conv_first"]) / NETS[taken].flops_per_pixel
    assert sum(done) == pytest.approx(1 + twice)


@pytest.mark.parametrize("taken", [1, 3, 4])
def test_picture_files_keep_their_channels(tmp_path, taken):
    NETS[taken].save(tmp_path / "net.npz")
    for channels in (1, 3, 4):
        source = write(tmp_path / f"{channels}.png", 6, 5, channels)
        assert main(["upscale", source, "--weights", str(tmp_path / "net.npz"), "--method", "direct"]) == 0
        stored = iio.imread(source).reshape(6, 5, channels)
        written = iio.imread(tmp_path / f"{channels}_x2.png").reshape(12, 10, channels)
        np.testing.assert_array_equal(written, lsr.enlarge(NETS[taken], stored))


def test_evaluate_takes_grey_networks(tmp_path):
    NETS[1].save(tmp_path / "net.npz")
    write(tmp_path / "a.png", 32, 24, 3)
    assert main(["evaluate", str(tmp_path / "net.npz"), "--data", str(tmp_path), "--method", "direct"]) == 0


def test_networks_of_other_things_than_pictures(tmp_path, capsys):
    design = replace(DESIGN, out_channels=1)
    with pytest.raises(lsr.InputError, match="takes 3 channels and gives 1: expected 1, 3 or 4"):
        check_image(3, design)
    with pytest.raises(lsr.InputError, match="image of 5 channels: the network takes 3"):
        check_image(5, DESIGN)
    own = replace(DESIGN, in_channels=5, out_channels=5)  # its own kind of array
    check_image(5, own)
    assert len(passes(5, own)) == 1
    random_net(design).save(tmp_path / "net.npz")
    assert main(["upscale", write(tmp_path / "a.png", 6, 5, 3), "--weights", str(tmp_path / "net.npz")]) == 2
    assert "takes 3 channels and gives 1" in capsys.readouterr().err


def test_compress_and_finetune_say_that_they_need_rgb(tmp_path):
    with pytest.raises(lsr.InputError, match="the network takes 1 channels, calibration pictures are RGB"):
        lsr.compress(NETS[1], rank=1)
    assert lsr.compress(NETS[1], rank=1, images=()).layers["trunk_conv"].rank == 1
    with pytest.raises(lsr.InputError, match="expected RGB"):
        lsr.finetune(NETS[1], [RNG.random((200, 200, 3))], steps=1)
