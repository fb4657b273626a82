"""Moments of patches, and a layer fitted to them."""

import contextlib

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st
from reference import EPS

import lowrank_sr as lsr
from lowrank_sr import layers
from lowrank_sr.compression import factorise, fit, patch_statistics, ridge, serial_blas, stacks
from lowrank_sr.compression.calibration import calibrated
from lowrank_sr.compression.patch_statistics import Moments
from lowrank_sr.errors import InputError


def patches_of(inputs):
    """Every patch that touches the maps, (pixels, C d²), in float64."""
    padded = np.pad(inputs.astype(float), ((0, 0), (2, 2), (2, 2), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).reshape(-1, 9 * inputs.shape[3])


def moments_by_hand(inputs, outputs):
    patches, values = patches_of(inputs), outputs.reshape(-1, outputs.shape[3])
    joint, size = np.cov(np.hstack([patches, values]).T, bias=True), patches.shape[1]
    return Moments(
        len(patches),
        patches.mean(axis=0),
        joint[:size, :size],
        values.mean(axis=0, dtype=float),
        np.diag(joint)[size:],
        joint[size:, :size],
    )


def assert_same_moments(found, expected):
    """Sums in float32 of numbers below 10: each product is below 100, and n of them, divided by n, differ by n eps."""
    assert found.pixels == expected.pixels
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=100 * 50 * EPS)


def maps(rng, shape, offset=0.0):
    return (rng.uniform(-4, 4, shape) + offset).astype(np.float32)


def test_moments_are_those_of_the_patches():
    rng = np.random.default_rng(1)
    inputs, outputs = maps(rng, (3, 8, 9, 4), 5), maps(rng, (3, 10, 11, 2), -3)
    found = patch_statistics.patch_moments(inputs, lambda x: outputs)
    assert_same_moments(found, moments_by_hand(inputs, outputs))


