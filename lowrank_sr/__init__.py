"""ESRGAN super-resolution on a CPU with NumPy, Numba and BLAS, and a laboratory for low-rank convolutions."""

from lowrank_sr._version import __version__
from lowrank_sr.compression.network import compress
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.network.enlarge import enlarge
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.pictures.metrics import psnr, ssim
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.training.finetune import finetune

__all__ = [
    "CP",
    "Dense",
    "InputError",
    "RRDBNet",
    "Separable",
    "__version__",
    "compress",
    "enlarge",
    "finetune",
    "imresize",
    "load",
    "psnr",
    "ssim",
]
