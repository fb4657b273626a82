"""Every gradient of the network: against PyTorch, and against differences of the network itself, in float64."""

import numpy as np
import pytest
from exact_network import exact_network, in_float64, kernel_of
from kinks import random_layers, without_kinks
from reference import EPS

from lowrank_sr.network.architecture import Architecture
from lowrank_sr.training.layer import prepare
from lowrank_sr.training.walk import Walk

X4 = Architecture(num_feat=8, num_block=1, num_grow_ch=4, upsamplings=2, in_channels=3, out_channels=3)
X1 = Architecture(7, 1, 3, 0, 3, 3)
CASES = {
    "x4, dense": (X4, ["dense"], (2, 5, 3)),
    "x4, SVD": (X4, ["svd"], (2, 5, 3)),
    "x4, CP": (X4, ["cp"], (2, 5, 3)),
    "x2, mixed": (Architecture(10, 2, 5, 1, 1, 1), ["cp", "dense", "svd", "svd"], (2, 3, 7)),
    "x1, mixed": (X1, ["svd", "dense", "cp", "dense"], (3, 9, 4)),
    "x1, a block of rank 0": (X1, ["svd"] * 6 + ["svd of rank 0"] * 3 + ["cp of rank 0"] * 2 + ["cp"] * 8, (2, 9, 4)),
    "x1, some of rank 0": (X1, ["svd", "dense", "cp of rank 0", "svd of rank 0", "dense"], (2, 5, 4)),
    "x4, wide": (Architecture(20, 1, 17, 2, 3, 3), ["dense", "svd", "cp"], (1, 3, 5)),
    "x2, unshuffled": (Architecture(8, 1, 4, 2, 12, 3), ["svd", "dense", "cp"], (2, 6, 10)),
    "x1, unshuffled": (Architecture(8, 1, 4, 2, 48, 3), ["dense", "cp"], (1, 8, 12)),
}
TOLERANCE = 1e-4  # of an array's gradient, in norm: the issue's; float32 sums of 1e4 terms are off by 1e-5


def relative_error(a, b):
    return np.linalg.norm(a - b) / (np.linalg.norm(b) or 1)


def gradients(design, layers, images, d_out):
    walk, prepared = Walk(design, *images.shape[:3]), prepare(layers)
    walk.forward(prepared, images[::-1]).backward(d_out[::-1])  # what a pass leaves behind does not matter to the next
    walk.forward(prepared, images[::-1])
    run = walk.forward(prepared, images)
    return run.out, *run.backward(d_out)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    design, forms, (count, height, width) = CASES[request.param]
    rng = np.random.default_rng(0)
    images = rng.random((count, height, width, design.image_channels), dtype=np.float32)
    layers = without_kinks(design, forms, images)
    shape = (count, design.scale * height, design.scale * width, design.out_channels)
    return design, layers, images, rng.standard_normal(shape, dtype=np.float32)


def test_gradients_equal_pytorch(case):
    torch = pytest.importorskip("torch")
    from torch_rrdbnet import TorchRRDBNet

    design, layers, images, d_out = case
    out, ours, d_images = gradients(design, layers, images, d_out)

    def tensor(array):
        return torch.from_numpy(array.astype(float)).requires_grad_()

    arrays = {name: {field: tensor(a) for field, a in layer.arrays().items()} for name, layer in layers.items()}
    weights = {f"{name}.weight": kernel_of(fields, torch.einsum) for name, fields in arrays.items()}
    biases = {f"{name}.bias": fields["bias"] for name, fields in arrays.items()}
    x = tensor(images.transpose(0, 3, 1, 2))
    y = torch.func.functional_call(TorchRRDBNet(design).double(), weights | biases, (x,))
    y.backward(torch.from_numpy(d_out.transpose(0, 3, 1, 2).astype(float)))

    assert relative_error(out, y.detach().numpy().transpose(0, 2, 3, 1)) < TOLERANCE
    assert relative_error(d_images, x.grad.numpy().transpose(0, 2, 3, 1)) < TOLERANCE
    errors = {
        (name, field): relative_error(ours[name][field], a.grad.numpy())
        for name, fields in arrays.items()
        for field, a in fields.items()
    }
    assert max(errors.values()) < TOLERANCE, max(errors, key=errors.get)


