"""Moments of patches, and a layer fitted to them."""

import contextlib

import numpy as np
import pytest
import threadpoolctl
from reference import EPS

from lowrank_sr import layers
from lowrank_sr.compression import factorise, patch_statistics, serial_blas, stacks
from lowrank_sr.errors import InputError


def test_moments_are_those_of_the_patches():
    rng = np.random.default_rng(1)
    inputs, outputs = rng.standard_normal((3, 8, 9, 4)) + 5, rng.standard_normal((3, 8, 9, 2)) - 3
    inputs, outputs = inputs.astype(np.float32), outputs.astype(np.float32)
    where = patch_statistics.positions(inputs, 50, seed=0)
    assert len(set(where)) == 50
    padded = np.pad(inputs.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).reshape(-1, 36)[where]
    found = patch_statistics.patch_moments(inputs, outputs, where)
    joint = np.cov(np.hstack([patches, outputs.reshape(-1, 2)[where]]).T, bias=True)
    # sums of 50 products in float32, each below 10^2 once the mean is off: 50 eps 100, divided by 50
    close = {"rtol": 0, "atol": 100 * EPS}
    np.testing.assert_allclose(found.mean, patches.mean(axis=0), **close)
    np.testing.assert_allclose(found.covariance, joint[:36, :36], **close)
    np.testing.assert_allclose(found.cross, joint[36:, :36], **close)
    np.testing.assert_allclose(found.output_variance, np.diag(joint)[36:], **close)
    part = patch_statistics.patch_moments(inputs[..., :3], outputs, where)
    grown = patch_statistics.patch_moments(inputs, outputs, where, part)
    for one, other in zip(grown, found, strict=True):
        np.testing.assert_allclose(one, other, **close)


def test_what_is_known_of_a_dense_block_is_used_within_it_alone(monkeypatch):
    """Layers of different inputs in turn, some not measured: the moments are those of each layer by itself."""
    rng = np.random.default_rng(4)
    blocks = {f"RRDB_trunk.{i}.RDB3": rng.random((2, 6, 7, 5), dtype=np.float32) for i in range(2)}
    outputs = rng.random((2, 6, 7, 2), dtype=np.float32)
    reused = []

    class Counted(patch_statistics.PatchSums):
        def __init__(self, known):
            reused.append(0 if known is None else len(known.mean) // 9)
            super().__init__(known)

    patch_moments = patch_statistics.patch_moments
    moments = patch_statistics.LayerMoments(count=50, seed=1)
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
    expected = {
        name: patch_moments(inputs, outputs, patch_statistics.positions(inputs, 50, seed=1))
        for name, inputs in layers_in_turn.items()
    }
    monkeypatch.setattr(patch_statistics, "PatchSums", Counted)
    for name, inputs in layers_in_turn.items():
        for one, other in zip(moments.measure(name, [inputs], [outputs]), expected[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=84 * EPS)  # 84 terms below 1
    assert reused == [0, 0, 3, 0, 4, 0, 0]


def test_moments_of_several_stacks_are_those_of_all_their_pixels():
    rng = np.random.default_rng(5)
    inputs, outputs = (rng.random((4, 6, 7, n), dtype=np.float32) for n in (3, 2))
    inputs[2:] += 1  # another mean than that of the first stack, which all products are relative to
    together = patch_statistics.patch_moments(inputs, outputs, np.arange(168))
    moments = patch_statistics.LayerMoments(count=168, seed=0)
    found = moments.measure("HRconv", [inputs[:2], inputs[2:]], iter([outputs[:2], outputs[2:]]))
    for one, other in zip(found, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=4 * 168 * EPS)  # 168 terms, each below 2 squared


def test_moments_over_several_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    inputs, outputs = (rng.random((2, 6, 7, n), dtype=np.float32) for n in (3, 2))
    whole = patch_statistics.patch_moments(inputs, outputs, np.arange(84))
    monkeypatch.setattr(patch_statistics, "BLOCK_PATCHES", 25)
    for one, other in zip(patch_statistics.patch_moments(inputs, outputs, np.arange(84)), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=84 * EPS)  # 84 terms below 1


@pytest.mark.parametrize(("form", "rank"), [("svd", 15), ("cp", 60), ("svd", 4), ("cp", 12)])
def test_a_fit_finds_the_layer_that_made_the_outputs(form, rank):
    """Outputs of another kernel, with another bias; 15 and 60 are enough for any kernel, were there no ridge."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 24, 24, 5), dtype=np.float32)
    kernel = rng.standard_normal((6, 5, 3, 3), dtype=np.float32)
    truth = layers.Dense(kernel, rng.standard_normal(6, dtype=np.float32))
    outputs = stacks.on_stacks(truth, "im2col")(x)
    start = layers.Dense(kernel + 0.1 * rng.standard_normal(kernel.shape, dtype=np.float32), np.zeros(6, np.float32))
    seen = patch_statistics.patch_moments(x, outputs, np.arange(2 * 24 * 24))
    found, error = factorise.to_outputs(start, form, rank, seen)
    if rank >= 15:
        assert error < {"svd": 0.001, "cp": 0.02}[form]  # CP is not convex: 8 rounds leave a little
    left = outputs - stacks.on_stacks(found, "im2col")(x)
    # its square is a difference of sums in float32, each within a few eps of 1
    expected = np.square(left).mean() / outputs.var(axis=(0, 1, 2)).mean()
    assert error**2 == pytest.approx(expected, rel=1e-3, abs=10 * EPS)
    np.testing.assert_allclose(left.mean(axis=(0, 1, 2)), 0, atol=1e-5)  # the bias takes the mean: float32 rounding


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
