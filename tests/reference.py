"""What the package is checked against: the definition of the convolution, and float64."""

import numpy as np

EPS = float(np.finfo(np.float32).eps)


def seven_loops(x, weight, bias):
    """The definition, one loop for each index: (H, W, C), (N, C, d, d), (N,) -> (H, W, N) float64."""
    height, width, channels = x.shape
    n_out, _, d, _ = weight.shape
    out = np.zeros((height, width, n_out))
    for y in range(height):
        for x_ in range(width):
            for n in range(n_out):
                total = float(bias[n])
                for c in range(channels):
                    for i in range(d):
                        for j in range(d):
                            row, column = y + i - d // 2, x_ + j - d // 2
                            if 0 <= row < height and 0 <= column < width:
                                total += float(x[row, column, c]) * float(weight[n, c, i, j])
                out[y, x_, n] = total
    return out


def exact_convolution(x, weight, bias):
    """The same by one contraction of the patches, float64."""
    margin = weight.shape[2] // 2
    padded = np.pad(np.asarray(x, np.float64), ((margin, margin), (margin, margin), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (0, 1))
    return np.tensordot(patches, weight.astype(np.float64), ([2, 3, 4], [1, 2, 3])) + bias


def rounding_error(x, weight, bias):
    """Largest error of float32 sums of n terms: n eps / 2 of the sum of their magnitudes (Higham 2002, eq. 3.5)."""
    terms = weight[0].size + 2
    return terms * EPS / 2 * exact_convolution(np.abs(x), np.abs(weight), np.abs(bias))


def winograd_error(x, weight):
    """The same for F(4 x 4, 3 x 3): the algorithm on magnitudes; C terms, and 6 each way in each of three transforms.

    After Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution", theorem 2.
    """
    from lowrank_sr.conv.winograd import A_T, B_T, OUTPUT_TILE, G

    a, b = np.abs(A_T), np.abs(B_T)  # (4, 6), (6, 6)
    height, width, channels = x.shape
    rows, columns = -(-height // OUTPUT_TILE), -(-width // OUTPUT_TILE)
    padded = np.zeros((rows * OUTPUT_TILE + 2, columns * OUTPUT_TILE + 2, channels))
    padded[1 : height + 1, 1 : width + 1] = np.abs(x)
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), (0, 1))[::OUTPUT_TILE, ::OUTPUT_TILE]
    inputs = np.einsum("ik,yxckl,jl->yxcij", b, tiles, b, optimize=True)
    kernels = np.einsum("ik,nckl,jl->ncij", np.abs(G), np.abs(weight.astype(np.float64)), np.abs(G), optimize=True)
    sums = np.einsum("yxcij,ncij->yxnij", inputs, kernels, optimize=True)
    outputs = np.einsum("ik,yxnkl,jl->yixjn", a, sums, a, optimize=True)
    whole = outputs.reshape(rows * OUTPUT_TILE, columns * OUTPUT_TILE, -1)[:height, :width]
    return (channels + 3 * 2 * 6 + 2) * EPS / 2 * whole


def pair_winograd_error(x, vertical, horizontal):
    """The same for the SVD pair by F(4, 3), (K, C, 3) and (N, K, 3): one dimension after the other, on magnitudes."""
    middle = _on_magnitudes(x.transpose(1, 0, 2), vertical).transpose(1, 0, 2)
    terms = x.shape[2] + len(vertical) + 2 * 3 * 6 + 2
    return terms * EPS / 2 * _on_magnitudes(middle, horizontal)


def _on_magnitudes(x, taps):
    """F(4, 3) along the second axis of (H, W, C) with (N, C, 3) taps, every number replaced by its magnitude."""
    from lowrank_sr.conv.winograd import A_T, B_T, OUTPUT_TILE, G

    a, b = np.abs(A_T), np.abs(B_T)
    height, width, channels = x.shape
    tiles = -(-width // OUTPUT_TILE)
    padded = np.zeros((height, tiles * OUTPUT_TILE + 2, channels))
    padded[:, 1 : width + 1] = np.abs(x)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 6, 1)[:, ::OUTPUT_TILE]  # (H, tiles, C, 6)
    kernels = np.abs(taps.astype(np.float64)) @ np.abs(G).T
    products = np.einsum("ytck,nck->ytkn", windows @ b.T, kernels, optimize=True)
    return np.einsum("jk,ytkn->ytjn", a, products).reshape(height, tiles * OUTPUT_TILE, -1)[:, :width]
