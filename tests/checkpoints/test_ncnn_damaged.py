"""Damaged ncnn models end in a network or in one sentence, soon, and without memory that only the text claims."""

import collections
import tracemalloc

import numpy as np
import pytest
from mutations import mutated, mutated_words
from ncnn_models import ONNX2NCNN, PNNX, Model, Style, random_network

import lowrank_sr as lsr


def outcome(param):
    try:
        net = lsr.load(param, method="direct")
    except lsr.InputError as error:
        message = str(error)
        assert message.startswith(f"{param}: ")
        assert "\n" not in message
        assert len(message) < 1500
        return "refused"
    assert isinstance(net, lsr.RRDBNet)
    return "read"


@pytest.mark.slow
def test_two_thousand_pairs(tmp_path):
    rng = np.random.default_rng(7)
    net = random_network(num_block=1, upsamplings=1, num_feat=2, num_grow_ch=1)
    models = [Model(net, style) for style in (Style(), ONNX2NCNN, PNNX)]
    pairs = [(model.text().encode(), b"".join(model.weights)) for model in models]
    param, weights = tmp_path / "model.param", tmp_path / "model.bin"
    outcomes = collections.Counter()
    for number in range(2000):
        text, values = pairs[number % 3]
        damage = ("words", "bytes", "weights", "both")[number % 4]
        in_text = {"words": mutated_words, "bytes": mutated, "both": mutated_words}.get(damage, keep)
        in_weights = mutated if damage in ("weights", "both") else keep
        param.write_bytes(in_text(text, rng))
        weights.write_bytes(in_weights(values, rng))
        outcomes[damage, outcome(param)] += 1
    assert outcomes["words", "read"] > 10  # names of layers, and options that do not matter
    assert outcomes["weights", "read"] > 10  # values
    assert all(outcomes[damage, "refused"] > 100 for damage in ("words", "bytes", "weights", "both"))


def keep(content, rng):
    return content


def peak(param):
    """The most memory that was held while the model was read or refused, in bytes."""
    tracemalloc.start()
    outcome(param)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


HOSTILE = {
    "concats that double": lambda i: f"Concat c{i} 2 1 b{i} b{i} b{i + 1}",
    "sums that double": lambda i: f"Eltwise e{i} 2 1 b{i} b{i} b{i + 1} 0=1",
    "factors that vanish": lambda i: f"BinaryOp m{i} 1 1 b{i} b{i + 1} 0=2 1=1 2=1e-300",
    "factors that grow": lambda i: f"BinaryOp m{i} 1 1 b{i} b{i + 1} 0=2 1=1 2=1e300",
    "blobs that all read one": lambda i: f"Convolution v{i} 1 1 b0 b{i + 1} 0=1 1=3 4=1 6=9",
    "a long chain": lambda i: f"Convolution v{i} 1 1 b{i} b{i + 1} 0=1 1=3 4=1 6=9 9=2 -23310=1,0.2",
    "enlargements": lambda i: f"Interp i{i} 1 1 b{i} b{i + 1} 0=1 1=2 2=2",
}


@pytest.mark.slow
@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_hostile_graphs_cost_what_their_text_does(tmp_path, line):
    (tmp_path / "model.bin").write_bytes(bytes(100))
    lines = [line(i) for i in range(5_000)]
    (tmp_path / "model.param").write_text("\n".join(["7767517", f"{len(lines) + 1} 1", "Input i 0 1 b0", *lines]))
    assert peak(tmp_path / "model.param") < 20 * 2**20  # 4 KB for each line, with its words and its value


@pytest.mark.parametrize("blob", ["Concat", "Eltwise", "b1_"])
def test_lines_that_read_and_make_many_blobs(tmp_path, blob):
    (tmp_path / "model.bin").write_bytes(bytes(100))
    many = [f"b{i}" for i in range(1, 5_000)]
    lines = ["Input i 0 1 b0", f"Split s 1 {len(many)} b0 {' '.join(many)}"]
    lines += [
        f"{kind} k {len(many)} 1 {' '.join(many)} {kind}" for kind in ("Concat", "Eltwise", "BinaryOp", "Convolution")
    ]
    lines += [f"Foo f {len(many)} {len(many)} {' '.join(many)} {' '.join(f'{blob}_' for blob in many)}"]
    lines += [f"Convolution v 1 1 {blob} out 0=1 1=3 4=1 6=9"]
    (tmp_path / "model.param").write_text("\n".join(["7767517", f"{len(lines)} 1", *lines]))
    assert peak(tmp_path / "model.param") < 20 * 2**20  # by the square of the blobs, 200 MB


@pytest.mark.parametrize("claim", ["0=999999999 6=999999999", "0=1 6=2147483647", "0=1 6=1207959549"])
def test_claimed_sizes_take_no_memory(tmp_path, claim):
    model = Model(random_network(num_block=1), Style())
    param = model.write(tmp_path / "model.param")
    param.write_text(param.read_text().replace("0=6 1=3 4=1 6=162", f"1=3 4=1 {claim}", 1))
    outcome(param)  # once, to import and to compile what that needs
    assert peak(param) < 2**20
