"""CP by alternating least squares here and in TensorLy: the same kernel, rank and number of sweeps."""

import warnings
from functools import partial

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.lowrank import cp_als

SWEEPS = 12
CASES = [("RRDB_trunk.1.RDB2.conv1", 45), ("upconv2", 69)]


def by_tensorly(kernel, R):
    from tensorly.decomposition import parafac

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a rank above the dimensions
        parafac(kernel, R, n_iter_max=SWEEPS, tol=0, random_state=0)


def contestants(kernel, R):
    runs = {"here": partial(cp_als.decompose, kernel, R, sweeps=SWEEPS, tolerance=0)}
    try:
        import tensorly.decomposition  # noqa: F401
    except ImportError:
        return runs
    return runs | {"TensorLy": partial(by_tensorly, kernel, R)}


@pytest.mark.parametrize("name", ["here", "TensorLy"])
@pytest.mark.parametrize(("layer", "R"), CASES)
def test_cp_als(report, layer, R, name):
    kernel = lsr.load("psnr-small").layers[layer].weight.astype(np.float64)
    products = SWEEPS * kernel.ndim * 2 * R * kernel.size  # of the unfolded kernel and the other factors
    report(
        f"CP of {layer}, rank {R}", name, partial(contestants, kernel, R), products, shape=list(kernel.shape), rank=R
    )
