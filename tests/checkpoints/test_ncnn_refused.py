"""ncnn models that are no RRDBNet, or not stored as it is read: one sentence, which says where in the file."""

import struct

import numpy as np
import pytest
from ncnn_models import FLOAT16, INT8, ONNX2NCNN, PNNX, RAW, Model, Style, random_network, text_of

import lowrank_sr as lsr
from lowrank_sr.network.architecture import Architecture

NO_SPLITS = Style(splits=False)
SEPARATE = Style(splits=False, fused=False, residual="binary")


@pytest.fixture
def param(tmp_path):
    """A model of one block, x2, whose blobs have the names of their layers: Input_0, Convolution_1, ..."""
    return Model(random_network(num_block=1, upsamplings=1), NO_SPLITS).write(tmp_path / "model.param")


def refusal(path) -> str:
    with pytest.raises(lsr.InputError) as refused:
        lsr.load(path, method="direct")
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def refusal_of_text(param, old, new) -> str:
    text = param.read_text()
    assert old in text
    param.write_text(text.replace(old, new, 1))
    return refusal(param)


def test_a_convolution_that_reads_another_blob(param):
    assert refusal_of_text(param, "1 1 Concat_5 Convolution_6", "1 1 Concat_3 Convolution_6") == (
        "is not an RRDBNet: Convolution 'Convolution_6' reads blob 'Concat_3', the concatenation of 'Convolution_1' "
        "and 'Convolution_2', as Convolution 'Convolution_4' does, where only RRDB_trunk.0.RDB1.conv2 does"
    )


def test_a_concat_in_another_order(param):
    old, new = "3 1 Convolution_1 Convolution_2 Convolution_4", "3 1 Convolution_1 Convolution_4 Convolution_2"
    assert refusal_of_text(param, old, new) == (
        "is not an RRDBNet: Convolution 'Convolution_6' reads blob 'Concat_5', the concatenation of 'Convolution_1', "
        "'Convolution_4' and 'Convolution_2', where RRDB_trunk.0.RDB1.conv3 reads the concatenation of "
        "'Convolution_1', 'Convolution_2' and 'Convolution_4'"
    )


def test_a_residual_of_another_blob(param):
    assert refusal_of_text(param, "Convolution_20 Eltwise_11 ", "Convolution_20 Convolution_1 ") == (
        "is not an RRDBNet: Eltwise 'Eltwise_21' computes 1 x 'Convolution_1' + 0.2 x 'Convolution_20', where "
        "RRDB_trunk.0.RDB2 ends with 1 x 'Eltwise_11' + 0.2 x 'Convolution_20'"
    )


def test_a_residual_of_another_size(param):
    message = refusal_of_text(param, "2,2.000000e-01,", "2,1.000000e-01,")
    assert "Eltwise 'Eltwise_11' computes 1 x 'Convolution_1' + 0.1 x 'Convolution_10', where" in message


@pytest.mark.parametrize(
    ("style", "old", "new", "reason"),
    [
        (NO_SPLITS, "9=2 -23310=1,2.000000e-01", "9=2 -23310=1,1.000000e-01", "'Convolution_2' computes LeakyReLU 0.1"),
        (NO_SPLITS, "9=2 -23310=1,2.000000e-01", "9=1", "'Convolution_2' computes LeakyReLU 0 of"),
        (NO_SPLITS, "9=2 -23310=1,2.000000e-01", "9=4", "'Convolution_2' computes activation 4"),
        (NO_SPLITS, "9=2 -23310=1,2.000000e-01", "9=2", "'Convolution_2' computes activation 2"),
        (
            SEPARATE,
            "0=2.000000e-01",
            "0=1.000000e-01",
            "ReLU 'ReLU_3' computes LeakyReLU 0.1 of 'Convolution_2', where",
        ),
        (SEPARATE, "ReLU  ", "Sigmoid  ", "Sigmoid 'ReLU_3' computes layer Sigmoid"),
    ],
)
def test_another_activation(param, style, old, new, reason):
    Model(random_network(num_block=1), style).write(param)
    message = refusal_of_text(param, old, new)
    assert reason in message
    assert message.endswith(", where RRDB_trunk.0.RDB1.conv1 is followed by a LeakyReLU of slope 0.2")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("4=1", "4=1 3=2", "has stride 2 x 2, where 1 x 1 was expected"),
        ("4=1", "4=1 13=2", "has stride 1 x 2, where 1 x 1 was expected"),
        ("4=1", "4=1 2=2", "has dilation 2 x 2, where"),
        ("4=1", "4=1 15=0", "has padding 1 x 1 x 0 x 1, where 1 x 1 x 1 x 1 was expected"),
        ("4=1", "", "has padding 0 x 0 x 0 x 0, where"),
        ("4=1", "4=1 18=1.0", "has padding value 1, where 0 was expected"),
        ("4=1", "4=1 7=2", "has groups 2, where"),
        ("4=1", "4=1 19=1", "has dynamic weights 1, where"),
        ("1=3", "1=1", "has kernel 1 x 1, where 3 x 3 was expected"),
        ("6=162 ", "6=163 ", "163 weights for 6 channels"),
        ("0=6 ", "0=0 ", "162 weights for 0 channels"),
        ("0=6 ", "0=6.0 ", "the option 0='6.0', where a whole number was expected"),
        ("0=6 ", "0=-6 ", "162 weights for -6 channels"),
        ("0=6 ", f"0={'6' * 5000} ", "where a whole number was expected"),
    ],
)
def test_another_convolution(param, old, new, reason):
    message = refusal_of_text(param, old, new)
    assert "Convolution 'Convolution_1'" in message
    assert reason in message


