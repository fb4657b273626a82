"""RRDBNet as the graphs that other frameworks read, operator for operator as its authors wrote it.

`walk` goes through the network once; a graph class says what each operator is in its framework.
"""

from collections import Counter
from pathlib import Path

import numpy as np

SLOPE, RESIDUAL = 0.2, 0.2  # of LeakyReLU; the factor of a branch that is added to its input


def walk(net, graph, image):
    """Build the network in `graph` from the value `image`; return the value of its output."""
    layers = net.layers
    features = graph.conv("conv_first", layers["conv_first"], image)
    trunk = features
    for block in range(net.architecture.num_block):
        entry = trunk
        for dense_block in range(1, 4):
            x, grown = trunk, [trunk]
            for k in range(1, 6):
                name = f"RRDB_trunk.{block}.RDB{dense_block}.conv{k}"
                joined = graph.concat(grown) if k > 1 else x
                grown.append(graph.conv(name, layers[name], joined, activate=k < 5))
            trunk = graph.residual(x, grown[-1])
        trunk = graph.residual(entry, trunk)
    features = graph.add(features, graph.conv("trunk_conv", layers["trunk_conv"], trunk))
    for i in range(1, net.architecture.upsamplings + 1):
        larger = graph.twice(features)
        features = graph.conv(f"upconv{i}", layers[f"upconv{i}"], larger, activate=True)
    return graph.conv("conv_last", layers["conv_last"], graph.conv("HRconv", layers["HRconv"], features, activate=True))


class Onnx:
    """An ONNX graph; values are names."""

    def __init__(self):
        self.nodes, self.tensors = [], []
        self._constant("residual", np.float32(RESIDUAL))
        self._constant("twice", np.array([1, 1, 2, 2], np.float32))

    def _constant(self, name, array):
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _node(self, operator, *inputs, **attributes):
        from onnx import helper

        out = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def conv(self, name, layer, x, activate=False):
        weight, bias = self._constant(f"{name}.weight", layer.kernel()), self._constant(f"{name}.bias", layer.bias)
        out = self._node("Conv", x, weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return self._node("LeakyRelu", out, alpha=SLOPE) if activate else out

    def concat(self, values):
        return self._node("Concat", *values, axis=1)

    def residual(self, x, branch):
        return self._node("Add", x, self._node("Mul", branch, "residual"))

    def add(self, x, y):
        return self._node("Add", x, y)

    def twice(self, x):
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._node("Resize", x, "", "twice", **nearest)


def onnx_model(net, height, width):
    """The network as an ONNX model for images of one size, from "image" to "enlarged"."""
    from onnx import TensorProto, helper

    graph = Onnx()
    out = walk(net, graph, "image")
    graph.nodes[-1].output[0] = "enlarged"
    assert out.startswith("Conv")
    sizes = {"image": (height, width), "enlarged": (height * net.scale, width * net.scale)}
    image, enlarged = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *size]) for name, size in sizes.items()
    )
    built = helper.make_graph(graph.nodes, "RRDBNet", [image], [enlarged], graph.tensors)
    return helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Ncnn:
    """ncnn's text of layers and its file of weights; values are names, and one that is read twice needs a Split."""

    def __init__(self):
        self.layers = [("Input", "image", [], "")]
        self.weights = []

    def _layer(self, kind, inputs, options):
        out = f"{kind}_{len(self.layers)}"
        self.layers.append((kind, out, list(inputs), options))
        return out

    def conv(self, name, layer, x, activate=False):
        n, c, d = layer.shape
        options = f"0={n} 1={d} 4={d // 2} 5=1 6={n * c * d * d}" + (f" 9=2 -23310=1,{SLOPE}" if activate else "")
        plain = np.zeros(1, np.float32)  # the mark of weights in float32
        self.weights += [plain, layer.kernel().astype(np.float32).ravel(), layer.bias.astype(np.float32)]
        return self._layer("Convolution", [x], options)

    def concat(self, values):
        return self._layer("Concat", values, "0=0")

    def residual(self, x, branch):
        return self._layer("Eltwise", [x, branch], f"0=1 -23301=2,1.0,{RESIDUAL}")

    def add(self, x, y):
        return self._layer("Eltwise", [x, y], "0=1")

    def twice(self, x):
        return self._layer("Interp", [x], "0=1 1=2.0 2=2.0")

    def text(self):
        """The .param file."""
        readers = Counter(value for _, _, inputs, _ in self.layers for value in inputs)
        copies = {value: iter(range(count)) for value, count in readers.items() if count > 1}
        lines, blobs = [], 0
        for kind, out, inputs, options in self.layers:
            read = [f"{value}_{next(copies[value])}" if value in copies else value for value in inputs]
            lines.append(f"{kind} {out} {len(read)} 1 {' '.join([*read, out])} {options}")
            blobs += 1
            if out in copies:
                outs = [f"{out}_{i}" for i in range(readers[out])]
                lines.append(f"Split split_{out} 1 {len(outs)} {' '.join([out, *outs])}")
                blobs += len(outs)
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n"

    def write(self, stem: Path):
        """Write `stem`.param and `stem`.bin."""
        stem.with_suffix(".param").write_text(self.text(), encoding="ascii")
        stem.with_suffix(".bin").write_bytes(np.concatenate(self.weights).astype("<f4").tobytes())
