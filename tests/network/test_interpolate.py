"""Network interpolation: Wang et al. 2018, section 3.4."""

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main

A, B = (lsr.RRDBNet.random(4, 1, 2, seed=seed, method="direct") for seed in (0, 1))
OTHERS = {
    "num_block is 1 in one network and 2 in the other": lsr.RRDBNet.random(4, 2, 2),
    "num_feat is 4": lsr.RRDBNet.random(5, 1, 2),
    "upsamplings is 2 in one network and 1 in the other": lsr.RRDBNet.random(4, 1, 2, scale=2),
    r"RRDB_trunk\.0\.RDB1\.conv1 is Dense in one network and Separable of rank 2": lsr.compress(B, rank=2, images=()),
}


@pytest.mark.parametrize("alpha", [0, 0.25, 0.8, 1])
def test_every_parameter_lies_between(alpha):
    between = lsr.interpolate(A, B, alpha)
    for name, layer in between.layers.items():
        for field, array in layer.arrays().items():
            a, b = (getattr(net.layers[name], field).astype(np.float64) for net in (A, B))
            # three roundings of float32, each of at most half a unit in the last place of what is rounded
            np.testing.assert_allclose(
                array, (1 - alpha) * a + alpha * b, rtol=0, atol=2**-23 * (abs(a) + abs(b)).max(), strict=False
            )
    assert between.method == A.method
    assert between.meta["interpolation"]["alpha"] == alpha


def test_the_ends_are_the_networks_themselves():
    for alpha, net in ((0, A), (1, B)):
        for name, layer in lsr.interpolate(A, B, alpha).layers.items():
            for field, array in layer.arrays().items():
                np.testing.assert_array_equal(array, getattr(net.layers[name], field))


def test_factors_of_one_rank_are_parameters_too():
    small = lsr.compress(A, rank=2, images=())
    halfway = lsr.interpolate(small, small, 0.5)
    assert halfway.layers["trunk_conv"].rank == 2
    np.testing.assert_array_equal(halfway.layers["trunk_conv"].vertical, small.layers["trunk_conv"].vertical)


@pytest.mark.parametrize(("message", "other"), OTHERS.items(), ids=["blocks", "features", "scale", "form"])
def test_networks_that_have_nothing_between_them(message, other):
    with pytest.raises(lsr.InputError, match=message):
        lsr.interpolate(A, other, 0.5)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_out_of_range(alpha):
    with pytest.raises(lsr.InputError, match="expected 0 to 1"):
        lsr.interpolate(A, B, alpha)


def test_the_command(tmp_path, capsys):
    for name, net in {"a": A, "b": B, "larger": OTHERS["num_feat is 4"]}.items():
        net.save(tmp_path / f"{name}.npz")
    a, b, c, larger = (str(tmp_path / f"{name}.npz") for name in ("a", "b", "c", "larger"))
    assert main(["interpolate", a, b, "--alpha", "0.8", "-o", c]) == 0
    image = np.random.default_rng(0).random((6, 7, 3), dtype=np.float32)
    np.testing.assert_array_equal(lsr.load(c, "direct")(image), lsr.interpolate(A, B, 0.8)(image))
    assert main(["interpolate", a, larger, "--alpha", "0.8", "-o", c]) == 2
    assert f"{a} and {larger}: num_feat is 4 in one network and 5 in the other" in capsys.readouterr().err
    assert main(["interpolate", a, b, "--alpha", "2", "-o", c]) == 2
    assert main(["interpolate", a, b, "--alpha", "0.5", "-o", str(tmp_path / "c.pth")]) == 2
