"""What the shapes of an RRDBNet's tensors must be to each other, and the scale that they tell."""

from collections.abc import Mapping

from lowrank_sr.checkpoints.tensors import Tensor
from lowrank_sr.errors import InputError


def require_shapes(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InputError, naming the tensor at fault, unless `shapes`, by canonical name, fit together."""
    for name, shape in shapes.items():
        dimensions = 4 if name.endswith(".weight") else 1
        if len(shape) != dimensions or 0 in shape:
            raise InputError(f"holds {name} of shape {shape}, where {dimensions} sizes above 0 were expected")
    size = shapes["conv_first.weight"][2]
    if size % 2 == 0:
        raise InputError(f"holds convolutions of the even size {size}, where an odd one was expected")
    for name, shape in shapes.items():
        layer, kind = name.rsplit(".", 1)
        outputs, inputs = _channels(layer, shapes)
        expected = (outputs, inputs, size, size) if kind == "weight" else (outputs,)
        if shape != expected:
            raise InputError(f"holds {name} of shape {shape}, where {expected} was expected")


def _channels(layer: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    num_feat = shapes["conv_first.weight"][0]
    num_grow_ch = shapes["RRDB_trunk.0.RDB1.conv1.weight"][0]
    if layer == "conv_first":
        return num_feat, shapes["conv_first.weight"][1]
    if layer == "conv_last":
        return shapes["conv_last.weight"][0], num_feat
    if layer.startswith("RRDB_trunk."):
        conv = int(layer[-1])
        return num_grow_ch if conv < 5 else num_feat, num_feat + (conv - 1) * num_grow_ch
    return num_feat, num_feat


def read_scale(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return output size / input size, and the factor by which the input is pixel-unshuffled (1: not).

    Real-ESRGAN makes its x2 and x1 networks of the x4 one, by moving 2x2 or 4x4 neighbouring pixels into
    channels; so that is what an input of 4 or 16 times the output's channels means, here as in spandrel.
    """
    inner_scale = 2 ** sum(name.startswith("upconv") and name.endswith(".weight") for name in tensors)
    in_channels, out_channels = tensors["conv_first.weight"].shape[1], tensors["conv_last.weight"].shape[0]
    unshuffle = next((u for u in (2, 4) if in_channels == u * u * out_channels and u <= inner_scale), 1)
    return inner_scale // unshuffle, unshuffle