@pytest.mark.parametrize(
    "options", ["0=2 1=2.0 2=2.0", "0=1 1=3.0 2=3.0", "0=1 1=2.0 2=4.0", "0=1 1=2.0 2=2.0 3=16 4=24", "0=1"]
)
def test_another_enlargement(param, options):
    message = refusal_of_text(param, "0=1 1=2.000000e+00 2=2.000000e+00", options)
    assert f"Interp 'Interp_35' ({options}), where HRconv, or an Interp by 2 for another upconv, reads" in message


def test_five_enlargements(param):
    Model(random_network(num_block=1, num_feat=2, upsamplings=5), Style()).write(param)
    assert "enlarges by 2 once more, where 4 times are the most" in refusal(param)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("Clip c 1 1 {last} out 0=0.0 1=2.0", "no layer reads blob 'out' of Clip 'c'"),
        ("Interp i 1 1 {last} out 0=3 1=0.5 2=0.5", "no layer reads blob 'out' of Interp 'i' (0=3 1=0.5 2=0.5)"),
        ("Split s 1 2 {last} a b", "2 blobs come out, where one does"),
        ("Convolution v 1 1 Concat_3 out 0=3 1=3 4=1 6=81", "Convolution 'v' reads blob 'Concat_3'"),
        ("ReLU r 1 1 Concat_3 out 0=0.2", "no layer reads blob 'out' of ReLU 'r'"),
        ("Noop n 1 0 {last}", "0 blobs come out, where one does"),
        ("Input i 0 1 out", "no layer reads blob 'out' of Input 'i'"),
    ],
)
def test_more_layers(param, lines, reason):
    text = param.read_text().splitlines()
    last = text[-1].split()[5]
    text[1] = f"{len(text) - 1} 99"
    param.write_text("\n".join([*text, lines.format(last=last)]))
    assert reason.format(last=last) in refusal(param)


def test_less_layers(param):
    model = Model(random_network(num_block=1, upsamplings=1), NO_SPLITS)
    for end in range(1, len(model.lines)):
        param.write_text(text_of(model.lines[:end]))
        assert "is not an RRDBNet: " in refusal(param)


@pytest.mark.slow
def test_every_edge_matters(param):
    """No model of which one layer reads another blob than before is loaded."""
    changes = 0
    for style in (NO_SPLITS, SEPARATE):
        lines = Model(random_network(num_block=1, upsamplings=1), style).lines
        for i, (kind, name, inputs, outputs, options) in enumerate(lines):
            for j, blob in enumerate(inputs):
                for other in lines[:i]:
                    changes += 1
                    if other[3] == [blob] or changes % 9:
                        continue
                    changed = (kind, name, [*inputs[:j], *other[3], *inputs[j + 1 :]], outputs, options)
                    param.write_text(text_of([*lines[:i], changed, *lines[i + 1 :]]))
                    assert "is not an RRDBNet: " in refusal(param)
    assert changes > 2000


def test_a_network_without_blocks(param):
    layers = "Convolution a 1 1 i a 0=6 1=3 4=1 6=162;Convolution b 1 1 a b 0=6 1=3 4=1 6=324;Eltwise s 2 1 b a s 0=1"
    param.write_text("\n".join(["7767517", "4 4", "Input i 0 1 i", *layers.split(";")]))
    assert "trunk_conv comes after conv_first" in refusal(param)


@pytest.mark.parametrize("activation", ["", " 9=2 -23310=1,0.2", " 9=1"])
def test_a_plain_chain(param, activation):
    layers = [f"Convolution c{i} 1 1 b{i} b{i + 1} 0=3 1=3 4=1 6=81{activation}" for i in range(4)]
    param.write_text("\n".join(["7767517", "5 5", "Input i 0 1 b0", *layers]))
    assert "is not an RRDBNet: " in refusal(param)


