"""The same network in PyTorch, ONNX Runtime and OpenVINO: functions from an (H, W, 3) image to the enlarged one.

Each builder takes an RRDBNet, the image's height and width, and a number of threads; it raises ImportError where the
peer is not installed.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # torch_rrdbnet: the network as its authors wrote it


def pytorch(net, height, width, threads):
    """PyTorch, feature maps in NCHW order."""
    return _pytorch(net, threads, channels_last=False)


def pytorch_channels_last(net, height, width, threads):
    """PyTorch, feature maps in NHWC order."""
    return _pytorch(net, threads, channels_last=True)


def _pytorch(net, threads, channels_last):
    import torch
    import torch_rrdbnet

    torch.set_num_threads(threads)
    order = torch.channels_last if channels_last else torch.contiguous_format
    twin = torch_rrdbnet.like(net).to(memory_format=order)

    def run(image):
        with torch.inference_mode():
            batch = torch.from_numpy(image.transpose(2, 0, 1)[None]).contiguous(memory_format=order)
            return twin(batch)[0].numpy().transpose(1, 2, 0)

    return run


def onnx_runtime(net, height, width, threads):
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = onnx_model(net, height, width).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image.transpose(2, 0, 1)[None]})[0][0].transpose(1, 2, 0)


def openvino(net, height, width, threads):
    """OpenVINO on the CPU, held to float32, which it would leave where the processor has bfloat16."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(onnx_model(net, height, width).SerializeToString())
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", settings)
    return lambda image: compiled([np.ascontiguousarray(image.transpose(2, 0, 1)[None])])[0][0].transpose(1, 2, 0)


PEERS = {
    "PyTorch": pytorch,
    "PyTorch channels last": pytorch_channels_last,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
}


def onnx_model(net, height, width):
    """The network as an ONNX graph for images of one size, operator for operator as the authors wrote it."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []

    def constant(name, array):
        tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(operator, *inputs, **attributes):
        out = f"{operator}_{len(nodes)}"
        nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def conv(name, x):
        layer = net.layers[name]
        weight, bias = constant(f"{name}.weight", layer.kernel()), constant(f"{name}.bias", layer.bias)
        return node("Conv", x, weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def leaky(x):
        return node("LeakyRelu", x, alpha=0.2)

    def residual(x, branch):
        return node("Add", x, node("Mul", branch, "residual_scale"))

    constant("residual_scale", np.float32(0.2))
    constant("twice", np.array([1, 1, 2, 2], np.float32))
    design = net.architecture
    features = conv("conv_first", "image")
    trunk = features
    for block in range(design.num_block):
        entry = trunk
        for dense_block in range(1, 4):
            x, grown = trunk, [trunk]
            for k in range(1, 6):
                joined = node("Concat", *grown, axis=1) if k > 1 else x
                grown.append(conv(f"RRDB_trunk.{block}.RDB{dense_block}.conv{k}", joined))
                if k < 5:
                    grown[-1] = leaky(grown[-1])
            trunk = residual(x, grown[-1])
        trunk = residual(entry, trunk)
    features = node("Add", features, conv("trunk_conv", trunk))
    for i in range(1, design.upsamplings + 1):
        larger = node(
            "Resize",
            features,
            "",
            "twice",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        features = leaky(conv(f"upconv{i}", larger))
    out = conv("conv_last", leaky(conv("HRconv", features)))

    shape = [1, 3, height, width]
    enlarged = [1, 3, height * net.scale, width * net.scale]
    graph = helper.make_graph(
        nodes,
        "RRDBNet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, enlarged)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
