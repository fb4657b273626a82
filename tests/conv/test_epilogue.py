"""Each term of y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer by itself; all at once in test_conv.py."""

import numpy as np
import pytest
from reference import EPS, EVERY_WAY, error_bound, exact_convolution, exact_layer, random_layer, rounding_error

from lowrank_sr.conv.epilogue import NOTHING, Epilogue, operands
from lowrank_sr.conv.feature_map import allocate, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Dense
from lowrank_sr.machine.cpu import LANES, NR

HEIGHT, WIDTH, CHANNELS = 5, 7, 6

TERMS = {
    "bias": {},
    "LeakyReLU": {"slope": 0.2},
    "scale": {"scale": 0.25},
    "skip": {"skip": True, "skip_scale": 0.5},
    "outer": {"outer": True},
}


IN_PLACE = {
    "skip": {"added": ["skip"], "in place": ["skip"]},
    "outer": {"added": ["outer"], "in place": ["outer"]},
    "skip, with outer": {"added": ["skip", "outer"], "in place": ["skip"]},
    "outer, with skip": {"added": ["skip", "outer"], "in place": ["outer"]},
    "both": {"added": ["skip", "outer"], "in place": ["skip", "outer"]},
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("n", [1, LANES, LANES + 1, NR + 3])
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


@EVERY_WAY
@pytest.mark.parametrize("terms", IN_PLACE.values(), ids=IN_PLACE)
@pytest.mark.parametrize("n", [NR, NR + 3])
def test_the_result_may_take_the_place_of_what_is_added(kind, method, terms, n):
    """13 x 14 pixels: Winograd's tiles of 6 x 6, four of them whole, those at the edges cut off."""
    rng = np.random.default_rng(n)
    height, width = 13, 14
    layer = random_layer(kind, rng, n, CHANNELS, 7)
    x = from_array(rng.standard_normal((height, width, CHANNELS)))
    addends = {name: from_array(rng.standard_normal((height, width, n))) for name in ("skip", "outer")}
    factors = {"slope": 0.2, "scale": 0.25, "skip_scale": 0.5}
    apart = allocate(height, width, n)
    run = convolution(layer, method)

    def epilogue(**maps):
        return Epilogue(layer.bias, **factors, **{name: maps[name] for name in terms["added"]})

    run(x, apart, epilogue(**addends))
    same = addends[terms["in place"][0]]
    if len(terms["in place"]) == 2:  # the same map twice
        addends = {"skip": same, "outer": same}
        run(x, apart, epilogue(**addends))
    exact = exact_layer(x.array, layer)
    exact = 0.25 * np.where(exact > 0, exact, 0.2 * exact)
    for name in terms["added"]:
        exact += {"skip": 0.5, "outer": 1.0}[name] * addends[name].array

    run(x, same, epilogue(**addends))
    np.testing.assert_array_equal(same.buffer, apart.buffer)  # the border of zeros too

    # the epilogue rounds four times, each at most eps / 2 of numbers below 8
    bound = error_bound(x.array, layer, method) + 16 * EPS
    assert (np.abs(apart.array - exact) <= bound).all()


def test_operands_refer_to_the_arrays():
    out, bias = allocate(3, 4, 5), np.zeros(5, np.float32)
    (operand,) = operands([out], [Epilogue(bias, slope=0.2, scale=0.5, skip=out, skip_scale=2.0)])
    assert operand["out"]["start"] == operand["skip"]["start"] == out.array.ctypes.data
    assert operand["bias"] == bias.ctypes.data
    assert operand["outer"]["channels"] == NOTHING.channels == 0
    factors = [operand[name] for name in ("slope", "scale", "skip_scale")]
    assert factors == [np.float32(0.2), np.float32(0.5), np.float32(2.0)]


@pytest.mark.parametrize("name", ["skip", "outer"])
def test_a_map_of_another_size_is_not_added(name):
    out, bias = allocate(3, 4, 5), np.zeros(5, np.float32)
    for size in [(4, 4, 5), (3, 5, 5), (3, 4, 4)]:
        with pytest.raises(ValueError, match=r"must be \(3, 4, 5\)"):
            operands([out], [Epilogue(bias, **{name: allocate(*size)})])
