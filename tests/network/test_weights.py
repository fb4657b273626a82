import json
import pickle
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.layers import CP, Separable, random_layer
from lowrank_sr.network import weights
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.overlap import digest
from lowrank_sr.resources import NETWORKS


@pytest.fixture
def arrays():
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, scale=2)
    return {f"{name}.{key}": array for name, layer in net.layers.items() for key, array in layer.arrays().items()}


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def load(path, arrays):
    np.savez(path, **arrays)
    return lsr.load(path)


def test_round_trip(tmp_path):
    net = lsr.RRDBNet.random(num_feat=8, num_block=2, num_grow_ch=4, scale=4)
    net.save(tmp_path / "a.npz")
    again = lsr.load(tmp_path / "a.npz", method="im2col")
    assert again.method == "im2col"
    assert again.meta["scale"] == again.scale == 4
    assert again.meta["source"] == "random, seed 0"
    assert list(again.layers) == list(net.layers)
    for name, layer in net.layers.items():
        np.testing.assert_array_equal(again.layers[name].weight, layer.weight)
        np.testing.assert_array_equal(again.layers[name].bias, layer.bias)


def test_float16_on_disk_is_float32_in_memory(tmp_path):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
    net.save(tmp_path / "a.npz", np.float16)
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["HRconv.weight"].dtype == np.float16
        assert json.loads(str(stored["meta"]))["format"] == 1
    weight = lsr.load(tmp_path / "a.npz").layers["HRconv"].weight
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, net.layers["HRconv"].weight.astype(np.float16))


