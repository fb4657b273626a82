"""ncnn models of small RRDBNets, in all the ways in which exporters write them, and ncnn's own picture of a model."""

import math
import struct
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from lowrank_sr.layers import Dense
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.rrdbnet import RRDBNet

FLOAT16, RAW, SCALED, INT8 = 0x01306B47, 0, 0x0002C056, 0x000D4B38  # tags


@dataclass(frozen=True)
class Style:
    """How a model is written; the default is realesrgan-ncnn-vulkan's."""

    fused: bool = True  # the activation is an option of the convolution
    residual: str = "eltwise"  # or "eltwise, skip first", "binary", "binary, skip first"
    nested: bool = False  # each Concat reads the one before it, as pnnx writes it
    splits: bool = True
    spelled_out: bool = False  # all options of a convolution
    named: str = "{}"  # blobs
    tag: int = FLOAT16
    bias: bool = True
    clipped: str = ""  # "fused", as chaiNNer does, or "layer"
    order: int = 0  # of Reorg
    ending: str = "\n"


CHAINNER = Style(named="/LeakyRelu_output_{}", clipped="fused")
ONNX2NCNN = Style(fused=False, residual="binary", spelled_out=True, ending=" \r\n")
PNNX = Style(residual="binary", nested=True, spelled_out=True)
STYLES = {
    "realesrgan-ncnn-vulkan": Style(),
    "chaiNNer": CHAINNER,
    "onnx2ncnn": ONNX2NCNN,
    "pnnx": PNNX,
    "skip first": Style(residual="binary, skip first", splits=False, tag=RAW, named="α/{}=1,2"),
    "eltwise, skip first": Style(residual="eltwise, skip first", fused=False, clipped="layer", tag=SCALED),
    "no biases": replace(PNNX, bias=False),
}


def random_network(seed=0, image_channels=3, unshuffle=1, bias=True, **sizes):
    """A small RRDBNet with random weights, of which float16 holds all exactly."""
    sizes = {"num_feat": 6, "num_block": 2, "num_grow_ch": 3, "upsamplings": 2} | sizes
    design = Architecture(
        in_channels=image_channels * unshuffle**2, out_channels=sizes.pop("out_channels", image_channels), **sizes
    )
    rng = np.random.default_rng(seed)
    layers = {}
    for name, (n, c, d) in design.shapes().items():
        weight = rng.standard_normal((n, c, d, d)) / math.sqrt(c * d * d)
        biases = rng.standard_normal(n) * (0.1 if bias else 0)
        layers[name] = Dense(*(values.astype(np.float16).astype(np.float32) for values in (weight, biases)))
    return RRDBNet(layers, "direct")


