"""Two terms that approach a tensor of rank three, in float64 and in float32."""

import numpy as np

# Not along the axes: there the terms differ from each other in a few entries only, and nothing is rounded away.
e, f = np.array([[0.8, 0.6], [-0.6, 0.8]])


def outer(*vectors):
    return np.einsum("i,j,k->ijk", *vectors)


T = outer(e, e, f) + outer(e, f, e) + outer(f, e, e)


def two_terms(t, dtype):
    first = ((e + f / t) * t ** (1 / 3)).astype(dtype)  # t shared among the three columns
    second = (e * t ** (1 / 3)).astype(dtype)
    return outer(first, first, first), outer(second, second, second)


errors = {}
for dtype in (np.float64, np.float32):
    for t in (1, 10, 100, 1000, 10_000, 100_000):
        positive, negative = two_terms(t, dtype)
        errors[dtype, t] = np.linalg.norm(positive - negative - T) / np.linalg.norm(T)
        print(
            f"{dtype.__name__}, t = {t:6}: error {errors[dtype, t]:.1e}, norm of a term {np.linalg.norm(negative):.0f}"
        )

# The error is |e f f + f e f + f f e| / t = √3 / t and a little more, over ‖T‖ = √3.
for t in (100, 1000, 10_000, 100_000):
    assert abs(errors[np.float64, t] * t - 1) < 0.01
# In float32 the difference of two terms of norm t has an error of about t times 6e-8: together least where 1 / t and
# 6e-8 t are equal, at t of some thousands.
assert errors[np.float32, 100_000] > errors[np.float32, 1000]
