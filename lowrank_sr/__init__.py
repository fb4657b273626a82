"""ESRGAN super-resolution on a CPU with NumPy, Numba and BLAS, and a laboratory for low-rank convolutions."""

__version__ = "0.2.0"

from lowrank_sr.compress import compress
from lowrank_sr.errors import InputError
from lowrank_sr.imresize import imresize
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.metrics import psnr, ssim
from lowrank_sr.rrdbnet import RRDBNet, load

__all__ = ["CP", "Dense", "InputError", "RRDBNet", "Separable", "compress", "imresize", "load", "psnr", "ssim"]