@given(height=st.integers(1, 6), width=st.integers(1, 6), channels=st.integers(1, 5), seed=st.integers(0, 99))
def test_moments_of_maps_of_any_size(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    inputs, outputs = maps(rng, (2, height, width, channels)), maps(rng, (2, height + 2, width + 2, 3))
    found = patch_statistics.patch_moments(inputs, lambda x: outputs)
    assert_same_moments(found, moments_by_hand(inputs, outputs))


def test_what_is_known_of_a_dense_block_is_used_within_it_alone(monkeypatch):
    """Layers of different inputs in turn, some not measured: the moments are those of each layer by itself."""
    rng = np.random.default_rng(4)
    blocks = {f"RRDB_trunk.{i}.RDB3": maps(rng, (2, 6, 7, 5)) for i in range(2)}
    outputs = maps(rng, (2, 8, 9, 2))
    reused = []
    sums = patch_statistics._sums

    def counted(inputs, outputs, old):
        reused.append(old)
        return sums(inputs, outputs, old)

    monkeypatch.setattr(patch_statistics, "_sums", counted)
    moments = patch_statistics.LayerMoments()
    first, second = blocks
    layers_in_turn = {
        "conv_first": blocks[first][..., :2],
        f"{first}.conv1": blocks[first][..., :3],
        f"{first}.conv3": blocks[first],
        f"{second}.conv2": blocks[second][..., :4],
        f"{second}.conv3": blocks[second],
        "trunk_conv": blocks[first],
        "HRconv": blocks[second],
    }
    for name, inputs in layers_in_turn.items():
        found = moments.measure(name, [patch_statistics.bordered(inputs)], [outputs])
        assert_same_moments(found, moments_by_hand(inputs, outputs))
    assert reused == [0, 0, 3, 0, 4, 0, 0]


def test_moments_of_several_stacks_are_those_of_all_their_pixels():
    rng = np.random.default_rng(5)
    inputs, outputs = maps(rng, (4, 6, 7, 3)), maps(rng, (4, 8, 9, 2))
    inputs[2:] += 1
    stacks_of = (patch_statistics.bordered(inputs[part]) for part in (slice(0, 3), slice(3, 4)))
    found = patch_statistics.LayerMoments().measure("HRconv", stacks_of, iter([outputs[:3], outputs[3:]]))
    assert_same_moments(found, moments_by_hand(inputs, outputs))


def test_moments_of_two_parts_together_are_those_of_all_their_pixels():
    rng = np.random.default_rng(6)
    inputs, outputs = maps(rng, (4, 6, 7, 3)), maps(rng, (4, 8, 9, 2))
    inputs[3:] += 1
    outputs[3:] -= 2
    parts = [patch_statistics.patch_moments(inputs[i], lambda x, i=i: outputs[i]) for i in (slice(0, 3), slice(3, 4))]
    assert_same_moments(patch_statistics.together(*parts), moments_by_hand(inputs, outputs))


@pytest.mark.parametrize(("pixels", "noise"), [(60, 0.0), (6, 4.0), (3, 2.0)])
def test_the_ridge_is_that_of_the_least_error_on_what_is_apart(pixels, noise):
    """From much without noise the least of all ridges; from little with noise whichever errs least, counted out."""
    rng = np.random.default_rng(8)
    kernel = rng.standard_normal((4, 3, 3, 3), dtype=np.float32)
    truth = stacks.on_stacks(layers.Dense(kernel, np.ones(4, np.float32)), "im2col")
    layer = layers.Dense(kernel + 0.3 * rng.standard_normal(kernel.shape, dtype=np.float32), np.zeros(4, np.float32))
    metric = np.diag([4.0, 1.0, 1.0, 0.1])
    inputs = [rng.standard_normal((1, side, side, 3), dtype=np.float32) for side in (pixels, 40)]
    outputs = [truth(patch_statistics.bordered(x)) for x in inputs]
    outputs = [t + noise * rng.standard_normal(t.shape, dtype=np.float32) for t in outputs]
    seen, apart = (patch_statistics.patch_moments(x, lambda _, t=t: t) for x, t in zip(inputs, outputs, strict=True))

    def error(strength):
        fitted = factorise.dense_to_outputs(layer, seen, strength)
        e = patches_of(inputs[1]) @ fitted.weight.reshape(4, -1).T + fitted.bias - outputs[1].reshape(-1, 4)
        return np.einsum("pi,ij,pj->", e, metric, e)

    best = min(ridge.RIDGES, key=error)
    assert ridge.least_ridge(layer, seen, apart, metric) == best
    assert (best == min(ridge.RIDGES)) == (noise == 0)


@pytest.mark.parametrize(("form", "rank"), [("svd", 15), ("cp", 60), ("svd", 4), ("cp", 12)])
def test_a_fit_finds_the_layer_that_made_the_outputs(form, rank):
    """Outputs of another kernel, with another bias; 15 and 60 are enough for any kernel, were there no ridge."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 24, 24, 5), dtype=np.float32)
    kernel = rng.standard_normal((6, 5, 3, 3), dtype=np.float32)
    truth = layers.Dense(kernel, rng.standard_normal(6, dtype=np.float32))
    start = layers.Dense(kernel + 0.1 * rng.standard_normal(kernel.shape, dtype=np.float32), np.zeros(6, np.float32))
    outputs = stacks.on_stacks(truth, "im2col")
    seen = patch_statistics.patch_moments(x, outputs)
    found, error = factorise.to_outputs(start, form, rank, seen, np.eye(6))
    if rank >= 15:
        assert error < {"svd": 0.001, "cp": 0.02}[form]  # CP is not convex: 8 rounds leave a little
    around = patch_statistics.bordered(x)
    left = outputs(around) - stacks.on_stacks(found, "im2col")(around)
    # its square is a difference of sums in float32, each within a few eps of 1
    expected = np.square(left).mean() / outputs(around).var(axis=(0, 1, 2)).mean()
    assert error**2 == pytest.approx(expected, rel=1e-3, abs=10 * EPS)
    np.testing.assert_allclose(left.mean(axis=(0, 1, 2)), 0, atol=1e-5)  # the bias takes the mean: float32 rounding


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_a_fit_spares_the_outputs_that_the_picture_sees(form):
    """Of two halves of the outputs one is worth a hundred times as much: it gets the better part of the rank."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((2, 24, 24, 5), dtype=np.float32)
    layer = layers.Dense(rng.standard_normal((6, 5, 3, 3), dtype=np.float32), np.zeros(6, np.float32))
    output = stacks.on_stacks(layer, "im2col")
    seen = patch_statistics.patch_moments(x, output)
    losses = {}
    for name, metric in (("alike", np.eye(6)), ("weighted", np.diag([100.0] * 3 + [1.0] * 3))):
        found, _ = factorise.to_outputs(layer, form, 6, seen, metric)
        e = (output(x) - stacks.on_stacks(found, "im2col")(x)).reshape(-1, 6)
        losses[name] = np.square(e[:, :3]).mean(), np.square(e).mean()
    assert losses["weighted"][0] < 0.5 * losses["alike"][0]
    assert losses["alike"][1] < losses["weighted"][1]


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_a_kernel_of_zeros_has_no_error(form):
    zeros = layers.Dense(np.zeros((6, 5, 3, 3), np.float32), np.ones(6, np.float32))
    factorised, error = factorise.from_kernel(zeros, form, 3)
    assert error == 0
    assert not factorised.kernel().any()


@pytest.mark.parametrize("form", ["svd", "cp"])
def test_a_layer_a_thread_gives_each_layer_the_factors_it_has_alone(form):
    dense = {name: layers.random_layer((6, c, 3)) for name, c in (("a", 4), ("b", 7), ("c", 5))}
    reported = []
    found = factorise.from_kernels(dense, form, {"c": 2, "a": 3}, 1, lambda: reported.append(None))
    assert list(found) == ["c", "a"]
    assert len(reported) == 2
    for name, rank in (("c", 2), ("a", 3)):
        alone, error = factorise.from_kernel(dense[name], form, rank, 1)
        assert found[name][1] == error
        assert all(np.array_equal(found[name][0].arrays()[key], array) for key, array in alone.arrays().items())


def test_what_fails_on_a_thread_is_raised():
    with pytest.raises(InputError, match="rank"):
        factorise.from_kernels({"a": layers.random_layer((6, 4, 3))}, "svd", {"a": 99}, 0, lambda: None)


@pytest.mark.parametrize(("channels", "threads"), [(16, 1), (112, 1), (192, 2)])
def test_small_layers_are_solved_on_one_thread_of_blas(monkeypatch, channels, threads):
    """A pool of two threads: small matrices get one of them, large ones both, and afterwards it is as it was."""
    pool = [2]

    @contextlib.contextmanager
    def blas_threads(count):
        pool.append(count)
        yield
        pool.pop()

    monkeypatch.setattr(serial_blas, "blas_threads", blas_threads)
    monkeypatch.setattr(serial_blas, "thread_count", lambda: 2)
    with serial_blas.serial_blas((4, channels, 3)):
        assert pool[-1] == threads
    assert pool == [2]


def test_the_callers_threads_are_restored():
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    before = [library["num_threads"] for library in controller.info()]
    with serial_blas.serial_blas((64, 64, 3)):
        assert {library["num_threads"] for library in controller.info()} == {1}
    assert [library["num_threads"] for library in controller.info()] == before


def test_a_dense_layer_is_fitted_by_least_squares():
    """Without a ridge the kernel and bias of least squares; the ridge is 1e-3 of the inputs' variance."""
    rng = np.random.default_rng(4)
    inputs, outputs = maps(rng, (4, 12, 13, 3)), maps(rng, (4, 14, 15, 5))
    layer = layers.Dense(maps(rng, (5, 3, 3, 3)), maps(rng, (5,)))
    fitted = factorise.dense_to_outputs(layer, patch_statistics.patch_moments(inputs, lambda x: outputs))
    patches, values = patches_of(inputs), outputs.reshape(-1, 5).astype(float)
    mean, variance = patches.mean(axis=0), np.var(patches, axis=0).mean()
    centred = np.vstack([patches - mean, np.sqrt(1e-3 * variance * len(patches)) * np.eye(27)])
    wanted = np.vstack([values - values.mean(axis=0), centred[len(patches) :] @ layer.weight.reshape(5, 27).T])
    kernel = np.linalg.lstsq(centred, wanted, rcond=None)[0].T
    np.testing.assert_allclose(fitted.weight.reshape(5, 27), kernel, atol=1e-4 * np.abs(kernel).max())
    np.testing.assert_allclose(fitted.bias, values.mean(axis=0) - kernel @ mean, atol=1e-3)


def test_a_layer_is_fitted_to_all_crops_with_the_ridge_that_was_chosen(monkeypatch):
    """The layers behind the first factorised one, dense and factorised, of a network of crops in five stacks."""
    net = lsr.RRDBNet.random(num_feat=6, num_block=1, num_grow_ch=4, method="im2col")
    low = np.random.default_rng(3).random((18, 8, 8, 3), dtype=np.float32)
    seen, names, given, chosen = calibrated(net, low, 0), [], [], iter(np.geomspace(1e-4, 1, 100))

    def least_ridge(layer, most, others, metric):
        given.append((most.pixels, others.pixels, next(chosen)))
        return given[-1][2]

    monkeypatch.setattr(fit, "least_ridge", least_ridge)
    for function in ("to_outputs", "dense_to_outputs"):
        original = getattr(factorise, function)

        def spied(layer, *arguments, original=original):
            moments, ridge = (arguments[2], arguments[5]) if len(arguments) > 2 else arguments
            names.append((moments.pixels, ridge))
            return original(layer, *arguments)

        monkeypatch.setattr(factorise, function, spied)
    fit.factorised(net, "svd", {"RRDB_trunk.0.RDB1.conv1": 3, "HRconv": 4}, seen, 0, lambda: None)
    assert len(names) == len(given) == len(net.layers) - 1
    assert names == [(most + others, ridge) for most, others, ridge in given]
    assert given[0][:2] == (14 * 100, 4 * 100)  # pixels of crops with their border; the first stack is apart
