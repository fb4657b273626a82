"""Files that hold no network, or half of one: whatever they are called, a sentence says what each is and what to do."""

import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint_bytes import archive_bytes, arrays, dumps, safetensors_bytes, state, valid

import lowrank_sr as lsr

LINK = 'download the file itself, by the link on that page that says "download" or "raw"'
PYTORCH = "take a PyTorch checkpoint of the network (.pth or .safetensors)"
UNPACK = "unpack it first"
BESIDE = "the weights are in another file (.pth, .safetensors or .npz)"
SWAPPED = "check that you have not exchanged the picture and the weights"
HALF = "it may be half a download: download it again"
ENDS_EARLY = "as half a download does: download it again"


def refusal(path: Path, content: bytes) -> str:
    """Return what is said of a file after its name."""
    path.write_bytes(content)
    with pytest.raises(lsr.InputError) as refused:
        lsr.load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable(), "more than one line"
    return message.removeprefix(f"{path}: ")


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"), io.BytesIO())
    return stream.getvalue()


def npz(**options) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays(**options))
    return stream.getvalue()


WEB_PAGE = "a web page (HTML)"
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.0.1"  # ir_version, producer_name, producer_version
KINDS = [
    (b"<!DOCTYPE html>\n<html lang=en>", WEB_PAGE, LINK),
    (b"\xef\xbb\xbf\r\n\t <HtMl><body>", WEB_PAGE, LINK),
    (b"<head><title>Sign in</title>", WEB_PAGE, LINK),
    (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">', WEB_PAGE, LINK),
    (
        b"404: Not Found",
        "a server's answer that there is no such file",
        "check the address that you downloaded it from",
    ),
    (
        b"Entry not found",
        "a server's answer that there is no such file",
        "check the address that you downloaded it from",
    ),
    (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 66957746\n",
        "a Git LFS pointer",
        "run `git lfs pull` in its repository, or download the file itself",
    ),
    (ONNX + b"\x3a\xf0\xa3\x80\x04\x0a\x20", "an ONNX model", PYTORCH),
    (b"\x08\x03\x32\xac\x02" + bytes(300) + b"\x3a\x02\x0a\x00", "an ONNX model", PYTORCH),  # after a doc_string
    (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file, as Keras and TensorFlow write", PYTORCH),
    (b"GGUF\3\0\0\0", "a GGUF file", PYTORCH),
    (gzip.compress(b"model", mtime=0), "a gzip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive", UNPACK),
    (b"Rar!\x1a\7\1\0", "a RAR archive", UNPACK),
    (lzma.compress(b"model"), "an xz archive", UNPACK),
    (b"BZh91AY&SY", "a bzip2 archive", UNPACK),
    (b"\x28\xb5\x2f\xfd\x04", "a zstd archive", UNPACK),
    (tar(), "a tar archive", UNPACK),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture", SWAPPED),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture", SWAPPED),
    (b'<?xml version="1.0"?>\n<net name="torch_jit" version="11">', "an XML text", BESIDE),
    (b"<Error><Code>AccessDenied</Code></Error>", "an XML text", BESIDE),
    (b'{\n  "weight_map": {}}', "a JSON text", BESIDE),
    (b'\xef\xbb\xbf [ {"name": 1}]', "a JSON text", BESIDE),
]


@pytest.mark.parametrize("name", ["model.pth", "model.npz", "model"])
@pytest.mark.parametrize(("content", "kind", "advice"), KINDS)
def test_kinds(tmp_path, name, content, kind, advice):
    assert refusal(tmp_path / name, content) == f"is {kind}: expected a network's weights; {advice}"


@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        b"PK",
        b"<",
        b"{",
        b"[link](https://example.org)",
        b"{\\rtf1",
        b"headline",
        b"\x08",
        ONNX,  # without a graph
        b"\x08\x08\x12",  # ends in a length
        b"\x08" + b"\xff" * 20,
        b"\x12\x07pytorch\x3a\x02",  # without ir_version
        b"\x08\x08\x3d\x02",  # a graph that is a number
        b"not known",
    ],
)
def test_anything_else_is_shown(tmp_path, content):
    expected = f"is neither a PyTorch checkpoint nor safetensors: it begins with {content[:16]!r}"
    assert refusal(tmp_path / "model.pth", content) == expected
    expected = "not a weights file: expected an .npz archive of plain arrays"
    assert refusal(tmp_path / "model.npz", content) == expected


