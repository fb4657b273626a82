"""Where training programs put a network: under any wrapper, after any prefix, beside other networks."""

import pytest
from checkpoint_bytes import Opcodes, arrays, dumps, opcodes, state, tensor, zip_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_sr.checkpoints import read_checkpoint
from lowrank_sr.errors import InputError

torch = pytest.importorskip("torch")

from checkpoint_networks import SCHEMES, assert_reads, canonical, save, torch_network  # noqa: E402

SIZES = {"num_feat": 4, "num_block": 1, "num_grow_ch": 2}
PREFIXES = ("module.", "_orig_mod.", "module._orig_mod.", "netG.", "generator.", "model.", "params.", "a.model.0.b.")
WRAPPERS = (
    ("model_state_dict",),
    ("params-ema",),
    ("net",),
    ("generator",),
    ("G",),
    ("weights of 7 May",),
    ("state_dict", "generator"),
    ("checkpoint", "model", "netG"),
)


def prefixed(prefix, state_dict):
    return {prefix + name: value for name, value in state_dict.items()}


def other_weights(net):
    """The state dict of another network of the same architecture."""
    return {name: value + 1 for name, value in net.state_dict().items()}


def discriminator():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 1))


def training(net):
    """What a training program saves beside the weights: numbers, a discriminator, an optimizer with its moments."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0)
    net(torch.rand(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    return {"epoch": 7, "loss": 0.5, "D": discriminator().state_dict(), "optimizer": optimizer.state_dict()}


@pytest.fixture(params=SCHEMES)
def net(request):
    return torch_network(request.param, **SIZES)


@pytest.mark.parametrize("file_format", ["zip", "safetensors"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes(tmp_path, net, prefix, file_format):
    path = save(prefixed(prefix, net.state_dict()), tmp_path / "model", file_format)
    assert_reads(path, canonical(net, **SIZES), wrapper="")


@pytest.mark.parametrize("path", WRAPPERS, ids=".".join)
def test_wrappers(tmp_path, net, path):
    beside, saved = training(net), net.state_dict()
    for key in reversed(path):
        saved = {**beside, key: saved}
    assert_reads(save(saved, tmp_path / "model", "zip"), canonical(net, **SIZES), wrapper=".".join(path))


@pytest.mark.parametrize("wrapper", ["", "params", "params_ema", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapper_and_prefix(tmp_path, net, wrapper, prefix):
    state_dict = prefixed(prefix, net.state_dict())
    saved = {wrapper: state_dict, "epoch": 7} if wrapper else state_dict
    assert_reads(save(saved, tmp_path / "model", "legacy"), canonical(net, **SIZES), wrapper=wrapper)


def test_lightnings_checkpoint_of_a_gan(tmp_path, net):
    """All networks in one state dict, each with its own prefix; the average has the last word."""
    state_dict = prefixed("netD.", discriminator().state_dict()) | prefixed("netG.", other_weights(net))
    state_dict |= prefixed("vgg.features.", discriminator().state_dict())
    saved = {"state_dict": state_dict, "optimizer_states": [training(net)["optimizer"]], "hparams": {"lr": 1e-4}}
    expected = {name: value + 1 for name, value in canonical(net, **SIZES).items()}
    assert_reads(save(saved, tmp_path / "model", "zip"), expected, wrapper="state_dict")
    state_dict |= prefixed("netG_ema.module.", net.state_dict())
    assert_reads(save(saved, tmp_path / "model", "zip"), canonical(net, **SIZES), wrapper="state_dict")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # within torch.compile
def test_pytorchs_averaged_model_and_compiled_module(tmp_path, net):
    averaged = torch.optim.swa_utils.AveragedModel(torch.compile(net))
    path = save(averaged.state_dict(), tmp_path / "model", "zip")
    assert "module._orig_mod." in next(name for name in averaged.state_dict() if name != "n_averaged")
    assert_reads(path, canonical(net, **SIZES))


@pytest.mark.parametrize("average", ["params_ema", "params-ema", "ema", "generator_ema", "g_ema", "EMA weights"])
@pytest.mark.parametrize("plain", ["params", "model", "weights"])
def test_moving_average_is_preferred(tmp_path, average, plain):
    net = torch_network("Real-ESRGAN", **SIZES)
    saved = {plain: other_weights(net), average: {"netG": net.state_dict()}}
    assert_reads(save(saved, tmp_path / "model", "zip"), canonical(net, **SIZES), wrapper=f"{average}.netG")
    flat = prefixed(f"{plain}.", other_weights(net)) | prefixed(f"{average}.", net.state_dict())
    assert_reads(save(flat, tmp_path / "flat", "safetensors"), canonical(net, **SIZES))


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"teacher": {}}, "params"),  # well known before the rest
        ({"model": {}}, "params"),
        ({"optimizer": {"exp_avg": {}}}, "weights"),  # less deep before deeper
        ({"averages": {"state": {"ema": {"a little": {"deeper": {}}}}}}, "params"),  # deeper than is looked
    ],
)
def test_order_of_wrappers(tmp_path, other, path):
    net = torch_network("ESRGAN release", **SIZES)
    innermost = other
    while innermost:
        innermost = next(iter(innermost.values()))
    innermost.update(other_weights(net))
    saved = other | {path: net.state_dict()}
    assert_reads(save(saved, tmp_path / "model", "zip"), canonical(net, **SIZES), wrapper=path)


def test_first_network_that_lacks_no_layer(tmp_path):
    net = torch_network("ESRGAN release", **SIZES)
    begun = {name: value for name, value in other_weights(net).items() if name != "HRconv.bias"}
    saved = prefixed("a.ema.", begun) | prefixed("b.", net.state_dict()) | prefixed("c.", other_weights(net))
    assert_reads(save(saved, tmp_path / "model", "safetensors"), canonical(net, **SIZES))


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"], exclude_characters="."), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SCHEMES), st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3), st.data())
def test_any_wrappers_and_prefix(tmp_path_factory, scheme, wrappers, prefixes, data):
    net = torch_network(scheme, **SIZES)
    prefix = "".join(f"{name}." for name in prefixes)
    saved = prefixed(prefix, net.state_dict())
    if prefix and not prefix.startswith("D."):
        saved |= prefixed("D.", discriminator().state_dict())
    for key in reversed(wrappers):
        beside = data.draw(
            st.dictionaries(NAMES, st.sampled_from([3, "text", None, [], {}, torch.zeros(2)]), max_size=3)
        )
        saved = {**beside, key: saved}
    path = tmp_path_factory.getbasetemp() / "model"
    assert_reads(save(saved, path, "zip"), canonical(net, **SIZES), scheme=scheme, wrapper=".".join(wrappers))


def refusal(path, saved) -> str:
    path.write_bytes(zip_bytes(dumps(saved), {}))
    with pytest.raises(InputError) as refused:
        read_checkpoint(path)
    message = str(refused.value)
    assert message.isprintable()
    assert len(message) < 1000
    return message


def test_refusals_say_which_network_they_are_about(tmp_path):
    complete = state(arrays())
    lacking = {name: value for name, value in complete.items() if name != "HRconv.weight"}
    message = refusal(tmp_path / "model", {"G": prefixed("net.G.", lacking)})
    assert (
        "lacks HRconv.weight, which 1 blocks and 2 upsampling steps in ESRGAN release naming after the prefix 'net.G.'"
        in message
    )
    spare = tensor("HRconv.bias", (2,))
    message = refusal(tmp_path / "model", {"G": prefixed("netG.", complete | {"upconv5.bias": spare})})
    assert "has 'netG.upconv5.bias', which 1 blocks" in message
    assert "has 'netD.weight', which" in refusal(tmp_path / "model", complete | {"netD.weight": spare})


def test_the_dict_with_the_most_tensors_is_described(tmp_path):
    weight = tensor("conv_first.weight", (2, 3, 3, 3))
    saved = {"step": weight, "a": {"b": {"netD.features.0.weight": weight, "netD.features.0.bias": weight}}, "c": {}}
    message = refusal(tmp_path / "model", saved)
    assert "looks like a discriminator or classifier: 2 tensors that begin with 'netD.features.0.weight'" in message


@pytest.mark.parametrize("prefix", ["module.", "netG.", "params_ema."])
@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("model.1.sub.0.res.0.weight", "SRResNet"),
        ("body.0.weight", "SRVGGNet"),
        ("layers.0.residual_group.blocks.0.norm1.weight", "SwinIR"),
    ],
)
def test_another_network_is_described_after_a_prefix(tmp_path, prefix, name, network):
    saved = {"state_dict": {prefix + name: tensor("conv_first.weight", (2, 3, 3, 3))}}
    assert network in refusal(tmp_path / "model", saved)


LONG = "x" * 500_000
INTO_ITSELF = Opcodes(b"}q\x00" + opcodes("a") + b"h\x00s")
MANY_NETWORKS = {f"{n}.RRDB_trunk.0.RDB1.conv1.bias": tensor("0", (1,)) for n in range(2500)}
SHARED_NAME = Opcodes(  # one long name in a hundred thousand dicts
    opcodes(tensor("0", (1,))) + b"q\x01" + opcodes(LONG) + b"q\x00]" + b"}h\x00h\x01sa" * 10 + b"00"
    + b"}(" + b"".join(opcodes(n) + b"}h\x00h\x01s" for n in range(40_000)) + b"u"
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        (INTO_ITSELF, "but the keys 'a'"),
        ({f"a{n}": INTO_ITSELF for n in range(100)}, "but the keys 'a0'"),
        (MANY_NETWORKS, "lacks conv_first.weight, which 1 blocks"),
        ({f"{LONG}.RRDB_trunk.0.RDB1.conv1.bias": tensor("0", (1,))}, "lacks conv_first.weight, which 1 blocks"),
        ({"RRDB_trunk.1." * 50_000: tensor("0", (1,))}, "1 tensors that begin"),
        ({"." * 900_000: tensor("0", (1,))}, "1 tensors that begin"),
        (SHARED_NAME, "1 tensors that begin"),
    ],
)
def test_hostile_dicts_and_names(tmp_path, saved, reason):
    assert reason in refusal(tmp_path / "model", saved)
