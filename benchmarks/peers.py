"""The same network in other frameworks: functions from an (H, W, 3) image to the enlarged one.

Each builder takes an RRDBNet, the image's height and width, and a number of threads; it raises ImportError where the
peer is not installed. All compute in float32, but for OpenVINO at the precision that it chooses itself.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from graphs import Ncnn, onnx_model, walk

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
            return twin(torch.from_numpy(batch(image)).contiguous(memory_format=order))[0].numpy().transpose(1, 2, 0)

    return run


def batch(image):
    """(H, W, C) -> (1, C, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def onnx_runtime(net, height, width, threads):
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = onnx_model(net, height, width).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": batch(image)})[0][0].transpose(1, 2, 0)


def openvino(net, height, width, threads):
    """OpenVINO on the CPU, held to float32."""
    return _openvino(net, height, width, threads, INFERENCE_PRECISION_HINT="f32")


def openvino_default(net, height, width, threads):
    """OpenVINO on the CPU as it comes: in bfloat16 where the processor has instructions for it."""
    return _openvino(net, height, width, threads)


def _openvino(net, height, width, threads, **settings):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(onnx_model(net, height, width).SerializeToString())
    settings |= {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", settings)
    return lambda image: compiled([batch(image)])[0][0].transpose(1, 2, 0)


def mnn(net, height, width, threads):
    """MNN on the CPU, its graph made by its own converter from ONNX, at the precision that it calls high: float32."""
    import MNN
    import MNN.expr as expr

    # The converter itself: MNN.tools.mnnconvert, when imported, has pip install a package that logs to its makers.
    from _tools import mnnconvert

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "net.onnx"), Path(folder, "net.mnn")
        source.write_bytes(onnx_model(net, height, width).SerializeToString())
        files = ["--modelFile", str(source), "--MNNModel", str(target)]
        mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "net"])
        runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads, "precision": "high"},))
        module = MNN.nn.load_module_from_file(str(target), ["image"], ["enlarged"], runtime_manager=runtime)

    def run(image):
        x = expr.const(batch(image), [1, 3, height, width], expr.NCHW)
        return expr.convert(module.forward(x), expr.NCHW).read()[0].transpose(1, 2, 0)

    run.runtime = runtime  # which the module needs, and does not hold
    return run


def ncnn(net, height, width, threads):
    """ncnn on the CPU, in float32, with the choice of algorithms that it makes by itself."""
    import ncnn

    graph, twin = Ncnn(), ncnn.Net()
    out = walk(net, graph, "image")
    twin.opt.num_threads, twin.opt.use_vulkan_compute = threads, False
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(twin.opt, f"use_{half}", False)
    with tempfile.TemporaryDirectory() as folder:
        graph.write(Path(folder, "net"))
        twin.load_param(str(Path(folder, "net.param")))
        twin.load_model(str(Path(folder, "net.bin")))

    def run(image):
        planes = batch(image)[0]  # a name of its own: the Mat is only a view of it
        with twin.create_extractor() as extractor:
            extractor.input("image", ncnn.Mat(planes))
            return np.array(extractor.extract(out)[1]).transpose(1, 2, 0)

    return run


PEERS = {
    "PyTorch": pytorch,
    "PyTorch channels last": pytorch_channels_last,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
    "OpenVINO default": openvino_default,
    "ncnn": ncnn,
    "MNN": mnn,
}
