"""Files that are no ESRGAN generator, and generators with a tensor that is missing, unexpected or misshapen."""

import numpy as np
import pytest
from checkpoint_bytes import arrays, dumps, safetensors_bytes, state, tensor, valid, zip_bytes

import lowrank_sr as lsr
from lowrank_sr.checkpoints import read_checkpoint
from lowrank_sr.errors import InputError


def refusal(tmp_path, content: bytes) -> str:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_checkpoint(path)
    return str(refused.value)


def named(*names: str) -> bytes:
    """Return a checkpoint with a small tensor under each of these names."""
    return safetensors_bytes({name: np.zeros((4, 4, 3, 3), np.float32) for name in names})


def old(name: str) -> str:
    """Return the name in ESRGAN's first scheme, of a network of one block."""
    tail = {"trunk_conv": "model.1.sub.1", "upconv1": "model.3", "upconv2": "model.6", "HRconv": "model.8"}
    tail |= {"conv_first": "model.0", "conv_last": "model.10"}
    layer, kind = name.rsplit(".", 1)
    return f"{tail.get(layer, layer.replace('RRDB_trunk', 'model.1.sub') + '.0')}.{kind}"


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (["model.0.weight", "model.1.sub.0.res.0.weight", "model.1.sub.16.weight"], "SRResNet"),
        (["conv_first.weight", "recon_trunk.0.conv1.weight", "upconv1.weight"], "SRResNet"),
        (["conv_first.weight", "body.0.conv1.weight", "upconv1.weight"], "SRResNet"),
        (["body.0.weight", "body.0.bias", "body.1.weight"], "SRVGGNet"),
        (["layers.0.residual_group.blocks.0.norm1.weight"], "SwinIR"),
        (["encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight"], "variational autoencoder"),
        (["first_stage_model.encoder.mid.attn_1.k.weight"], "variational autoencoder"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "diffusion model"),
        (["features.0.weight", "classifier.0.weight"], "discriminator"),
        (["fc.weight"], "1 tensors"),
    ],
)
def test_another_network_is_described(tmp_path, names, network):
    message = refusal(tmp_path, named(*names))
    assert "is not an ESRGAN generator" in message
    assert network in message
    assert f"{len(names)} tensors that begin with '{names[0]}'" in message


def test_real_srresnet(tmp_path):
    torch = pytest.importorskip("torch")
    block = torch.nn.ModuleDict({"conv1": torch.nn.Conv2d(8, 8, 3), "bn1": torch.nn.BatchNorm2d(8)})
    net = torch.nn.ModuleDict({"conv_first": torch.nn.Conv2d(3, 8, 3), "recon_trunk": torch.nn.ModuleList([block])})
    for zipped in (True, False):
        torch.save(net.state_dict(), tmp_path / "net", _use_new_zipfile_serialization=zipped)
        assert "looks like an SRResNet: 9 tensors" in refusal(tmp_path, (tmp_path / "net").read_bytes())


