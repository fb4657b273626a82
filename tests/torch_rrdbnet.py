"""ESRGAN's generator in PyTorch, after the authors' RRDBNet_arch.py, for any size and scale."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class ResidualDenseBlock(nn.Module):
    def __init__(self, num_feat, num_grow_ch):
        super().__init__()
        for k in range(1, 6):
            out = num_feat if k == 5 else num_grow_ch
            setattr(self, f"conv{k}", nn.Conv2d(num_feat + (k - 1) * num_grow_ch, out, 3, 1, 1))

    def forward(self, x):
        grown = [x]
        for k in range(1, 5):
            grown.append(F.leaky_relu(getattr(self, f"conv{k}")(torch.cat(grown, 1)), 0.2))
        return self.conv5(torch.cat(grown, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, num_feat, num_grow_ch):
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = (ResidualDenseBlock(num_feat, num_grow_ch) for _ in range(3))

    def forward(self, x):
        return self.RDB3(self.RDB2(self.RDB1(x))) * 0.2 + x


class TorchRRDBNet(nn.Module):
    def __init__(self, design):
        super().__init__()
        self.design = design
        num_feat = design.num_feat
        self.conv_first = nn.Conv2d(design.in_channels, num_feat, 3, 1, 1)
        self.RRDB_trunk = nn.Sequential(*[RRDB(num_feat, design.num_grow_ch) for _ in range(design.num_block)])
        for name in ("trunk_conv", *self.upconvs(), "HRconv"):
            setattr(self, name, nn.Conv2d(num_feat, num_feat, 3, 1, 1))
        self.conv_last = nn.Conv2d(num_feat, design.out_channels, 3, 1, 1)

    def upconvs(self):
        return [f"upconv{i}" for i in range(1, self.design.upsamplings + 1)]

    def forward(self, x):
        if self.design.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.design.unshuffle)
        features = self.conv_first(x)
        features = features + self.trunk_conv(self.RRDB_trunk(features))
        for name in self.upconvs():
            features = F.leaky_relu(getattr(self, name)(F.interpolate(features, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.HRconv(features), 0.2))


def like(net):
    """The PyTorch network with the weights of a lowrank_sr.RRDBNet, kernels of factorised layers multiplied out."""
    twin = TorchRRDBNet(net.architecture).eval()
    state = {}
    for name, layer in net.layers.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = (
            torch.from_numpy(layer.kernel()),
            torch.from_numpy(layer.bias),
        )
    twin.load_state_dict(state)
    return twin


def run(twin, image):
    """(H, W, C) -> (scale H, scale W, C) in the precision of the network's parameters."""
    dtype = next(twin.parameters()).dtype
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None])).to(dtype)
        return twin(batch)[0].numpy().transpose(1, 2, 0)
