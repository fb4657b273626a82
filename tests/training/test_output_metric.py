"""The metric of a layer's output predicts what a small error there does to the picture."""

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.network.esrgan import forward
from lowrank_sr.training.output_metric import output_metrics


@pytest.fixture(scope="module")
def net():
    return lsr.RRDBNet.random(num_feat=12, num_block=1, num_grow_ch=6, scale=2, method="im2col")


@pytest.fixture(scope="module")
def low():
    return np.random.default_rng(0).random((24, 10, 10, 3), dtype=np.float32)


@pytest.mark.parametrize(
    "name", ["conv_first", "RRDB_trunk.0.RDB1.conv2", "RRDB_trunk.0.RDB3.conv5", "trunk_conv", "upconv1", "HRconv"]
)
def test_noise_in_a_layer_changes_the_picture_by_as_much_as_the_metric_says(net, low, name):
    """Independent from pixel to pixel, but not from channel to channel."""
    rng = np.random.default_rng(1)
    run = {each: on_stacks(layer, net.method) for each, layer in net.layers.items()}
    n = net.layers[name].shape[0]
    mix = rng.standard_normal((n, n)) / n
    size = 1e-2  # of float32's rounding 1e-5, and small enough for a Jacobian

    def noisy(each, x):
        out = run[each](x)
        return out + (size * rng.standard_normal(out.shape) @ mix).astype(np.float32) if each == name else out

    reference = forward(net.architecture, low, lambda each, x: run[each](x))
    change = np.mean([np.square(forward(net.architecture, low, noisy) - reference).mean() for _ in range(8)])
    metric = np.mean([output_metrics(net, low, seed)[name] for seed in range(8)], axis=0)
    expected = size**2 * np.trace(mix @ metric @ mix.T)
    # both are means over 24 crops of 100 pixels, of signs or noise, eight times: within a few per cent of each other
    assert change == pytest.approx(expected, rel=0.1)


def test_the_picture_s_own_values_count_as_they_are(net, low):
    metric = output_metrics(net, low, 0)["conv_last"]
    assert np.trace(metric) == pytest.approx(1, rel=1e-5)  # a third for each channel: sums of float32


def test_the_seed_decides_and_a_last_stack_may_be_smaller(net, low):
    a, b, c = (output_metrics(net, low, seed)["HRconv"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
