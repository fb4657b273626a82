"""ESRGAN super-resolution on a CPU with NumPy, Numba and BLAS, and a laboratory for low-rank convolutions."""

__version__ = "0.1.0"
