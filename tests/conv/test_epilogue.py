"""Each term of y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer by itself; all at once in test_conv.py."""

import numpy as np
import pytest
from reference import EPS, exact_convolution, rounding_error

from lowrank_sr.conv.epilogue import NOTHING, Epilogue, operands
from lowrank_sr.conv.feature_map import allocate, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense
from lowrank_sr.machine.cpu import LANES, PANEL

HEIGHT, WIDTH, CHANNELS = 5, 7, 6

TERMS = {
    "bias": {},
    "LeakyReLU": {"slope": 0.2},
    "scale": {"scale": 0.25},
    "skip": {"skip": True, "skip_scale": 0.5},
    "outer": {"outer": True},
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("n", [1, LANES, LANES + 1, PANEL + 3])
def test_each_term(terms, n):
    rng = np.random.default_rng(n)
    weight = rng.standard_normal((n, CHANNELS, 3, 3), dtype=np.float32) / np.float32(3 * CHANNELS**0.5)
    layer = Dense(weight, rng.standard_normal(n, dtype=np.float32))
    x = rng.standard_normal((HEIGHT, WIDTH, CHANNELS), dtype=np.float32)
    addend = rng.standard_normal((HEIGHT, WIDTH, n), dtype=np.float32)
    maps = {name: from_array(addend) for name in ("skip", "outer") if terms.get(name)}
    out = np.empty((HEIGHT, WIDTH, n), np.float32)
    convolution(layer, "direct")(from_array(x), unpadded(out), Epilogue(layer.bias, **{**terms, **maps}))

    exact = exact_convolution(x, layer.weight, layer.bias)
    exact = np.where(exact > 0, exact, terms.get("slope", 1.0) * exact) * terms.get("scale", 1.0)
    exact += addend * (terms.get("skip_scale", 1.0) if maps else 0.0)
    # after the sums at most two roundings, of eps / 2 each, of numbers no larger than these
    rounding = EPS * (np.abs(exact) + np.abs(addend))
    assert (np.abs(out - exact) <= rounding_error(x, layer.weight, layer.bias) + rounding).all()


def test_operands_refer_to_the_arrays():
    x, out, bias = allocate(3, 4, 2), allocate(3, 4, 5), np.zeros(5, np.float32)
    (operand,) = operands(x, out, Epilogue(bias, slope=0.2, scale=0.5, skip=out, skip_scale=2.0))
    assert operand["x"]["start"] == x.array.ctypes.data
    assert operand["out"]["start"] == operand["skip"]["start"] == out.array.ctypes.data
    assert operand["bias"] == bias.ctypes.data
    assert operand["outer"]["channels"] == NOTHING.channels == 0
    factors = [operand[name] for name in ("slope", "scale", "skip_scale")]
    assert factors == [np.float32(0.2), np.float32(0.5), np.float32(2.0)]


@pytest.mark.parametrize("name", ["skip", "outer"])
def test_a_map_of_another_size_is_not_added(name):
    x, out, bias = allocate(3, 4, 2), allocate(3, 4, 5), np.zeros(5, np.float32)
    for size in [(4, 4, 5), (3, 5, 5), (3, 4, 4)]:
        with pytest.raises(ValueError, match=r"must be \(3, 4, 5\)"):
            operands(x, out, Epilogue(bias, **{name: allocate(*size)}))