def test_pickled_module_is_refused_by_class(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save(torch.nn.Conv2d(3, 3, 3), tmp_path / "net", _use_new_zipfile_serialization=zipped)
        assert "torch.nn.modules.conv.Conv2d" in refusal(tmp_path, (tmp_path / "net").read_bytes())


@pytest.mark.parametrize("scheme", [str, old])
def test_esrgan_plus_is_refused_by_name(tmp_path, scheme):
    weights = {scheme(name): array for name, array in arrays().items()}
    plus = scheme("RRDB_trunk.0.RDB1.conv1.weight").replace("conv1.", "conv1x1.").replace(".0.weight", ".weight")
    weights[plus] = np.zeros((2, 2, 1, 1), np.float32)
    assert "ESRGAN+" in refusal(tmp_path, safetensors_bytes(weights))


@pytest.mark.parametrize("scheme", [str, old])
@pytest.mark.parametrize("name", [*[*arrays()][::5], "conv_last.bias"])
def test_missing_key_is_named(tmp_path, scheme, name):
    weights = {scheme(key): array for key, array in arrays().items() if key != name}
    message = refusal(tmp_path, safetensors_bytes(weights))
    assert f"lacks {scheme(name)}, " in message


@pytest.mark.parametrize("name", ["step", "RRDB_trunk.0.RDB4.conv1.weight", "conv_first.weight.extra", "upconv4.bias"])
def test_unexpected_key_is_named(tmp_path, name):
    weights = arrays() | {name: np.zeros(1, np.float32)}
    assert f"has '{name}', " in refusal(tmp_path, safetensors_bytes(weights))


def test_blocks_are_contiguous(tmp_path):
    weights = {name.replace("trunk.1.", "trunk.5."): array for name, array in arrays(num_block=3).items()}
    assert "lacks RRDB_trunk.1.RDB1.conv1.weight" in refusal(tmp_path, safetensors_bytes(weights))


@pytest.mark.parametrize("block", ["9" * 5000, "99999999999", "01"])
def test_block_number_is_not_believed(tmp_path, block):
    weights = {name.replace("trunk.0.", f"trunk.{block}."): array for name, array in arrays().items()}
    assert "lacks RRDB_trunk.0.RDB1.conv1.weight" in refusal(tmp_path, safetensors_bytes(weights))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv_first.weight", (2, 3, 3)),
        ("conv_first.weight", (2, 3, 3, 3, 1)),
        ("RRDB_trunk.0.RDB2.conv3.bias", (2, 1)),
        ("HRconv.bias", ()),
        ("HRconv.bias", (0,)),
        ("HRconv.weight", (2, 2, 3, 0)),
    ],
)
def test_wrong_number_of_sizes_and_sizes_of_0_are_named(tmp_path, name, shape):
    weights = arrays() | {name: np.zeros(shape, np.float32)}
    message = refusal(tmp_path, safetensors_bytes(weights))
    assert f"holds {name} of shape {shape}, where" in message


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("conv_first.bias", (3,), "conv_first.bias has shape (3,): expected (2,)"),
        ("conv_first.weight", (2, 3, 3, 5), "conv_first.weight has shape (2, 3, 3, 5): expected (2, 3, 3, 3)"),
        ("upconv2.weight", (8, 2, 3, 3), "upconv2.bias has shape (2,): expected (8,)"),
        ("conv_last.weight", (3, 3, 3, 3), "layer conv_last has (N, C, d) = (3, 3, 3): expected (3, 2, 3)"),
        ("HRconv.weight", (2, 2, 5, 5), "layer HRconv has (N, C, d) = (2, 2, 5): expected (2, 2, 3)"),
        (
            "RRDB_trunk.0.RDB2.conv3.weight",
            (2, 5, 3, 3),
            "layer RRDB_trunk.0.RDB2.conv3 has (N, C, d) = (2, 5, 3): expected (2, 6, 3)",
        ),
    ],
)
def test_shape_that_does_not_fit_the_others_is_refused_by_the_network(tmp_path, name, shape, reason):
    path = tmp_path / "model.pth"
    path.write_bytes(safetensors_bytes(arrays() | {name: np.zeros(shape, np.float32)}))
    assert read_checkpoint(path).arrays[name].shape == shape
    with pytest.raises(InputError) as refused:
        lsr.load(path)
    assert str(refused.value) == f"{path}: {reason}"


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_kernels_other_than_3_x_3_are_refused_by_the_network(tmp_path, size):
    weights = {name: np.zeros((*array.shape[:2], size, size), np.float32) if array.ndim == 4 else array
            for name, array in arrays().items()}  # fmt: skip
    path = tmp_path / "model.pth"
    path.write_bytes(safetensors_bytes(weights))
    with pytest.raises(InputError) as refused:
        lsr.load(path)
    assert str(refused.value) == f"{path}: layer conv_first has (N, C, d) = (2, 3, {size}): expected (2, 3, 3)"


def test_integer_weights_are_refused(tmp_path):
    weights = arrays()
    saved = state(weights) | {"HRconv.bias": tensor("HRconv.bias", (2,), kind="LongStorage")}
    records = {name: array.tobytes() for name, array in weights.items()} | {"HRconv.bias": bytes(16)}
    assert "holds HRconv.bias as int64" in refusal(tmp_path, zip_bytes(dumps(saved), records))


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        ([1, 2], "holds a list"),
        (None, "holds a NoneType"),
        (tensor("0", (1,)), "holds a Tensor"),
        ({}, "(none)"),
        ({"epoch": 3, "net": {}}, "'epoch', 'net'"),
        ({"state_dict": {0: 1}}, "the keys 'state_dict'"),
        ({0: 1}, "the keys 0"),
    ],
)
def test_something_else_than_a_state_dict(tmp_path, saved, reason):
    assert reason in refusal(tmp_path, zip_bytes(dumps(saved), {"0": bytes(4)}))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.pth: cannot be read: No such file"):
        read_checkpoint(tmp_path / "none.pth")


@pytest.mark.parametrize("file_format", ["zip", "legacy", "safetensors"])
def test_suffix_does_not_matter(tmp_path, file_format):
    path = tmp_path / "model.png"
    path.write_bytes(valid(file_format))
    for name, array in read_checkpoint(path).arrays.items():
        np.testing.assert_array_equal(array, arrays()[name])


def test_safetensors_whose_first_bytes_look_like_a_pickle(tmp_path):
    content = valid("safetensors")
    size = int.from_bytes(content[:8], "little")
    padding = -(size - 0x80) % 256
    padded = (size + padding).to_bytes(8, "little") + content[8 : 8 + size] + b" " * padding + content[8 + size :]
    assert padded[:1] == b"\x80"
    (tmp_path / "model").write_bytes(padded)
    assert list(read_checkpoint(tmp_path / "model").arrays) == list(arrays())
