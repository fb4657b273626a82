"""RRDBNet in PyTorch, its layers named in each way that checkpoints name them, to compare with."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lowrank_sr.checkpoints import read_checkpoint

_NAMES = {
    "ESRGAN release": {
        "trunk": "RRDB_trunk",
        "rdb": "RDB",
        "trunk_conv": "trunk_conv",
        "up": "upconv",
        "hr": "HRconv",
    },
    "Real-ESRGAN": {
        "trunk": "body",
        "rdb": "rdb",
        "trunk_conv": "conv_body",
        "up": "conv_up",
        "hr": "conv_hr",
    },
}
SCHEMES = ("ESRGAN (old)", *_NAMES)


def torch_network(
    scheme,
    *,
    num_upsample=2,
    unshuffle=1,
    num_feat=8,
    num_block=2,
    num_grow_ch=4,
    in_channels=3,
    out_channels=3,
):
    """Return an RRDBNet with PyTorch's random weights, of a fixed seed, its layers named as in `scheme`."""
    torch.manual_seed(0)
    kind = _Old if scheme == "ESRGAN (old)" else _Named
    names = _NAMES.get(scheme, _NAMES["ESRGAN release"])
    net = kind(names, num_upsample, num_feat, num_block, num_grow_ch, in_channels * unshuffle**2, out_channels)
    if unshuffle > 1:
        net.register_forward_pre_hook(lambda _, args: functional.pixel_unshuffle(args[0], unshuffle))
    return net.eval()


def canonical(net, **sizes):
    """Return the state dict of `net` under the release's names: all schemes register layers in one order."""
    names = torch_network("ESRGAN release", **sizes).state_dict()
    return dict(zip(names, net.state_dict().values(), strict=True))


def _conv(in_channels, out_channels):
    return nn.Conv2d(in_channels, out_channels, 3, 1, 1)


def _act(x):
    return functional.leaky_relu(x, 0.2)


class _DenseBlock(nn.Module):
    def __init__(self, num_feat, num_grow_ch, wrap):
        super().__init__()
        for k in range(1, 6):
            outputs = num_grow_ch if k < 5 else num_feat
            self.add_module(f"conv{k}", wrap(_conv(num_feat + (k - 1) * num_grow_ch, outputs)))

    def forward(self, x):
        features = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = torch.cat((features, _act(conv(features))), 1)
        return self.conv5(features) * 0.2 + x


class _RRDB(nn.Module):
    def __init__(self, num_feat, num_grow_ch, rdb="RDB", wrap=nn.Identity):
        super().__init__()
        for k in range(1, 4):
            self.add_module(f"{rdb}{k}", _DenseBlock(num_feat, num_grow_ch, wrap))

    def forward(self, x):
        out = x
        for block in self.children():
            out = block(out)
        return out * 0.2 + x


class _Named(nn.Module):
    """The layers as attributes: ESRGAN's release, and BasicSR."""

    def __init__(self, names, num_upsample, num_feat, num_block, num_grow_ch, in_channels, out_channels):
        super().__init__()
        blocks = [_RRDB(num_feat, num_grow_ch, names["rdb"], lambda conv: conv) for _ in range(num_block)]
        self.layers = ["conv_first", names["trunk"], names["trunk_conv"]]
        self.layers += [f"{names['up']}{k + 1}" for k in range(num_upsample)] + [names["hr"], "conv_last"]
        modules = [_conv(in_channels, num_feat), nn.Sequential(*blocks)]
        modules += [_conv(num_feat, num_feat) for _ in range(num_upsample + 2)]
        modules += [_conv(num_feat, out_channels)]
        for name, module in zip(self.layers, modules, strict=True):
            self.add_module(name, module)

    def forward(self, x):
        first, trunk, trunk_conv, *ups, hr, last = (getattr(self, name) for name in self.layers)
        x = first(x)
        x = x + trunk_conv(trunk(x))
        for up in ups:
            x = _act(up(functional.interpolate(x, scale_factor=2)))
        return last(_act(hr(x)))


class _Shortcut(nn.Module):
    def __init__(self, sub):
        super().__init__()
        self.sub = sub

    def forward(self, x):
        return x + self.sub(x)


class _Old(nn.Module):
    """One flat `nn.Sequential`: ESRGAN's first code."""

    def __init__(self, _, num_upsample, num_feat, num_block, num_grow_ch, in_channels, out_channels):
        super().__init__()
        blocks = [_RRDB(num_feat, num_grow_ch, wrap=nn.Sequential) for _ in range(num_block)]
        trunk = _Shortcut(nn.Sequential(*blocks, _conv(num_feat, num_feat)))
        tail = []
        for _ in range(num_upsample):
            tail += [nn.Upsample(scale_factor=2), _conv(num_feat, num_feat), nn.LeakyReLU(0.2)]
        tail += [_conv(num_feat, num_feat), nn.LeakyReLU(0.2), _conv(num_feat, out_channels)]
        self.model = nn.Sequential(_conv(in_channels, num_feat), trunk, *tail)

    def forward(self, x):
        return self.model(x)


def save(saved, path, file_format):
    if file_format == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(saved, path)
    else:
        torch.save(saved, path, _use_new_zipfile_serialization=file_format == "zip")
    return path


def assert_reads(path, expected, **facts):
    """Assert that the checkpoint holds these tensors under the release's names, and these facts about it."""
    checkpoint = read_checkpoint(path)
    assert list(checkpoint.arrays) == list(expected)
    for name, array in checkpoint.arrays.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, expected[name].float().numpy(), strict=True)
    assert {fact: getattr(checkpoint, fact) for fact in facts} == facts
