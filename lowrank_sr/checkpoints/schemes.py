"""Names of tensors: the naming schemes of the layers, and the prefix that training programs put before them.

`SCHEMES` has a row for each naming scheme, the last being the one to which all the others are translated; to support
another one, add a row before it. A prefix is whatever precedes a scheme's names, up to a dot: `module.`, `_orig_mod.`,
`netG.`; where there is one, keys without it are another network's, and left alone.
Sources: the first `architecture.py` of xinntao/ESRGAN (an `nn.Sequential`, whose upsampling and activation modules are
counted too), the `RRDBNet_arch.py` that replaced it, and `basicsr/archs/rrdbnet_arch.py` of BasicSR.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lowrank_sr.checkpoints.tensors import Tensor
from lowrank_sr.errors import InputError

_DENSE_BLOCKS = 3  # in an RRDB
_CONVOLUTIONS = 5  # in a dense block
_MAX_UPSAMPLINGS = 4  # a scale of 16


@dataclass(frozen=True)
class Scheme:
    """The layers of one naming scheme; `tail(n)` lists those after the trunk in a network with n upsampling steps."""

    name: str
    conv_first: str
    conv: str
    trunk_conv: str
    tail: Callable[[int], list[str]]

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
        yield from self.tail(num_upsample)

    def networks(self, keys: Iterable[str]) -> dict[str, int]:
        """Return how many blocks each network among `keys` has, by its prefix, "" for none."""
        blocks: dict[str, set[str]] = {}
        for match in filter(None, map(self._dense_key.fullmatch, keys)):
            blocks.setdefault(match[1], set()).add(match[2])
        # The blocks are counted, and no number is taken from a name: a name may say a trillion.
        return {prefix: len(numbers) for prefix, numbers in blocks.items()}

    @cached_property
    def _dense_key(self) -> re.Pattern[str]:
        """Matches a key of a dense block: its prefix, and the number of its block."""
        conv = self.conv.replace(".", r"\.").format(block="([0-9]+)", rdb="[0-9]", conv="[0-9]")
        return re.compile(rf"((?:.*\.)?){conv}\.(?:weight|bias)")


SCHEMES = (
    Scheme(
        "ESRGAN (old)",
        conv_first="model.0",
        conv="model.1.sub.{block}.RDB{rdb}.conv{conv}.0",
        trunk_conv="model.1.sub.{num_block}",
        tail=lambda n: [f"model.{module}" for module in (*range(3, 3 * n + 1, 3), 3 * n + 2, 3 * n + 4)],
    ),
    Scheme(
        "Real-ESRGAN",
        conv_first="conv_first",
        conv="body.{block}.rdb{rdb}.conv{conv}",
        trunk_conv="conv_body",
        tail=lambda n: [*(f"conv_up{i}" for i in range(1, n + 1)), "conv_hr", "conv_last"],
    ),
    Scheme(
        "ESRGAN release",
        conv_first="conv_first",
        conv="RRDB_trunk.{block}.RDB{rdb}.conv{conv}",
        trunk_conv="trunk_conv",
        tail=lambda n: [*(f"upconv{i}" for i in range(1, n + 1)), "HRconv", "conv_last"],
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
    r"encoder\.(down|mid|down_blocks|mid_block)\.": "a variational autoencoder",
    r"(input|down)_blocks\.\d+\.": "a diffusion model",
    r"features\.\d+\.": "a discriminator or classifier",
}


def is_average(name: str) -> bool:
    """Say whether a wrapper or a prefix of this name announces the moving average of a network's weights."""
    return "ema" in name.lower()


def names_dense_block(key: str) -> bool:
    """Say whether `key` names a tensor in a dense block, in any scheme and after any prefix."""
    return any(scheme.networks([key]) for scheme in SCHEMES)


class _Incomplete(InputError):
    """A network lacks a layer; another one in the file may not."""


def rename(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the name of the scheme of `state`, and its tensors under the ESRGAN release's names.

    The tensors come in the order in which the layers are computed. Of several networks, each after its own prefix, it
    is the first that lacks no layer, moving averages before the others.

    Raises InputError, naming the first key that is missing or does not belong, or the network where it is another one.
    """
    refusal = None
    for scheme in SCHEMES:
        networks = scheme.networks(state)
        for prefix in sorted(networks, key=is_average, reverse=True):
            try:
                return scheme.name, _rename_from(scheme, prefix, networks[prefix], state)
            except _Incomplete as error:
                refusal = refusal or error
    raise refusal or InputError(f"is not an ESRGAN generator but {_describe(state)}")


def _rename_from(scheme: Scheme, prefix: str, num_block: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    num_upsample = _count_upsampling(scheme, prefix, state)
    network = f"which {num_block} blocks and {num_upsample} upsampling steps in {scheme.name} naming"
    if prefix:
        network += f" after the prefix {prefix[:100]!a}"
    old_keys = scheme.keys(num_block, num_upsample)
    new_keys = CANONICAL.keys(num_block, num_upsample)
    renamed = {}
    for old_key, new_key in zip(old_keys, new_keys, strict=True):
        if prefix + old_key not in state:
            raise _Incomplete(f"lacks {old_key}, {network} have")
        renamed[new_key] = state[prefix + old_key]
    expected = {prefix + key for key in scheme.keys(num_block, num_upsample)}
    unexpected = [key for key in state if key.startswith(prefix) and key not in expected]
    if any(".conv1x1." in key for key in unexpected):
        raise InputError("is an ESRGAN+ generator, and the conv1x1 in its dense blocks is not supported")
    if unexpected:
        raise InputError(f"has {unexpected[0][:100]!a}, {network} do not have")
    return renamed


def _count_upsampling(scheme: Scheme, prefix: str, state: Mapping[str, Tensor]) -> int:
    """Return the number of upsampling steps whose tail differs in the fewest layers from that of `state`."""
    tails = [set(scheme.tail(n)) for n in range(_MAX_UPSAMPLINGS + 1)]
    tail = {layer for layer in set.union(*tails) if f"{prefix}{layer}.weight" in state}
    return min(range(len(tails)), key=lambda n: len(tails[n] ^ tail))


def _describe(state: Mapping[str, Tensor]) -> str:
    names = ", ".join(f"{name[:100]!a}" for name in list(state)[:3])
    contents = f"{len(state)} tensors that begin with {names}"
    for pattern, network in _OTHER_NETWORKS.items():
        if any(map(re.compile(rf"(?:^|\.){pattern}").search, state)):
            return f"looks like {network}: {contents}"
    return contents
