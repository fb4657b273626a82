"""Files with random damage: `python tests/mutations.py 5000` reads so many, and says what became of them.

Each is read, or refused by an InputError; anything else is printed, and makes the exit status 1.
"""

import collections
import io
import pathlib
import re
import struct
import sys
import tempfile
import time
import traceback

import numpy as np
import PIL.Image
import tifffile
from ncnn_models import Model, Style

import lowrank_sr as lsr
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.reading import frames_in

EXTREMES = [0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]


def whole_files():
    """The content of an undamaged file by its name; formats that this machine does not write are left out."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (24, 21, 3), np.uint8)
    picture, second = PIL.Image.fromarray(values), PIL.Image.fromarray(values[::-1])
    deep = values.astype(np.uint16) * 257
    files = {}
    for name, options in {
        "png": {},
        "bmp": {},
        "ppm": {},
        "jpg": {"quality": 90},
        "webp": {"lossless": True},
        "gif": {"save_all": True, "append_images": [second]},
        "tif": {"compression": "tiff_lzw"},
        "avif": {},
    }.items():
        stream = io.BytesIO()
        picture.save(stream, "JPEG" if name == "jpg" else "TIFF" if name == "tif" else name.upper(), **options)
        files[f"a.{name}"] = stream.getvalue()
    stream = io.BytesIO()
    tifffile.imwrite(stream, deep, photometric="rgb", compression="zlib")
    files["deep.tif"] = stream.getvalue()
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
        stream = io.BytesIO()
        picture.resize((64, 64)).save(stream, "HEIF")
        files["a.heic"] = stream.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        from lowrank_sr.pictures.images import Image, write_image

        path = pathlib.Path(folder) / "deep.png"
        write_image(path, Image((values / 255).astype(np.float32), bits=16))
        files["deep.png"] = path.read_bytes()
        net = lsr.RRDBNet.random(num_feat=4, num_block=1, num_grow_ch=2)
        net.save(path.with_suffix(".npz"))
        files["net.npz"] = path.with_suffix(".npz").read_bytes()
        state = {f"{name}.{key}": array for name, layer in net.layers.items() for key, array in layer.arrays().items()}
        files.update(checkpoints(state, path.parent))
    model = Model(net, Style())
    return files | {"net.param": model.text().encode(), "net.bin": b"".join(model.weights)}


def checkpoints(state, folder):
    """The same network by PyTorch and safetensors, where they are installed."""
    files = {}
    try:
        import safetensors.numpy

        files["net.safetensors"] = safetensors.numpy.save(state)
        import torch

        tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
        for name, legacy in (("net.pth", False), ("legacy.pth", True)):
            torch.save(tensors, folder / name, _use_new_zipfile_serialization=not legacy)
            files[name] = (folder / name).read_bytes()
    except ImportError:
        pass
    return files


def mutated(content, rng):
    """`content` with one to four damages, most of them near its beginning, where headers are."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        reach = len(damaged) if rng.random() < 0.5 else min(len(damaged), 400)
        place = int(rng.integers(0, max(1, reach)))
        length = int(rng.integers(1, 64))
        match int(rng.integers(0, 6)):
            case 0:
                damaged[place : place + 1] = bytes([rng.integers(0, 256)])
            case 1:
                number = EXTREMES[rng.integers(0, len(EXTREMES))]
                damaged[place : place + 4] = struct.pack(rng.choice(["<I", ">I"]), number)
            case 2:
                del damaged[place : place + length]
            case 3:
                damaged[place:place] = rng.bytes(length)
            case 4:
                damaged[place:place] = damaged[place : place + length]
            case 5:
                del damaged[len(damaged) - place :]
    return bytes(damaged)


def mutated_words(content, rng):
    """A text with one to four damages to its lines and words: left out, repeated, exchanged, or other numbers."""
    lines = [line.split(" ") for line in content.decode().split("\n")]
    numbers = ["0", "1", "2", "-1", "-233", "0.2", "1e38", "nan", *map(str, EXTREMES), "9" * 400, ""]
    for _ in range(rng.integers(1, 5)):
        here, there = rng.integers(0, len(lines), 2)
        line, other = lines[here], lines[there]
        i, j = rng.integers(0, len(line)), rng.integers(0, len(other))
        match int(rng.integers(0, 7)):
            case 0:
                line[i] = other[j]
            case 1:
                line[i], other[j] = other[j], line[i]
            case 2:
                lines[here], lines[there] = other, line
            case 3:
                lines.insert(here, list(other))
            case 4:
                line.insert(i, other[j])
            case 5:
                line[i] = re.sub("[0-9.]+", numbers[rng.integers(0, len(numbers))], line[i], count=1)
            case 6:
                del line[i : i + 1 + rng.integers(0, 3)]
                line.append("")
    return "\n".join(map(" ".join, lines)).encode()


def main(count, seed=0):
    """Read `count` damaged files; return 1 where one came out otherwise than it may."""
    rng = np.random.default_rng(seed)
    files = whole_files()
    outcomes = collections.Counter()
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            name = list(files)[number % len(files)]
            path = pathlib.Path(folder) / name
            for half in (".param", ".bin"):  # of an ncnn model; the other one is whole
                path.with_name(f"net{half}").write_bytes(files[f"net{half}"])
            in_words = name == "net.param" and rng.random() < 0.5
            path.write_bytes((mutated_words if in_words else mutated)(files[name], rng))
            start = time.perf_counter()
            try:
                if name.startswith(("net", "legacy")):
                    lsr.load(path, "direct")
                else:
                    for frame in frames_in(path)[:2]:
                        read_image(path, frame)
                outcomes["read"] += 1
            except lsr.InputError as error:
                outcomes["refused"] += 1
                if "\n" in str(error) or not str(error).startswith((f"{path}: ", f"{path}, frame ")):
                    outcomes["failed"] += 1
                    print(f"number {number}, {name}: {error!r}")
            except Exception:
                outcomes["failed"] += 1
                print(f"number {number}, {name}:")
                traceback.print_exc(file=sys.stdout)
            slowest = max(slowest, (time.perf_counter() - start, f"{name}, number {number}"))
    seconds, which = slowest
    print(f"{len(files)} formats, {count} files: {dict(outcomes)}; the slowest took {seconds:.2f} s: {which}")
    return int(outcomes["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