def test_a_compact_real_esrgan(param):
    layers = [
        "Convolution a 1 1 i a 0=8 1=3 4=1 5=1 6=216",
        "PReLU b 1 1 a b 0=8",
        "Convolution c 1 1 b c 0=48 1=3 4=1",
    ]
    layers += ["PixelShuffle d 1 1 c d 0=4", "Interp e 1 1 i e 0=1 1=4.0 2=4.0", "BinaryOp f 2 1 d e f"]
    param.write_text("\n".join(["7767517", f"{len(layers) + 1} 9", "Input i 0 1 i", *layers]))
    assert "looks like a compact Real-ESRGAN (SRVGGNet)" in refusal(param)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("4=1", "4=1 8=2", "is quantised to int8, as Convolution 'Convolution_1' says: expected weights in float16"),
        ("Concat   ", "Requantize", "is quantised to int8, as Requantize 'Concat_3' says"),
        ("Convolution   ", "nn.Conv2d   ", "is a model of pnnx, not of ncnn: give the .ncnn.param"),
        ("7767517", "43", "its first line is not 7767517"),
        ("7767517\n", "", "its first line is not 7767517"),
        ("7767517\n", "7767517\n1\n", "does not say in line 2 how many layers"),
        ("Concat    ", "", "no layer: expected its kind"),
        ("1 1 Concat_3", "1 9 Concat_3", "fewer blobs than the layer reads and makes"),
        ("0=0", "0:0", "'0:0', where an option, number=value, was expected"),
        ("Concat_3 0=0", "Concat_9 0=0", "read blob 'Concat_3', which no layer before it makes"),
        ("Convolution_2 0=", "Convolution_1 0=", "make blob 'Convolution_1', which there is already"),
        ("-23310=1,2", "-23310=2,2", "where a count and so many numbers was expected"),
        ("Input  ", "MemoryData", "it has no Input"),
        ("Convolution_1 ", "C" * 300 + " ", "has in line 4"),
    ],
)
def test_other_texts(param, old, new, reason):
    assert reason in refusal_of_text(param, old, new)


def test_half_a_param(param):
    param.write_text(param.read_text()[:1500].rpartition("\n")[0])
    assert "says that there are 39: it is damaged, or half a download" in refusal(param)


def test_more_layers_than_it_says_and_more_than_are_read(param):
    text = param.read_text()
    param.write_text(text + "Noop n 1 1 Convolution_1 n\n" * 3)
    assert "lists 42 layers and says that there are 39" in refusal(param)
    param.write_text(text.replace("\n39 ", "\n40000 "))
    assert "says that there are 40000 layers: expected 32768 at most" in refusal(param)


def test_not_text(param):
    param.write_bytes(b"\xff\xfe" + param.read_text().encode("utf-16-le"))
    assert "it is not text" in refusal(param)
    param.write_bytes(b"\n" * (4 * 2**20 + 1))
    assert "4194304 at most" in refusal(param)
    param.write_bytes(b"<!DOCTYPE html><html>")
    assert "is a web page" in refusal(param)


def test_a_binary_param(param):
    param.write_bytes(struct.pack("<3i", 7767517, 2, 2))
    assert "is a binary .param, without the names of its layers" in refusal(param)
    lone = param.rename(param.with_name("other.param.bin"))
    assert "is a binary .param of ncnn, without the names of its layers" in refusal(lone)


@pytest.mark.parametrize(("factor", "upsamplings"), [(2, 1), (4, 2)])
def test_channels_of_an_unshuffled_image_without_a_reorg(param, factor, upsamplings):
    Model(random_network(num_block=1, unshuffle=factor, upsamplings=upsamplings), NO_SPLITS).write(param)
    lines = [line for line in param.read_text().splitlines() if not line.startswith("Reorg")]
    lines[1] = f"{len(lines) - 2} 99"
    param.write_text("\n".join(lines).replace("1 1 Reorg_1", "1 1 Input_0"))
    assert refusal(param) == (
        f"is not an RRDBNet: Convolution 'Convolution_2' reads {3 * factor**2} channels, as many as an unshuffled "
        f"image of 3 has, where a Reorg by {factor} is before it"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            "0=4 1=0",
            "reads 12 channels of an image unshuffled by 4, of which 3 come out enlarged by 2, where 48 channels",
        ),
        ("0=3 1=0", "Reorg 'Reorg_1' unshuffles by 3, where a Reorg by 2 or 4 may be"),
        ("0=2 1=2", "Reorg 'Reorg_1' unshuffles by 2, where"),
    ],
)
def test_another_reorg(param, options, reason):
    Model(random_network(num_block=1, unshuffle=2, upsamplings=1), NO_SPLITS).write(param)
    assert reason in refusal_of_text(param, "0=2 1=0", options)


