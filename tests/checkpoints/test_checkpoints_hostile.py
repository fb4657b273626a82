"""Files made to do harm: one sentence each, no code run, memory bounded; made and read without PyTorch."""

import builtins
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import pytest
from checkpoint_bytes import (
    MAGIC_NUMBER,
    SYSTEM,
    Call,
    Global,
    Opcodes,
    Persistent,
    archive_bytes,
    arrays,
    dumps,
    legacy_bytes,
    opcodes,
    state,
    storage,
    tensor,
    valid,
    with_header,
    zip_bytes,
)

import lowrank_sr as lsr
from lowrank_sr.checkpoints import pth_zip, read_checkpoint
from lowrank_sr.errors import InputError

GIGABYTE = 2**30
NAME = "conv_first.weight"


def refusal(tmp_path, content: bytes, read=read_checkpoint) -> str:
    """Return the sentence with which `read` refuses `content`."""
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as refused:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * GIGABYTE
    finally:
        tracemalloc.stop()
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable(), "more than one line"
    assert len(message) < 1000
    return message


def wrap(program: bytes, file_format: str) -> bytes:
    """Put a pickle where a checkpoint keeps its state dict."""
    weights = {NAME: arrays()[NAME]} if b"storage" in program else {}
    if file_format == "bare":
        return program
    if file_format == "legacy":
        return legacy_bytes(program, weights)
    return zip_bytes(program, {key: array.tobytes() for key, array in weights.items()})