class Model:
    """The layers of a network as an exporter writes them; a blob has the name of its layer."""

    def __init__(self, net, style):
        self.net, self.style = net, style
        self.lines = []  # kind, name, blobs read, blobs made, options
        self.weights = []
        self.convolutions = {}
        self._build()

    def _add(self, kind, inputs, options=""):
        name = f"{kind}_{len(self.lines)}"
        self.lines.append((kind, name, list(inputs), [name], options))
        return name

    def _conv(self, layer, x, activation=""):
        style, dense = self.style, self.net.layers[layer]
        weight = dense.weight
        if layer == "conv_first" and style.order:
            n, c, *sides = weight.shape
            u = self.net.architecture.unshuffle
            weight = weight.reshape(n, c // u**2, u**2, *sides).swapaxes(1, 2)
        options = f"0={len(weight)} 1=3 4=1 6={weight.size} 5={int(style.bias)}"
        if style.spelled_out:
            options += " 11=3 2=1 12=1 3=1 13=1 14=1 15=1 16=1"
        fused = {"relu": " 9=2 -23310=1,2.000000e-01", "clip": " 9=3 -23310=2,0.000000e+00,1.000000e+00"}
        values = weight.astype("<f2" if style.tag == FLOAT16 else "<f4").tobytes()
        self.weights.append(struct.pack("<I", style.tag) + values + bytes(-len(values) % 4))
        if style.bias:
            self.weights.append(dense.bias.astype("<f4").tobytes())
        by_option = style.fused if activation == "relu" else style.clipped == "fused"
        out = self._add("Convolution", [x], options + (fused[activation] if activation and by_option else ""))
        self.convolutions[layer] = out
        if activation and not by_option:
            out = self._add(
                *(("ReLU", [out], "0=2.000000e-01") if activation == "relu" else ("Clip", [out], "0=0.0 1=1.0"))
            )
        return out

    def _add_up(self, branch, skip, factor):
        """factor * branch + skip."""
        kind, _, order = self.style.residual.partition(", ")
        if kind == "eltwise" and factor != 1:
            terms = [(branch, factor), (skip, 1.0)][:: -1 if order else 1]
            factors = ",".join(f"{number:e}" for _, number in terms)
            return self._add("Eltwise", [blob for blob, _ in terms], f"0=1 -23301=2,{factors}")
        if factor != 1:
            branch = self._add("BinaryOp", [branch], f"0=2 1=1 2={factor}")
        return self._add("BinaryOp", [skip, branch] if order else [branch, skip])

    def _build(self):
        design = self.net.architecture
        pixels = self._add("Input", [])
        if design.unshuffle > 1:
            pixels = self._add("Reorg", [pixels], f"0={design.unshuffle} 1={self.style.order}")
        x = features = self._conv("conv_first", pixels)
        blocks = list(design.dense_blocks())
        for i, block in enumerate(blocks):
            if i % 3 == 0:
                rrdb = x
            parts, side_by_side = [x], x
            for k in range(1, 5):
                parts.append(self._conv(f"{block}.conv{k}", side_by_side, "relu"))
                side_by_side = self._add("Concat", [side_by_side, parts[-1]] if self.style.nested else parts, "0=0")
            x = self._add_up(self._conv(f"{block}.conv5", side_by_side), x, 0.2)
            if i % 3 == 2:
                x = self._add_up(x, rrdb, 0.2)
        x = self._add_up(self._conv("trunk_conv", x), features, 1)
        for i in range(design.upsamplings):
            x = self._add("Interp", [x], "0=1 1=2.000000e+00 2=2.000000e+00")
            x = self._conv(f"upconv{i + 1}", x, "relu")
        self._conv("conv_last", self._conv("HRconv", x, "relu"), "clip" if self.style.clipped else "")

    def text(self):
        """The .param: with a Split after each blob that several layers read, where the style wants that."""
        lines = list(self.lines)
        if self.style.splits:
            readers = Counter(blob for _, _, inputs, _, _ in lines for blob in inputs)
            copies = {blob: [f"{blob}_copy{i}" for i in range(n)] for blob, n in readers.items() if n > 1}
            left = {blob: list(names) for blob, names in copies.items()}
            lines = []
            for kind, name, inputs, outputs, options in self.lines:
                inputs = [left[blob].pop() if blob in left else blob for blob in inputs]
                lines.append((kind, name, inputs, outputs, options))
                lines += [("Split", f"split_{blob}", [blob], copies[blob], "") for blob in outputs if blob in copies]
        return text_of(lines, self.style)

    def write(self, path):
        """Write `path`, a .param, and the .bin beside it; return `path`."""
        path.write_bytes(self.text().encode())
        path.with_suffix(".bin").write_bytes(b"".join(self.weights))
        return path


def text_of(lines, style=Style()):
    """A .param with these layers."""
    rows = []
    for kind, name, inputs, outputs, options in lines:
        blobs = [style.named.format(blob) for blob in [*inputs, *outputs]]
        rows.append(" ".join([f"{kind:<16} {name:<24} {len(inputs)} {len(outputs)}", *blobs, *options.split()]))
    blobs = sum(len(outputs) for _, _, _, outputs, _ in lines)
    return "".join(f"{row}{style.ending}" for row in ["7767517", f"{len(rows)} {blobs}", *rows])


def ncnn_picture(param, image):
    """What ncnn makes of an (H, W, C) image, by its plainest arithmetic: float32, one thread, no Winograd."""
    import ncnn

    with ncnn.Net() as net:
        net.opt.num_threads, net.opt.use_vulkan_compute, net.opt.use_winograd_convolution = 1, False, False
        net.opt.lightmode = False  # in which a blob is given up after one layer has read it
        for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{half}", False)
        assert net.load_param(str(param)) == 0
        assert net.load_model(str(param.with_suffix(".bin"))) == 0
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))  # a name of its own: the Mat is only a view of it
        with net.create_extractor() as extractor:
            extractor.input(net.input_names()[0], ncnn.Mat(planes))
            failed, out = extractor.extract(net.output_names()[0])
            assert failed == 0
            return np.array(out).transpose(1, 2, 0)