def test_the_factor_by_which_images_are_unshuffled_is_the_architectures(param):
    """`network/architecture.py` reads it from the channels alone, and the graph has to agree with that."""
    loaded = 0
    for channels in (1, 2, 3, 4, 12, 16):
        for out in (1, 3, 4):
            for upsamplings in (0, 1, 2):
                design = Architecture(2, 1, 1, upsamplings, channels, out)
                net = random_network(
                    num_feat=2, num_block=1, num_grow_ch=1, upsamplings=upsamplings, image_channels=channels,
                    out_channels=out,
                )  # fmt: skip
                Model(net, NO_SPLITS).write(param)
                if design.unshuffle > 1:
                    assert f"0={design.unshuffle} 1=0" in param.read_text()
                assert lsr.load(param, method="direct").architecture == design
                loaded += 1
    assert loaded == 54


def test_a_pair_without_its_other_half(param):
    weights = param.with_suffix(".bin").rename(param.with_name("other.bin"))
    assert refusal(param) == "has no model.bin beside it, where the weights of an ncnn model were expected"
    assert "as the weights of an ncnn model it needs other.param beside it" in refusal(weights)
    weights.with_name("model.bin").mkdir()
    assert refusal(param).startswith("has no model.bin beside it")
    missing = param.with_name("missing.param")
    assert "cannot be read: No such file" in refusal(missing)
    missing.mkdir()
    assert "is not a file" in refusal(missing)


def test_a_bin_of_pytorchs_needs_no_param(tmp_path):
    torch = pytest.importorskip("torch")
    net = random_network(num_block=1)
    state = {
        f"{name}.{key}": torch.tensor(array)
        for name, layer in net.layers.items()
        for key, array in layer.arrays().items()
    }
    torch.save(state, tmp_path / "pytorch_model.bin")
    assert lsr.load(tmp_path / "pytorch_model.bin").meta["scheme"] == "ESRGAN release"


def test_weights_of_another_length(param):
    weights = param.with_suffix(".bin")
    content = weights.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 40, 3):
        weights.write_bytes(content[:length])
        assert refusal(weights) == (
            f"is cut short: it has {length} bytes and the layers in model.param need {len(content)}, so the "
            "download broke off, or it belongs to another model: download it again"
        )
        assert refusal(param).startswith("model.bin is cut short: ")
    weights.write_bytes(content + b"\0\0")
    assert f"is too long: it has {len(content) + 2} bytes and the layers in model.param need" in refusal(weights)
    weights.write_bytes(b"")
    assert "is empty" in refusal(weights)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert refusal(param).startswith("model.bin is a Git LFS pointer")


@pytest.mark.parametrize("style", [PNNX, ONNX2NCNN])
def test_the_bin_of_another_network(tmp_path, style):
    for name, blocks in (("a", 1), ("b", 2)):
        Model(random_network(num_block=blocks), style).write(tmp_path / f"{name}.param")
    (tmp_path / "b.bin").replace(tmp_path / "a.bin")
    assert "so they are in a quantisation table, or the file belongs to another model" in refusal(tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (INT8, "stores the weights of Convolution 'Convolution_1' as int8: expected float16 or float32"),
        (
            1,
            "has the tag 0x00000001 at byte 0, where the weights of Convolution 'Convolution_1' begin: ",
        ),
    ],
)
def test_other_weights(param, tag, reason):
    weights = param.with_suffix(".bin")
    weights.write_bytes(struct.pack("<I", tag) + weights.read_bytes()[4:])
    assert reason in refusal(weights)


def test_sizes_are_checked_before_memory_is_taken(param):
    text = param.read_text().replace("0=6 ", f"0={2**20} ", 1).replace("6=162 ", f"6={9 * 2**25} ", 1)
    param.write_text(text)
    assert "claims more than 134217728 weights" in refusal(param)


def test_shapes_that_do_not_fit(param):
    text = param.read_text()
    param.write_text(text.replace("6=324 ", "6=270 ").replace("6=162 ", "6=216 ", 1))
    weights = param.with_suffix(".bin")
    lines = [line.split() for line in param.read_text().splitlines()[2:]]
    sizes = [dict(word.split("=", 1) for word in line[6:]) for line in lines if line[0] == "Convolution"]
    halves = [np.zeros(int(size["6"]) + int(size["6"]) % 2, np.float16).tobytes() for size in sizes]
    biases = [np.zeros(int(size["0"]), np.float32).tobytes() for size in sizes]
    tag = struct.pack("<I", FLOAT16)
    weights.write_bytes(b"".join(tag + half + bias for half, bias in zip(halves, biases, strict=True)))
    assert "has (N, C, d) = " in refusal(param)


def test_weights_that_are_not_finite(param):
    net = random_network(num_block=1, upsamplings=1)
    net.layers["HRconv"].weight[0, 0, 0, 0] = np.nan
    Model(net, Style(tag=RAW)).write(param)
    assert refusal(param) == "HRconv.weight contains NaN or infinity"