class Reduced:
    """Pickled as a call of `function`, as an attacker would."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("file_format", ["zip", "legacy", "bare"])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system" if os.name == "posix" else "nt.system"),
        (builtins.eval, "builtins.eval"),
        (builtins.getattr, "builtins.getattr"),
        (os.remove, "posix.remove" if os.name == "posix" else "nt.remove"),
        (pickle.loads, "_pickle.loads"),
        (io.open, "io.open"),
        (bytearray, "builtins.bytearray"),
    ],
)
def test_calls_are_refused_by_name(tmp_path, file_format, protocol, function, name):
    victim = tmp_path / "victim"
    victim.touch()
    evil = Reduced(function, f"rm {victim}" if function is os.system else str(victim))
    program = pickle.dumps({NAME: evil}, protocol, fix_imports=False)
    assert name in refusal(tmp_path, wrap(program, file_format))
    assert victim.exists()


# a tuple of 2^60 empty tuples
HASH_BOMB = Opcodes(opcodes(()) + b"q\x00" + b"0h\x00h\x00\x86q\x00" * 60)
VICTIM = tensor(NAME, (2, 3, 3, 3))
HOOKS = Call(Global("collections OrderedDict"), ())


def rebuilt(*arguments, function="_rebuild_tensor_v2"):
    return {NAME: Call(Global(f"torch._utils {function}"), arguments)}


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["zip", "legacy"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Opcodes(b"}r\xff\xff\xff\xff"), "no tensors"),  # LONG_BINPUT: a memo of 2^32 entries
        (Opcodes(b"\x8e" + struct.pack("<Q", 2**40)), "damaged"),  # BINBYTES8 of a terabyte
        (Opcodes(b"\x8d" + struct.pack("<Q", 2**63)), "damaged"),  # BINUNICODE8 of more than memory can be
        (Opcodes(b"\x8b" + struct.pack("<i", 2**31 - 1)), "damaged"),  # LONG4
        (Opcodes(b"\x8b" + struct.pack("<i", 2**16) + b"\x7f" * 2**16), "opcode LONG4"),
        (Opcodes(b"I" + b"9" * 10**6 + b"\n"), "damaged"),
        (Opcodes(b"N" * 2 * 2**20), "damaged, or longer"),
        (Opcodes(b"]" * 10**5 + b"a" * (10**5 - 1)), "a list"),  # lists in lists in lists
        (Opcodes(b"}" + HASH_BOMB.code + b"Ns"), "dict key"),
        (Opcodes(b"}(" + b"".join(opcodes(k * (2**61 - 1)) + b"N" for k in range(1, 9)) + b"u"), "dict key"),
        (rebuilt(storage(NAME, 54), 0, (), (), False, {}, HASH_BOMB, function="_rebuild_tensor_v3"), "dtype"),
        (Opcodes(b"ios\nsystem\n(tR"), "opcode INST"),
        (Opcodes(b"(cos\nsystem\no"), "os.system"),
        (Opcodes(b"\x82\x01"), "opcode EXT1"),
        (Opcodes(b"P1\n"), "opcode PERSID"),
        (Opcodes(opcodes(Global("collections OrderedDict")) + b")\x81"), "opcode NEWOBJ"),
        (Opcodes(opcodes(VICTIM) + b"}b"), "attributes"),
        (Opcodes(opcodes(Global("collections OrderedDict")) + b"}b"), "attributes"),
        (Call("torch.FloatStorage", ()), "not a function"),
        (Call(Global("torch FloatStorage"), (3,)), "not a function"),
        (Call(Global("collections OrderedDict"), ([["a", 1]],)), "as PyTorch never does"),
        (Call(Global("torch Size"), (3,)), "not a tuple"),
        (rebuilt(storage(NAME, 54), 0, (2, 3, 3, 3)), "as PyTorch never does"),
        (rebuilt("storage", 0, (2,), (1,), False, HOOKS), "other things than a storage"),
        (rebuilt(storage(NAME, 54), 0, [2], [1], False, HOOKS), "other things than a storage"),
        (rebuilt(storage(NAME, 54), 0, (2,), (1,), False, HOOKS, {"neg": True}), "negated"),
        (Persistent(storage(NAME, 54)), "outside itself"),
        (Persistent(("storage", storage(NAME, 54), NAME, "cpu", 54)), "outside itself"),
        (Persistent(("module", "net", "source", "code")), "outside itself"),
        (Persistent("1"), "outside itself"),
        (Persistent(("storage", "float32", NAME, "cpu", 54, (NAME, -1, 54))), "not a count"),
        (tensor(NAME, (2, 3, 3, 3), offset=-1), "not a count"),
        (tensor(NAME, (2, 3, 3, 3), strides=(27, 9, 3, -1)), "not a count"),
        (tensor(NAME, (2, 3, 3, -3), numel=54), "not a count"),
        (tensor(NAME, (2, 3, 3, True), numel=54), "not a count"),
        (tensor(NAME, (2, 3, 3, 3), offset=2**63), "not a count"),
        (tensor(NAME, (2, 3, 3, 3), offset=1), "element 54 of 54"),
        (tensor(NAME, (2, 3, 3, 3), strides=(27, 9, 3, 2**62)), "reaches for element"),
        (tensor(NAME, (2, 3, 3, 3), strides=(27, 9, 3)), "4 sizes and 3 strides"),
        (tensor(NAME, (1,) * 1000), "dimensions"),
        (tensor(NAME, (2, 3, 3, 3), numel=-1), "not a count"),
    ],
)  # fmt: skip
def test_hostile_pickles(tmp_path, file_format, value, reason):
    assert reason in refusal(tmp_path, wrap(dumps(value), file_format))


@pytest.mark.parametrize("program", [b"", b"\x80\x02", b"\x80\x02.", b"\x80\x02N", b"\x80\x02(.", b"\x80\x02R."])
@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_damaged_pickles(tmp_path, file_format, program):
    refusal(tmp_path, wrap(program, file_format))


@pytest.mark.parametrize("file_format", ["zip", "legacy"])
def test_storage_that_claims_more_than_the_file_holds(tmp_path, file_format):
    weights = arrays()
    claimed = state(weights) | {NAME: tensor(NAME, (2, 3, 3, 3), numel=2**40)}
    if file_format == "legacy":
        content = legacy_bytes(dumps(claimed), weights)
    else:
        content = zip_bytes(dumps(claimed), {key: array.tobytes() for key, array in weights.items()})
    assert f"claims {2**42} bytes for the storage of {NAME}" in refusal(tmp_path, content)


@pytest.mark.parametrize("kind", ["FloatStorage", "BFloat16Storage", "DoubleStorage"])
@pytest.mark.parametrize("num_feat", [1200, 2**20, 2**40])
def test_one_element_expanded_to_a_network(tmp_path, num_feat, kind):
    """Strides of 0 make a network of any size out of one number."""
    claimed = {}
    for name, array in arrays().items():
        grown = [{2: num_feat, 4: 2 * num_feat, 6: 3 * num_feat, 8: 4 * num_feat, 10: 5 * num_feat}.get(n, n)
                 for n in array.shape]  # fmt: skip
        claimed[name] = tensor("0", grown, numel=1, strides=(0,) * len(grown), kind=kind)
    content = zip_bytes(dumps(claimed), {"0": bytes(8)})
    assert "parameters" in refusal(tmp_path, content)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["FloatStorage", "BFloat16Storage", "DoubleStorage"])
def test_one_element_expanded_to_a_layer_below_the_limit(tmp_path, kind):
    """The largest arrays that are made before a network refuses their shapes: 2^27 float32, or 0.5 GB."""
    claimed = state(arrays()) | {
        "HRconv.weight": tensor("0", (2**12 - 1, 2**11, 4, 4), numel=1, strides=(0,) * 4, kind=kind)
    }
    records = {name: array.tobytes() for name, array in arrays().items()} | {"0": bytes(8)}
    message = refusal(tmp_path, zip_bytes(dumps(claimed), records), lsr.load)
    assert "HRconv.bias has shape (2,): expected (4095,)" in message


def test_legacy_storages(tmp_path):
    weights = {NAME: arrays()[NAME]}
    header = dumps(MAGIC_NUMBER) + dumps(1001) + dumps(SYSTEM) + dumps(state(weights))
    sized = struct.pack("<q", 2**62) + weights[NAME].tobytes()
    assert "claims a storage that ends" in refusal(tmp_path, header + dumps([NAME]) + sized)
    assert "claims a storage that ends" in refusal(tmp_path, header + dumps([NAME]) + b"\xff" * 8)
    assert "other storages" in refusal(tmp_path, header + dumps(["else"]) + sized)
    assert "other storages" in refusal(tmp_path, header + dumps([NAME, {}]) + sized)
    two = {"a": tensor(NAME, (2,)), "b": tensor(NAME, (2,), kind="HalfStorage")}
    assert "two dtypes" in refusal(tmp_path, wrap(dumps(two), "legacy"))


@pytest.mark.parametrize("name", ["../data.pkl", "archive/../../data.pkl", "/etc/data.pkl", "archive/data/../../x"])
def test_zip_with_names_outside_it(tmp_path, name):
    message = refusal(tmp_path, archive_bytes({"archive/data.pkl": dumps(state(arrays())), name: b""}))
    assert name in message


def test_zip_bombs(tmp_path, monkeypatch):
    bomb = archive_bytes({"archive/data.pkl": bytes(10**8)}, zipfile.ZIP_DEFLATED)
    assert "damaged" in refusal(tmp_path, bomb)
    for size in (100, 2**32 - 2):  # what it says that it inflates to
        changed = bytearray(bomb)
        changed[(place := bomb.rindex(b"PK\x01\x02") + 24) : place + 4] = struct.pack("<I", size)
        reason = "compressed, from more" if size > 100 else "damaged"
        assert reason in refusal(tmp_path, bytes(changed))
    weights = arrays()
    monkeypatch.setattr(pth_zip, "_MAX_INFLATED_BYTES", 2**24)
    many = zip_bytes(dumps(state(weights)), dict.fromkeys(weights, bytes(2**20)), zipfile.ZIP_DEFLATED)
    assert "compressed, from more" in refusal(tmp_path, many)
    lzma = archive_bytes({"archive/data.pkl": dumps(state(weights))}, zipfile.ZIP_LZMA)
    assert "not with deflate" in refusal(tmp_path, lzma)


def test_zip_directories(tmp_path):
    content = valid("zip")
    end = content.rindex(b"PK\x05\x06")
    for size in (0, 2**32 - 2, 2**31):
        refusal(tmp_path, content[: end + 12] + struct.pack("<I", size) + content[end + 16 :])
    many = {f"archive/{n:080}": b"" for n in range(45_000)}
    assert "directory cannot be read" in refusal(tmp_path, archive_bytes(many))
    assert "0 records named data.pkl" in refusal(tmp_path, archive_bytes({"word/document.xml": b""}))
    assert "2 records named data.pkl" in refusal(tmp_path, archive_bytes({"data.pkl": b"", "a/data.pkl": b""}))
    assert "without the record" in refusal(tmp_path, zip_bytes(dumps(state(arrays())), {}))


def test_big_endian_files(tmp_path):
    assert "little-endian" in refusal(
        tmp_path, archive_bytes({"a/data.pkl": dumps(state(arrays())), "a/byteorder": b"big"})
    )
    system = dumps(MAGIC_NUMBER) + dumps(1001) + dumps({"little_endian": False})
    assert "little-endian" in refusal(tmp_path, system)
    assert "version" in refusal(tmp_path, dumps(MAGIC_NUMBER) + dumps(1002))
    assert "magic number" in refusal(tmp_path, dumps(1001))


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "size", "reason"),
    [
        (b'{"a":' * 10**5, 0, "not JSON"),
        (b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}", 0, "not JSON"),
        (b'{"a":' + b"1" * 10**5 + b"}", 0, "not JSON"),
        (b'{"a":\xff}', 0, "not JSON"),
        (b'{"a":' + b"[]" * 3 * 2**20, 0, "claims a header"),
        ({"a": None}, 0, "'a'"),
        ({"a": F32 | {"dtype": "F8_E4M3"}}, 8, "dtype"),
        ({"a": F32 | {"dtype": ["F32"]}}, 8, "dtype"),
        ({"a": F32 | {"shape": [3]}}, 8, "element 2 of 2 in storage 'a'"),
        ({"a": F32 | {"shape": [-2]}}, 8, "not a count"),
        ({"a": F32 | {"shape": [2.0]}}, 8, "not a count"),
        ({"a": F32 | {"shape": [[2]]}}, 8, "not a count"),
        ({"a": F32 | {"shape": [2**64]}}, 8, "not a count"),
        ({"a": F32 | {"shape": [2**62, 2**62, 2**62]}}, 8, "not a count"),
        ({"a": F32 | {"shape": [2**62] * 10**5}}, 8, "dimensions"),
        ({"a": F32 | {"shape": [0, 7]}}, 8, "'a' 8 bytes"),
        ({"a": F32 | {"data_offsets": [8, 0]}}, 8, "two offsets"),
        ({"a": F32 | {"data_offsets": [-8, 0]}}, 8, "two offsets"),
        ({"a": F32 | {"data_offsets": [0, 2**63]}}, 8, "two offsets"),
        ({"a": F32 | {"data_offsets": [0, 8, 16]}}, 8, "two offsets"),
        ({"a": F32 | {"data_offsets": [0, 2**62]}}, 8, "describes"),
        ({"a": F32}, 7, "describes 8 bytes of tensors and holds 7"),
        ({"a": F32}, 9, "describes 8 bytes of tensors and holds 9"),
        ({"a": F32, "b": F32}, 8, "'b' at byte 0"),  # an overlap
        ({"a": F32, "b": F32 | {"data_offsets": [12, 20]}}, 20, "'b' at byte 12"),  # a hole
        ({"a\n\u202e\ud800": F32}, 7, "holds 7"),
    ],
)
def test_hostile_safetensors(tmp_path, header, size, reason):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    assert reason in refusal(tmp_path, with_header(header, bytes(size)))


@pytest.mark.parametrize("size", [9, 2**16, 99_999_999])
def test_safetensors_header_longer_than_the_file(tmp_path, size):
    assert f"header of {size} bytes" in refusal(tmp_path, struct.pack("<Q", size) + b"{}")


def test_names_cannot_break_the_sentence(tmp_path):
    """A name with line ends and terminal codes is quoted, wherever it comes up."""
    evil = "conv\n\x1b[2J\u202e" + "x" * 10_000
    weights = arrays()
    refusal(tmp_path, zip_bytes(dumps(state(weights) | {evil: tensor(NAME, (2,))}), {}))
    refusal(tmp_path, zip_bytes(dumps({evil: tensor(NAME, (2,))}), {}))
    refusal(tmp_path, zip_bytes(dumps({evil: 3}), {}))
    refusal(tmp_path, zip_bytes(dumps({NAME: Opcodes(b"\x8c\x01\nX\x01\0\0\0\x1b\x93")}), {}))
    refusal(tmp_path, zip_bytes(dumps(state(weights) | {NAME: tensor(evil, (2, 3, 3, 3))}), {}))
    refusal(tmp_path, archive_bytes({f"{evil}/..": b""}))