def test_factorised_layers_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
    layers = dict(net.layers)
    layers["HRconv"] = Separable(*(rng.random(s, np.float32) for s in ((5, 8, 3), (8, 5, 3), (8,))))
    layers["trunk_conv"] = CP(*(rng.random(s, np.float32) for s in ((8, 6), (3, 6), (3, 6), (8, 6), (8,))))
    path = tmp_path / "mixed.npz"
    weights.write_weights(path, layers, {})
    again, _ = weights.read_weights(path)
    for name in ("HRconv", "trunk_conv"):
        assert type(again[name]) is type(layers[name])
        assert again[name].shape == (8, 8, 3)
        np.testing.assert_array_equal(again[name].kernel(), layers[name].kernel())


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_a_block_that_has_vanished_goes_wherever_networks_go(tmp_path, capsys, form):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4, method="direct")
    names = net.architecture.dense_blocks()["RRDB_trunk.0.RDB2"]
    small = lsr.RRDBNet({**net.layers, **{n: random_layer(net.layers[n].shape, form, 0) for n in names}}, "direct")
    image = np.random.default_rng(0).random((9, 7, 3), dtype=np.float32)
    for dtype in (np.float32, np.float16):
        small.save(tmp_path / "small.npz", dtype)
        again = lsr.load(tmp_path / "small.npz", "direct")
        assert {again.layers[name].rank for name in names} == {0}
        assert again.vanished == {"RRDB_trunk.0.RDB2"}
    np.testing.assert_allclose(again(image), small(image), rtol=0, atol=1e-2)  # float16
    for other in (pickle.loads(pickle.dumps(small)), lsr.interpolate(small, small, 0.0)):
        np.testing.assert_array_equal(other(image), small(image))
    assert digest(small) != digest(net)
    assert main(["info", str(tmp_path / "small.npz"), "--json", str(tmp_path / "info.json")]) == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "info.json").read_text())["layers"]}
    for name in names:
        shown = rows[name]["rank"], rows[name]["parameters"], rows[name]["flops_per_pixel"]
        assert shown == (0, net.layers[name].shape[0], 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_bundled_network_is_meant_by_its_name(tmp_path, monkeypatch, name):
    net = lsr.load(name)
    assert net.scale == 4
    monkeypatch.chdir(tmp_path)
    other = lsr.RRDBNet.random(4, 1, 2)
    for file in (f"{name}.npz", name):
        with open(file, "wb") as there:
            there.write(b"something else")
    assert lsr.load(name).parameters == lsr.load(Path(name)).parameters == net.parameters
    other.save(f"{name}.npz")
    assert lsr.load(f"{name}.npz").parameters == other.parameters


def test_the_default_network():
    default = lsr.load()
    assert default.architecture == Architecture(64, 23, 32, 2, 3, 3)
    np.testing.assert_array_equal(
        default.layers["conv_last"].weight, lsr.load("realesrgan-x4plus").layers["conv_last"].weight
    )


def test_a_name_that_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(lsr.InputError, match=r"^esrgan: no such file, and no bundled network: expected .*psnr-small"):
        lsr.load("esrgan")


@pytest.mark.parametrize("name", ["realesrgan-x4plus", "realesrgan-x4plus-anime"])
def test_bundled_networks_are_ncnns_to_the_bit(shared, name):
    ours, theirs = lsr.load(name), lsr.load(shared / "weights" / "ncnn" / f"{name}.param")
    for layer in ours.layers:
        for field, array in ours.layers[layer].arrays().items():
            np.testing.assert_array_equal(array, getattr(theirs.layers[layer], field))


def test_the_bundled_weights():
    net = lsr.load("psnr-small")
    assert net.parameters == 2_309_507
    assert (net.scale, net.architecture.num_block, net.architecture.num_feat) == (4, 3, 64)
    assert net.meta["format"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"HRconv.weight": None}, "HRconv.weight is missing"),
        ({"HRconv.bias": None}, "HRconv.bias is missing"),
        ({"HRconv.weight": None, "HRconv.bias": None}, "layer HRconv is missing"),
        ({"conv_first.weight": None, "conv_first.bias": None}, "layer conv_first is missing"),
        ({"extra": np.zeros(3)}, "extra is not a key of a weights file"),
        ({"HRconv.gamma": np.zeros(3)}, "HRconv.gamma is not a key"),
        ({"other.weight": np.zeros((8, 8, 3, 3)), "other.bias": np.zeros(8)}, "layer other is not one"),
        ({"HRconv.vertical": np.zeros((2, 8, 3))}, "HRconv.vertical does not belong beside HRconv.weight"),
        ({"HRconv.weight": np.zeros((8, 9, 3, 3))}, r"layer HRconv has .*8, 9, 3\): expected \(8, 8, 3\)"),
        (
            {"HRconv.weight": np.zeros((8, 8, 3, 2))},
            r"HRconv.weight has shape \(8, 8, 3, 2\): expected \(8, 8, 3, 3\)",
        ),
        ({"HRconv.weight": np.zeros((8, 72))}, r"HRconv.weight has shape \(8, 72\): expected \(N, C, d, d\)"),
        ({"HRconv.bias": np.zeros(7)}, r"HRconv.bias has shape \(7,\): expected \(8,\)"),
        ({"HRconv.bias": np.full(8, np.nan)}, "HRconv.bias contains NaN"),
        ({"HRconv.bias": np.full(8, 1e300)}, "HRconv.bias contains NaN or infinity"),
        ({"HRconv.bias": np.zeros(8, int)}, "HRconv.bias has dtype int64"),
        ({"meta": np.array("[1]")}, "meta is not a JSON object"),
        ({"meta": np.array("{")}, "meta is not a JSON object"),
        ({"meta": np.array("[" * 100_000)}, "meta is not a JSON object"),
    ],
)
def test_keys_that_do_not_fit_are_named(tmp_path, arrays, change, sentence):
    changed = {key: array for key, array in {**arrays, **change}.items() if array is not None}
    with pytest.raises(lsr.InputError, match=sentence) as caught:
        load(tmp_path / "bad.npz", changed)
    assert str(caught.value).startswith(f"{tmp_path / 'bad.npz'}: ")
    assert "\n" not in str(caught.value)


