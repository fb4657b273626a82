"""What is compared: the network by each dense method, and its low-rank forms."""

from pathlib import Path

from lowrank_sr.compression import calibration
from lowrank_sr.compression.network import compress
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.study.settings import DIRECT, LOW_RANK, SPEEDUP, WINOGRAD, Study

BOTH = f"svd fitted {WINOGRAD}"  # the pair and what is dense beside it by Winograd's algorithm


def technique(method: str, fitted: bool) -> str:
    """The name of a low-rank form, its factors from the kernel alone or fitted to data."""
    return f"{method} fitted" if fitted else method


def is_low_rank(name: str) -> bool:
    """Whether a technique changes the network instead of only computing it another way."""
    return name.split()[0] in LOW_RANK


def techniques(study: Study) -> list[str]:
    """What Table 1 and the figures compare, direct convolution first: dense methods, then low-rank forms."""
    exact = [name for name in study.methods if not is_low_rank(name)]
    low_rank = [technique(name, fitted) for name in study.methods if is_low_rank(name) for fitted in (False, True)]
    both = [BOTH] if {"svd", WINOGRAD} <= set(study.methods) else []
    return exact + low_rank + both


def network(study: Study, name: str) -> RRDBNet:
    """The network of a technique; low rank goes by direct convolution, its reference, but for `BOTH`."""
    if not is_low_rank(name):
        return study.net.with_method(name)
    low_rank, method = (name.removesuffix(f" {WINOGRAD}"), WINOGRAD) if name == BOTH else (name, DIRECT)
    path = _path(study, low_rank)
    if path.exists():
        return load(path, method)
    form, fitted = low_rank.split()[0], low_rank.endswith("fitted")
    return at_speedup(study, form, fitted, SPEEDUP).with_method(method)


def at_speedup(study: Study, method: str, fitted: bool, speedup: float) -> RRDBNet:
    """The network at a theoretical speed-up; those that later steps and the reader want are kept in networks/."""
    small = compressed(study, method, fitted, speedup=speedup)
    if speedup == SPEEDUP:
        path = _path(study, technique(method, fitted))
        path.parent.mkdir(exist_ok=True)
        small.save(path)
    return small


def compressed(study: Study, method: str, fitted: bool, **rule: float) -> RRDBNet:
    """The network compressed by `rule`, one of `compress`'s, the same for every run of the same seed: no `auto`."""
    pictures = calibration.read_pictures()[: study.extent.calibration] if fitted else ()
    dense = study.net.with_method(WINOGRAD)
    return compress(dense, method, images=pictures, seed=study.seed, **rule).with_method(DIRECT)


def _path(study: Study, name: str) -> Path:
    return study.folder / "networks" / f"{name.replace(' ', '-')}.npz"
