"""Checkpoints that PyTorch wrote, read without it: each naming scheme, format and dtype, equal to the bit."""

import subprocess
import sys
import zipfile

import pytest

torch = pytest.importorskip("torch")

from checkpoint_networks import SCHEMES, assert_reads, canonical, save, torch_network  # noqa: E402


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("file_format", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_format_and_dtype(tmp_path, scheme, file_format, dtype):
    net = torch_network(scheme).to(getattr(torch, dtype))
    path = save(net.state_dict(), tmp_path / "model", file_format)
    assert_reads(path, canonical(net), scheme=scheme, dtype=dtype, wrapper="")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_twenty_three_blocks(tmp_path, scheme):
    net = torch_network(scheme, num_block=23)
    assert_reads(save(net.state_dict(), tmp_path / "model", "legacy"), canonical(net, num_block=23))


@pytest.mark.parametrize("num_upsample", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_upsampling_steps(tmp_path, scheme, num_upsample):
    net = torch_network(scheme, num_upsample=num_upsample)
    assert_reads(save(net.state_dict(), tmp_path / "model", "zip"), canonical(net, num_upsample=num_upsample))


@pytest.mark.parametrize(
    ("in_channels", "out_channels"), [(1, 1), (4, 4), (1, 3), (4, 1), (12, 12), (12, 3), (48, 3), (27, 3)]
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_channel_counts(tmp_path, scheme, in_channels, out_channels):
    sizes = {"in_channels": in_channels, "out_channels": out_channels}
    net = torch_network(scheme, **sizes)
    assert_reads(save(net.state_dict(), tmp_path / "model", "zip"), canonical(net, **sizes))


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_views_of_shared_storages(tmp_path, file_format):
    """Every tensor is a transposed view, at its own offset, of the one storage that they share."""
    net = torch_network("ESRGAN release")
    state = net.state_dict()
    pool = torch.cat([torch.zeros(5)] + [tensor.transpose(0, -1).reshape(-1) for tensor in state.values()])
    saved, position = {}, 5
    for name, tensor in state.items():
        flat = pool[position : position + tensor.numel()]
        saved[name] = flat.reshape(tensor.transpose(0, -1).shape).transpose(0, -1)
        position += tensor.numel()
    assert not saved["conv_first.weight"].is_contiguous()
    assert_reads(save(saved, tmp_path / "model", file_format), state)


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_expanded_tensor(tmp_path, file_format):
    state = torch_network("ESRGAN release").state_dict()
    state["conv_first.weight"] = torch.tensor(0.25).expand(8, 3, 3, 3)
    assert_reads(save(state, tmp_path / "model", file_format), state)


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_parameters(tmp_path, file_format):
    net = torch_network("ESRGAN release")
    path = save(dict(net.named_parameters()), tmp_path / "model", file_format)
    assert_reads(path, {name: parameter.detach() for name, parameter in net.named_parameters()})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_pickle_protocols(tmp_path, file_format, protocol):
    net = torch_network("Real-ESRGAN")
    path = tmp_path / "model"
    zipped = file_format == "zip"
    torch.save(net.state_dict(), path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert_reads(path, canonical(net))


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_other_things_in_the_file_are_read_past(tmp_path, file_format):
    net = torch_network("Real-ESRGAN")
    others = {
        "shape": net.conv_first.weight.shape,
        "dtype": torch.bfloat16,
        "scalar": torch.tensor(3.0),
        "counter": torch.tensor([1, 2, 3]),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
        "config": {"name": "net_g", "betas": (0.9, 0.99), "note": None},
    }
    if file_format == "zip":
        others["unsigned"] = torch.ones(4, dtype=torch.uint16)  # an UntypedStorage, rebuilt by v3
    path = save({"params": net.state_dict(), **others}, tmp_path / "model", file_format)
    assert_reads(path, canonical(net), wrapper="params", dtype="float32")


def test_mixed_dtypes_are_named(tmp_path):
    state = torch_network("ESRGAN release").state_dict()
    state["conv_last.bias"] = state["conv_last.bias"].bfloat16()
    assert_reads(save(state, tmp_path / "model", "zip"), state, dtype="bfloat16 and float32")


def test_file_zipped_again_with_compression(tmp_path):
    net = torch_network("ESRGAN release")
    path = save(net.state_dict(), tmp_path / "model.pth", "zip")
    again = tmp_path / "again.pth"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert_reads(again, canonical(net))


def test_file_without_checksums(tmp_path):
    net = torch_network("ESRGAN release")
    checksums = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = save(net.state_dict(), tmp_path / "model.pth", "zip")
    finally:
        torch.serialization.set_crc32_options(checksums)
    assert_reads(path, canonical(net))


def test_package_does_not_import_torch():
    code = "import sys, lowrank_sr.checkpoints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
