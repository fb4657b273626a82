"""Checkpoints put together byte by byte, without PyTorch: valid ones to damage, and ones it never writes."""

import io
import json
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


@dataclass
class Global:
    """What a pickle asks for by name: "module name"."""

    name: str


@dataclass
class Call:
    """What a pickle calls: the result of `function(*arguments)`."""

    function: object
    arguments: tuple


@dataclass
class Persistent:
    """What a pickle refers to outside itself."""

    persistent_id: object


@dataclass
class Opcodes:
    """Opcodes to be put into a pickle as they are."""

    code: bytes


def dumps(value) -> bytes:
    """Return `value` as a pickle of protocol 2."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value) -> bytes:
    """Return the opcodes that push `value` onto the stack."""
    match value:
        case Opcodes(code):
            return code
        case Global(name):
            return b"c" + name.replace(" ", "\n").encode() + b"\n"
        case Call(function, arguments):
            return opcodes(function) + opcodes(arguments) + b"R"
        case Persistent(persistent_id):
            return opcodes(persistent_id) + b"Q"
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case int():
            size = value.bit_length() // 8 + 1
            return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case list():
            return b"](" + b"".join(map(opcodes, value)) + b"e"
        case dict():
            return b"}(" + b"".join(opcodes(key) + opcodes(item) for key, item in value.items()) + b"u"
    raise TypeError(type(value))


def storage(key: str, numel: int, kind: str = "FloatStorage") -> Persistent:
    """Return a reference to the storage `key`."""
    return Persistent(("storage", Global(f"torch {kind}"), key, "cpu", numel))


def tensor(key: str, shape, *, numel=None, offset=0, strides=None, kind: str = "FloatStorage") -> Call:
    """Return a call that rebuilds a tensor; by default contiguous, and the whole of the storage `key`."""
    numel = int(np.prod(shape)) if numel is None else numel
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))) if strides is None else strides
    hooks = Call(Global("collections OrderedDict"), ())
    arguments = (storage(key, numel, kind), offset, tuple(shape), strides, False, hooks)
    return Call(Global("torch._utils _rebuild_tensor_v2"), arguments)


def arrays(num_feat=2, num_block=1, num_grow_ch=2) -> dict[str, np.ndarray]:
    """Return the float32 arrays of a x4 RRDBNet under the release's names."""
    channels = {"conv_first": (num_feat, 3)}
    for block in range(num_block):
        for rdb in range(1, 4):
            for conv in range(1, 6):
                outputs = num_grow_ch if conv < 5 else num_feat
                inputs = num_feat + (conv - 1) * num_grow_ch
                channels[f"RRDB_trunk.{block}.RDB{rdb}.conv{conv}"] = (outputs, inputs)
    channels |= dict.fromkeys(("trunk_conv", "upconv1", "upconv2", "HRconv"), (num_feat, num_feat))
    channels["conv_last"] = (3, num_feat)
    generator = np.random.default_rng(0)
    weights = {}
    for layer, (outputs, inputs) in channels.items():
        weights[f"{layer}.weight"] = generator.standard_normal((outputs, inputs, 3, 3), np.float32)
        weights[f"{layer}.bias"] = generator.standard_normal(outputs, np.float32)
    return weights


def state(weights: dict[str, np.ndarray]) -> dict[str, Call]:
    """Return the state dict of `weights`, as a pickle rebuilds it, each tensor's storage under its own name."""
    return {name: tensor(name, array.shape) for name, array in weights.items()}


def zip_bytes(program: bytes, records: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    """Return a checkpoint in the zip format; `records` maps the keys of storages to their bytes."""
    names = {"data.pkl": program, "byteorder": b"little", "version": b"3\n"}
    names |= {f"data/{key}": record for key, record in records.items()}
    return archive_bytes({f"archive/{name}": record for name, record in names.items()}, compression)


def archive_bytes(records: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    """Return a zip file of these records."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return stream.getvalue()


def legacy_bytes(program: bytes, storages: dict[str, np.ndarray]) -> bytes:
    """Return a checkpoint in the legacy format."""
    header = dumps(MAGIC_NUMBER) + dumps(1001) + dumps(SYSTEM) + program + dumps(list(storages))
    return header + b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())


def safetensors_bytes(weights: dict[str, np.ndarray]) -> bytes:
    """Return float32 arrays as a safetensors file."""
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for name, array in weights.items():
        offsets = [position, position + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        position += array.nbytes
    return with_header(json.dumps(header).encode(), b"".join(array.tobytes() for array in weights.values()))


def with_header(header: bytes, body: bytes) -> bytes:
    """Return a safetensors file with this header, whatever it says."""
    return struct.pack("<Q", len(header)) + header + body


def valid(file_format: str, **sizes) -> bytes:
    """Return a valid checkpoint of `arrays(**sizes)` in "zip", "legacy" or "safetensors"."""
    weights = arrays(**sizes)
    if file_format == "safetensors":
        return safetensors_bytes(weights)
    program = dumps(state(weights))
    if file_format == "legacy":
        return legacy_bytes(program, weights)
    return zip_bytes(program, {name: array.tobytes() for name, array in weights.items()})


FORMATS = ("zip", "legacy", "safetensors")
