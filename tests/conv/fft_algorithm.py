"""Convolution by the fast Fourier transform: a product for each frequency (Mathieu et al. 2014).

    out[y, x, n] = sum over c of irfft2(rfft2(in[:, :, c]) * conj(rfft2(kernel[n, c])))[y, x]

Extra memory: the spectra of all channels, of the input and of the output, 8 (H + 2) (W + 2) (C + N) bytes, and as much
again in double precision, in which NumPy computes them.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch, each_number_once
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import copy_values
from lowrank_sr.layers import Dense
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import NR


def prepare(layer: Dense, keep_transformed: bool) -> np.ndarray:
    """The kernel as it is: its spectrum depends on the size of the picture."""
    return layer.weight


def convolve(inputs: np.ndarray, operands: np.ndarray, weight: np.ndarray, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with a kernel."""
    height, width = int(inputs["height"][0]), int(inputs["width"][0])
    size, axes = (height + 2, width + 2), (1, 2)
    pixels = np.zeros((int(inputs["channels"].sum()), *size), np.float32)
    _read(inputs, pixels, workers)
    spectrum = np.einsum("cuv,ncuv->nuv", np.fft.rfft2(pixels, axes=axes), np.fft.rfft2(weight, size).conj())
    sums = np.fft.irfft2(spectrum, size, axes=axes)[:, :height, :width].astype(np.float32)
    _write(operands, np.ascontiguousarray(sums.transpose(1, 2, 0)), workers)


@compiled(parallel=True)
def _read(inputs: np.ndarray, pixels: np.ndarray, workers: int) -> None:
    """Copy the maps, a border of a pixel included, to (C, H + 2, W + 2)."""
    for worker in prange(workers):
        channel = 0
        for m in range(len(inputs)):
            x = inputs[m]
            for c in range(x.channels):
                for row in range(worker, x.height, workers):
                    for column in range(x.width):
                        target = pixels[channel + c, row + 1, column + 1 :].ctypes.data
                        copy_values(address(x, row, column) + 4 * c, target, 1)
            channel += x.channels


@compiled(parallel=True)
def _write(operands: np.ndarray, sums: np.ndarray, workers: int) -> None:
    """Write the (H, W, N) sums through the epilogue."""
    for worker in prange(workers):
        out = operands[0].out
        for row in range(worker, out.height, workers):
            for channel in range(0, out.channels, NR):
                first = sums[row, 0, channel:].ctypes.data
                apply_epilogue(first, sums.strides[1], operands, row, 0, out.width, channel)


def _scratch(layer: Dense, call: Call, keep_transformed: bool) -> Scratch:
    n, c, _ = layer.shape
    return Scratch(24 * (call.height + 2) * (call.width + 2) * (n * c + n + c))


ALGORITHM: Algorithm[Dense, np.ndarray] = Algorithm(
    name="fft",
    form=Dense,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=each_number_once,
)
