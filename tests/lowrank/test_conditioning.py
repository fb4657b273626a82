"""Condition number, effective rank, and the paper's choice of layers, tested on psnr-small."""

import numpy as np
import pytest

from lowrank_sr import flops
from lowrank_sr.errors import InputError
from lowrank_sr.lowrank import conditioning, ranks, svd

TAIL = ("trunk_conv", "upconv1", "upconv2", "HRconv")


def test_of_a_known_spectrum():
    sigma = np.array([4.0, 2.0, 1.0])
    assert conditioning.condition_number(sigma) == 4
    p = sigma / 7
    assert conditioning.effective_rank(sigma) == pytest.approx(np.prod(p**-p))
    assert [ranks.energy_rank(sigma, energy) for energy in (0.90, 0.99)] == [2, 3]


def test_effective_rank_counts_equal_singular_values():
    assert conditioning.effective_rank(np.array([3.0, 3.0, 3.0, 0.0])) == pytest.approx(3)


def test_singular_kernel():
    assert conditioning.condition_number(np.array([1.0, 0.0])) == np.inf
    zeros = np.zeros(3)
    assert (conditioning.condition_number(zeros), conditioning.effective_rank(zeros)) == (np.inf, 1)
    assert [ranks.energy_rank(zeros, energy) for energy in (0.90, 0.99)] == [1, 1]


def test_selection():
    layers = {"a": 50.0, "b": 900.0, "c": 51.0}
    assert conditioning.select(layers, 50) == ["b", "c"]
    with pytest.raises(InputError, match="no layer has a condition number above 1000: the largest is 900"):
        conditioning.select(layers, 1000)


@pytest.fixture(scope="module")
def sigmas(shared):
    """Return the singular values of every layer of psnr-small, and the ranks of a theoretical x2."""
    with np.load(shared / "weights" / "rrdb_x4_nb3.npz") as weights:
        kernels = {n.removesuffix(".weight"): weights[n] for n in weights if n.endswith(".weight")}
    return {
        name: (svd.singular_values(kernel), ranks.speedup_rank(flops.break_even("svd", *kernel.shape[:3]), 2))
        for name, kernel in kernels.items()
        if name not in ("conv_first", "conv_last")
    }


def test_the_papers_criterion_picks_first_the_layers_that_compress_worst(sigmas):
    kappa = {name: conditioning.condition_number(sigma) for name, (sigma, _) in sigmas.items()}
    error = {name: np.linalg.norm(sigma[K:]) / np.linalg.norm(sigma) for name, (sigma, K) in sigmas.items()}
    assert set(conditioning.select(kappa, 100)) == set(TAIL)
    blocks = [name for name in sigmas if name not in TAIL]
    assert max(kappa[name] for name in blocks) < 60
    assert min(error[name] for name in TAIL) > 1.5 * max(error[name] for name in blocks)


def test_effective_rank_predicts_what_truncation_costs(sigmas):
    share = [conditioning.effective_rank(sigma) / len(sigma) for sigma, _ in sigmas.values()]
    error = [np.linalg.norm(sigma[K:]) / np.linalg.norm(sigma) for sigma, K in sigmas.values()]
    kappa = [conditioning.condition_number(sigma) for sigma, _ in sigmas.values()]
    assert spearman(share, error) > 0.8
    assert spearman(kappa, error) < 0


def spearman(a, b):
    order = [np.argsort(np.argsort(values)) for values in (a, b)]
    return np.corrcoef(*order)[0, 1]