def test_real_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "net", [value], [value])
    model = onnx.helper.make_model(graph, producer_name="pytorch", producer_version="2.0.1", doc_string="text " * 100)
    assert "is an ONNX model: " in refusal(tmp_path / "model.pth", model.SerializeToString())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch means to leave TorchScript behind
def test_real_torchscript(tmp_path):
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(3, 3, 3), torch.zeros(1, 3, 4, 4)), stream)
    assert refusal(tmp_path / "model.pth", stream.getvalue()) == (
        "is a TorchScript program: expected a state dict; with PyTorch, "
        "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE) makes one of it"
    )


def test_zip_file_with_the_weights_in_it(tmp_path):
    assert refusal(tmp_path / "model.pth", archive_bytes({"models/model.pth": valid("zip")})) == (
        "is a zip file with 0 records named data.pkl, not one; if it is an archive with the weights in it, "
        "unpack it first"
    )


@pytest.mark.parametrize(("name", "content"), [("model.pth", valid("zip")), ("model.npz", npz())])
def test_half_a_zip_file(tmp_path, name, content):
    for size in (4, len(content) // 2, len(content) - 22):
        expected = f"is a zip file that breaks off: expected a network's weights; {HALF}"
        assert refusal(tmp_path / name, content[:size]) == expected


def test_half_a_legacy_file(tmp_path):
    content = valid("legacy", num_feat=8, num_grow_ch=4)
    path = tmp_path / "model.pth"
    elements = sum(array.nbytes for array in arrays(num_feat=8, num_grow_ch=4).values())
    for size in range(len(content) - elements, len(content), 1009):
        assert refusal(path, content[:size]) == (
            f"holds {size} of the {len(content)} bytes that its tensors need, {ENDS_EARLY}"
        )
    program = len(dumps(state(arrays())))
    assert (
        refusal(path, content[:program]) == f"its pickle is damaged: it breaks off after {program} bytes, {ENDS_EARLY}"
    )


def test_half_a_safetensors_file(tmp_path):
    content = safetensors_bytes(arrays())
    header = int.from_bytes(content[:8], "little")
    body = len(content) - header - 8
    path = tmp_path / "model.safetensors"
    assert refusal(path, content[:100]) == f"claims a header of {header} bytes and holds 92 of them, {ENDS_EARLY}"
    assert refusal(path, content[:-5]) == f"describes {body} bytes of tensors and holds {body - 5}, {ENDS_EARLY}"
    assert refusal(path, content + b"12345") == f"describes {body} bytes of tensors and holds {body + 5}"


@pytest.mark.parametrize("name", ["model.pth", "model.npz"])
def test_nothing_a_folder_and_a_named_pipe(tmp_path, name):
    empty, folder, pipe = (tmp_path / kind / name for kind in ("empty", "folder", "pipe"))
    empty.parent.mkdir()
    assert refusal(empty, b"") == "is empty: expected a network's weights; download or copy the file again"
    folder.mkdir(parents=True)
    with pytest.raises(lsr.InputError, match="is not a file but a folder: expected a network's weights; name the file"):
        lsr.load(folder)
    if hasattr(os, "mkfifo"):
        pipe.parent.mkdir()
        os.mkfifo(pipe)  # which is not waited for
        with pytest.raises(lsr.InputError, match="is not a file: expected a network's weights"):
            lsr.load(pipe)
