"""Names of tensors: the wrapper and the prefix that training programs add, and the naming schemes of the layers.

`SCHEMES` has a row for each naming scheme, the last being the one to which all the others are translated; to support
another one, add a row before it.
Sources: the first `architecture.py` of xinntao/ESRGAN (an `nn.Sequential`, whose upsampling and activation modules are
counted too), the `RRDBNet_arch.py` that replaced it, and `basicsr/archs/rrdbnet_arch.py` of BasicSR.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lowrank_sr.checkpoints.tensors import Tensor
from lowrank_sr.errors import InputError

# The keys that a state dict may be wrapped in, best first: a GAN is published with the moving average of its weights.
WRAPPERS = ("params_ema", "params", "state_dict", "model")
_DATA_PARALLEL_PREFIX = "module."

_DENSE_BLOCKS = 3  # in an RRDB
_CONVOLUTIONS = 5  # in a dense block


@dataclass(frozen=True)
class Scheme:
    """The layers of one naming scheme; `tails[n]` lists those after the trunk in a network with n upsampling steps."""

    name: str
    conv_first: str
    conv: str
    trunk_conv: str
    tails: tuple[str, ...]

    def keys(self, num_block: int, num_upsample: int) -> Iterator[str]:
        """Yield the keys of a network's state dict, in the order in which its layers are computed."""
        for layer in self._layers(num_block, num_upsample):
            yield f"{layer}.weight"
            yield f"{layer}.bias"

    def _layers(self, num_block: int, num_upsample: int) -> Iterator[str]:
        yield self.conv_first
        for block in range(num_block):
            for rdb in range(1, _DENSE_BLOCKS + 1):
                for conv in range(1, _CONVOLUTIONS + 1):
                    yield self.conv.format(block=block, rdb=rdb, conv=conv)
        yield self.trunk_conv.format(num_block=num_block)
        yield from self.tails[num_upsample].split()


SCHEMES = (
    Scheme(
        "ESRGAN (old)",
        conv_first="model.0",
        conv="model.1.sub.{block}.RDB{rdb}.conv{conv}.0",
        trunk_conv="model.1.sub.{num_block}",
        tails=(
            "model.2 model.4",
            "model.3 model.5 model.7",
            "model.3 model.6 model.8 model.10",
            "model.3 model.6 model.9 model.11 model.13",
        ),
    ),
    Scheme(
        "Real-ESRGAN",
        conv_first="conv_first",
        conv="body.{block}.rdb{rdb}.conv{conv}",
        trunk_conv="conv_body",
        tails=(
            "conv_hr conv_last",
            "conv_up1 conv_hr conv_last",
            "conv_up1 conv_up2 conv_hr conv_last",
            "conv_up1 conv_up2 conv_up3 conv_hr conv_last",
        ),
    ),
    Scheme(
        "ESRGAN release",
        conv_first="conv_first",
        conv="RRDB_trunk.{block}.RDB{rdb}.conv{conv}",
        trunk_conv="trunk_conv",
        tails=(
            "HRconv conv_last",
            "upconv1 HRconv conv_last",
            "upconv1 upconv2 HRconv conv_last",
            "upconv1 upconv2 upconv3 HRconv conv_last",
        ),
    ),
)
CANONICAL = SCHEMES[-1]

# Layers that only another network has, and what that network is called.
_OTHER_NETWORKS = {
    r"model\.1\.sub\.\d+\.res\.": "an SRResNet",
    r"recon_trunk\.\d+\.": "an SRResNet",
    r"body\.\d+\.conv1\.": "an SRResNet or EDSR",
    r"body\.\d+\.(weight|bias)$": "a compact Real-ESRGAN (SRVGGNet)",
    r"layers\.\d+\.residual_group\.": "a SwinIR",
    r"(first_stage_model\.)?encoder\.(down|mid|down_blocks|mid_block)\.": "a variational autoencoder",
    r"(model\.diffusion_model\.)?(input|down)_blocks\.\d+\.": "a diffusion model",
    r"features\.\d+\.": "a discriminator or classifier",
}


def unwrap(saved: object) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a state dict by name, without DataParallel's prefix, and the key of its wrapper.

    The key is "" where there is no wrapper.

    Raises InputError, saying what is there instead, where `saved` holds no state dict.
    """
    if not isinstance(saved, dict):
        raise InputError(f"holds a {type(saved).__name__} where a state dict was expected")
    wrapper = next((key for key in WRAPPERS if isinstance(saved.get(key), dict)), "")
    entries = saved[wrapper] if wrapper else saved
    tensors = {key: value for key, value in entries.items() if type(key) is str and type(value) is Tensor}
    if not tensors:
        keys = ", ".join(f"{key[:50]!a}" if type(key) is str else str(key) for key in list(entries)[:4])
        raise InputError(f"holds no tensors where a state dict would, but the keys {keys or '(none)'}")
    if all(name.startswith(_DATA_PARALLEL_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_DATA_PARALLEL_PREFIX): tensor for name, tensor in tensors.items()}
    return tensors, wrapper


def rename(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the name of the scheme of `state`, and its tensors under the ESRGAN release's names.

    The tensors come in the order in which the layers are computed.

    Raises InputError, naming the first key that is missing or does not belong, or the network where it is another one.
    """
    for scheme in SCHEMES:
        conv = scheme.conv.replace(".", r"\.").format(block="([0-9]+)", rdb="[0-9]", conv="[0-9]")
        matches = map(re.compile(rf"{conv}\.(?:weight|bias)").fullmatch, state)
        # The blocks are counted, and no number is taken from a name: a name may say a trillion.
        num_block = len({match[1] for match in matches if match})
        if num_block:
            return scheme.name, _rename_from(scheme, num_block, state)
    raise InputError(f"is not an ESRGAN generator but {_describe(state)}")


def _rename_from(scheme: Scheme, num_block: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if any(".conv1x1." in key for key in state):
        raise InputError("is an ESRGAN+ generator, and the conv1x1 in its dense blocks is not supported")
    num_upsample = _count_upsampling(scheme, state)
    network = f"which {num_block} blocks and {num_upsample} upsampling steps in {scheme.name} naming"
    old_keys = scheme.keys(num_block, num_upsample)
    new_keys = CANONICAL.keys(num_block, num_upsample)
    renamed = {}
    for old_key, new_key in zip(old_keys, new_keys, strict=True):
        if old_key not in state:
            raise InputError(f"lacks {old_key}, {network} have")
        renamed[new_key] = state[old_key]
    if len(renamed) < len(state):
        expected = set(scheme.keys(num_block, num_upsample))
        unexpected = next(key for key in state if key not in expected)
        raise InputError(f"has {unexpected[:100]!a}, {network} do not have")
    return renamed


def _count_upsampling(scheme: Scheme, state: Mapping[str, Tensor]) -> int:
    """Return the number of upsampling steps whose tail differs in the fewest layers from that of `state`."""
    tails = [set(tail.split()) for tail in scheme.tails]
    tail = {layer for layer in set.union(*tails) if f"{layer}.weight" in state}
    return min(range(len(tails)), key=lambda n: len(tails[n] ^ tail))


def _describe(state: Mapping[str, Tensor]) -> str:
    names = ", ".join(f"{name[:100]!a}" for name in list(state)[:3])
    contents = f"{len(state)} tensors that begin with {names}"
    for pattern, network in _OTHER_NETWORKS.items():
        if any(map(re.compile(pattern).match, state)):
            return f"looks like {network}: {contents}"
    return contents
