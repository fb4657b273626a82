"""A ridge that depends on the kernel's scale, and one that does not."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.lowrank import cp_als

kernel = lsr.load("psnr-small").layers["RRDB_trunk.0.RDB1.conv1"].weight
T = kernel.transpose(1, 2, 3, 0).astype(np.float64)  # (64, 3, 3, 32)


def relative_error(T, added, rank=20, sweeps=15):
    """ALS with `added`(gram) on the left side of the normal equations."""
    factors = cp_als.start(T, rank, np.random.default_rng(0))
    axes = "abcd"
    for _ in range(sweeps):
        for m in range(4):
            others = [k for k in range(4) if k != m]
            gram = np.prod([factors[k].T @ factors[k] for k in others], axis=0)
            inputs = ",".join([axes] + [axes[k] + "r" for k in others])
            product = np.einsum(f"{inputs}->{axes[m]}r", T, *(factors[k] for k in others), optimize=True)
            factors[m] = np.linalg.solve(gram + added(gram), product.T).T
            if m < 3:
                factors[m] = cp_als.unit(factors[m])
    return np.linalg.norm(T - np.einsum("ar,br,cr,dr->abcd", *factors, optimize=True)) / np.linalg.norm(T)


ridges = {"λ I": lambda gram: 0.1 * np.eye(len(gram)), "λ diag Γ": lambda gram: 0.1 * np.diag(np.diag(gram))}
errors = {}
for name, added in ridges.items():
    errors[name] = [relative_error(scale * T, added) for scale in (0.01, 1, 100)]
    print(f"{name:9} error for the kernel times 0.01, 1, 100: {', '.join(f'{error:.4f}' for error in errors[name])}")

assert np.ptp(errors["λ I"]) > 1e-3
# The same numbers but for rounding: Γ for a, y and x contains the last factor and grows with the kernel's square.
assert np.ptp(errors["λ diag Γ"]) < 1e-8