@pytest.mark.parametrize("name", ["x1, mixed", "x4, SVD"])
def test_gradients_equal_central_differences(name):
    design, forms, (_, height, width) = CASES[name]
    rng = np.random.default_rng(1)
    images = rng.random((2, height, width, design.image_channels), dtype=np.float32)
    layers = without_kinks(design, forms, images)
    shape = (2, design.scale * height, design.scale * width, design.out_channels)
    d_out = rng.standard_normal(shape, dtype=np.float32)
    _, ours, d_images = gradients(design, layers, images, d_out)
    exact, step = in_float64(layers), 1e-7  # an error of step² from the third derivative, of eps / step from rounding

    def along(direction, set_to):
        """The derivative of sum(out d_out) along a direction, from two values of it."""
        values = []
        for sign in (1, -1):
            arrays, x = set_to(sign * step * direction)
            values.append(np.vdot(exact_network(design, arrays, x), d_out.astype(float)))
        return (values[0] - values[1]) / (2 * step)

    for layer, fields in exact.items():
        for field, array in fields.items():

            def moved(change, layer=layer, field=field, array=array, fields=fields):
                return exact | {layer: fields | {field: array + change}}, images

            direction = rng.standard_normal(array.shape)
            gradient = ours[layer][field]
            error = np.vdot(gradient, direction) - along(direction, moved)
            assert abs(error) < TOLERANCE * np.linalg.norm(gradient) * np.linalg.norm(direction), (layer, field)
    direction = rng.standard_normal(images.shape)
    error = np.vdot(d_images, direction) - along(direction, lambda change: (exact, images + change))
    assert abs(error) < TOLERANCE * np.linalg.norm(d_images) * np.linalg.norm(direction)


def test_crops_do_not_touch_each_other():
    rng = np.random.default_rng(0)
    images = rng.random((3, 5, 4, 3), dtype=np.float32)
    walk, layers = Walk(X4, 3, 5, 4), prepare(without_kinks(X4, ["dense", "cp"], images))
    before = walk.forward(layers, images).out
    images[[0, 2]] = rng.random((2, 5, 4, 3), dtype=np.float32)
    after = walk.forward(layers, images).out
    # a tile of Winograd's may reach into two crops: what is the other's cancels, to a few eps a layer
    np.testing.assert_allclose(after[1], before[1], rtol=0, atol=100 * EPS * np.abs(before[1]).max())
    assert relative_error(after[[0, 2]], before[[0, 2]]) > 0.01


def test_a_second_pass_needs_no_new_memory():
    rng = np.random.default_rng(0)
    images, d_out = rng.random((2, 5, 4, 3), dtype=np.float32), rng.random((2, 20, 16, 3), dtype=np.float32)
    walk, layers = Walk(X4, 2, 5, 4), prepare(random_layers(X4, ["dense", "svd"], 0))
    walk.forward(layers, images).backward(d_out)
    low = walk.low
    kept = {(stack, channels): len(maps) for (stack, channels), maps in walk.pool.maps.items()}
    assert kept == {
        (low, 3): 2,  # the pixels and their gradient
        (low, 8): 3 * 1 + 4,  # x of each dense block, what the last one gives, and gradients
        (low, 8 + 4 * 4): 3,  # a block and two gradients of it
        (low, 4): 1,
        (low.enlarged(2), 8): 3,
        (low.enlarged(4), 8): 3,
        (low.enlarged(4), 3): 2,  # the result and its gradient
    }
    walk.forward(layers, images).backward(d_out)
    assert {key: len(maps) for key, maps in walk.pool.maps.items()} == kept
