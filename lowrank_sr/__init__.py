"""ESRGAN super-resolution on a CPU with NumPy, Numba and BLAS, and a laboratory for low-rank convolutions."""

from importlib import import_module
from typing import TYPE_CHECKING

from lowrank_sr._version import __version__

if TYPE_CHECKING:
    from lowrank_sr.compression.network import compress
    from lowrank_sr.errors import InputError
    from lowrank_sr.layers import CP, Dense, Separable
    from lowrank_sr.network.enlarge import enlarge
    from lowrank_sr.network.interpolate import interpolate
    from lowrank_sr.network.rrdbnet import RRDBNet, load
    from lowrank_sr.pictures.metrics import fidelity, psnr, ssim
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
    "fidelity",
    "finetune",
    "imresize",
    "interpolate",
    "load",
    "psnr",
    "ssim",
]

# Imported when they are first asked for: Numba takes a second, in which the program could not answer Ctrl-C.
_MODULES = {
    "CP": "layers",
    "Dense": "layers",
    "InputError": "errors",
    "RRDBNet": "network.rrdbnet",
    "Separable": "layers",
    "compress": "compression.network",
    "enlarge": "network.enlarge",
    "fidelity": "pictures.metrics",
    "finetune": "training.finetune",
    "imresize": "pictures.resize",
    "interpolate": "network.interpolate",
    "load": "network.rrdbnet",
    "psnr": "pictures.metrics",
    "ssim": "pictures.metrics",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