def test_object_arrays_are_not_unpickled(tmp_path, arrays):
    mark = tmp_path / "mark"
    with pytest.raises(lsr.InputError, match=r"expected an \.npz archive of plain arrays"):
        load(tmp_path / "bad.npz", {**arrays, "HRconv.bias": np.array([Trap(mark)], object)})
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"not an archive", pickle.dumps({"a": 1}), b"PK\5\6 and then nothing"])
def test_files_that_are_no_archives(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(lsr.InputError, match=r"bad\.npz: not a weights file"):
        lsr.load(path)


def test_an_encrypted_entry_and_a_header_without_an_end(tmp_path, arrays):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    whole = path.read_bytes()
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\1\2") + 8] |= 1  # the general purpose flag of the first entry of the directory
    path.write_bytes(encrypted)
    with pytest.raises(lsr.InputError, match="not a weights file"):
        lsr.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        header = b"{'descr': ('<f4', 'fortran_order': False, 'shape': (1,), }\n"
        archive.writestr("conv_first.bias.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(lsr.InputError, match="not a weights file"):
        lsr.load(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (), 'fortran_order': False, 'shape': (1,)}",
        "  x\n y",
        "{[]:1}",
        "{'descr': '<f4,,', 'fortran_order': False, 'shape': (1,)}",
    ],
)
def test_headers_that_numpy_stumbles_over(tmp_path, header):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        content = header.encode() + b"\n"
        archive.writestr("conv_first.bias.npy", b"\x93NUMPY\1\0" + len(content).to_bytes(2, "little") + content)
    with pytest.raises(lsr.InputError, match=r"bad\.npz: not a weights file"):
        lsr.load(path)


def test_truncated_and_damaged_archives(tmp_path, arrays):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    whole = path.read_bytes()
    for size in range(0, len(whole), 997):
        path.write_bytes(whole[:size])
        with pytest.raises(lsr.InputError):
            lsr.load(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with suppress(lsr.InputError):  # some damage goes unnoticed; no other error may come out
            lsr.load(path)


def test_missing_files_and_single_arrays(tmp_path):
    with pytest.raises(lsr.InputError, match="no such file"):
        lsr.load(tmp_path / "none.npz")
    with pytest.raises(lsr.InputError, match="is not a file"):
        lsr.load(tmp_path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(lsr.InputError, match=r"a single \.npy array"):
        lsr.load(tmp_path / "one.npz")


def test_only_npz_is_written(tmp_path):
    with pytest.raises(lsr.InputError, match=r"ends in \.npz"):
        lsr.load("psnr-small").save(tmp_path / "a.pth")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["HRconv.weight", "spare.weight", "spare", "meta"])
def test_a_bomb_is_not_inflated(tmp_path, arrays, key):
    """15 GB of zeros are 15 MB (here 128 MB, 128 KB): what does not belong is refused by its header."""
    path = tmp_path / "bomb.npz"
    megabyte = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            if name != key:
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array)
        dtype = "<U33554432" if key == "meta" else "<f4"
        shape = () if key == "meta" else (2**25,)
        with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
            for _ in range(2**7):
                file.write(megabyte)
    assert path.stat().st_size < 10_000_000
    tracemalloc.start()
    with pytest.raises(lsr.InputError, match=rf"^{path}: {key.partition(chr(46))[0]}"):
        lsr.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_more_parameters_than_a_network_has(tmp_path):
    """Shapes that fit each other, but unfold to gigabytes."""
    path = tmp_path / "bomb.npz"
    design = Architecture(2**13, 1, 2**13, 0, 3, 3)
    with zipfile.ZipFile(path, "w") as archive:
        for name, (n, c, d) in design.shapes().items():
            for field, shape in (("weight", (n, c, d, d)), ("bias", (n,))):
                entry = zipfile.ZipInfo(f"{name}.{field}.npy")
                with archive.open(entry, "w") as file:
                    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
                entry.file_size += 4 * int(np.prod(shape))  # as the directory will claim
    with pytest.raises(lsr.InputError, match="claims more than 134217728 parameters"):
        lsr.load(path)


def test_sizes_that_the_directory_and_the_header_give_differently(tmp_path, arrays):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
                file.write(b"more")
    with pytest.raises(lsr.InputError, match="not a weights file"):
        lsr.load(path)


def test_a_name_in_capitals(tmp_path):
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
    net.save(tmp_path / "X.NPZ")
    assert [path.name for path in tmp_path.iterdir()] == ["X.NPZ"]
    assert lsr.load(tmp_path / "X.NPZ").parameters == net.parameters


@pytest.mark.parametrize("dtype", [np.int8, np.float64, "float16x", None])
def test_a_dtype_that_is_not_written(tmp_path, dtype):
    with pytest.raises(lsr.InputError, match="expected float16 or float32"):
        lsr.load("psnr-small").save(tmp_path / "a.npz", dtype)
    assert not list(tmp_path.iterdir())
