"""The state of a run as a file, so that it can go on after an interruption as if there had been none.

An `.npz` of plain arrays, never a pickle, replaced as a whole: `first`, the weights of the network that went in;
`weights`, `average` and `momentum`, the vectors of Muon; and `about`, a JSON string with everything else, the state of
the random generator included.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.files import replacing
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.training.finetune import State
from lowrank_sr.training.muon import Muon
from lowrank_sr.training.parameters import arrays_of, to_vector

_VECTORS = ("first", "weights", "average", "momentum")
_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "seconds": float,
    "loss": float,
    "fidelity": float,
    "floor": float,
    "rate": float,
    "parts": int,
    "alone": float,
    "nearer": bool,
}
_DAMAGE = (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)  # of files that are no such state


def identity(net: RRDBNet, teacher: RRDBNet | None) -> dict[str, Any]:
    """Digests of what a run must go on with: arrays of the shapes of `net`, and the weights of its teacher."""
    shapes = [(name, field, a.shape) for name, layer in net.layers.items() for field, a in layer.arrays().items()]
    weights = None if teacher is None else to_vector(arrays_of(teacher.layers)).tobytes()
    return {"network": _digest(repr(shapes).encode()), "teacher": None if weights is None else _digest(weights)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def save_state(path: str | os.PathLike[str], state: State, run: Mapping[str, Any], curve: list[dict[str, Any]]) -> None:
    """Write a state, with `run`, which says what run it belongs to, and the curve so far."""
    numbers = {"steps": state.muon.steps, **{name: getattr(state, name) for name in ("random", *_NUMBERS)}}
    about = json.dumps({**numbers, "run": run, "curve": curve})
    with replacing(path) as temporary:
        np.savez(temporary, about=np.array(about), **_vectors(state))


def _vectors(state: State) -> dict[str, Any]:
    return {"first": state.first} | {name: getattr(state.muon, name) for name in _VECTORS[1:]}


def load_state(path: str | os.PathLike[str], run: Mapping[str, Any]) -> tuple[State, list[dict[str, Any]]]:
    """Read a state and its curve.

    Raises InputError for a file that is missing or no such state, and where it belongs to another run, naming what
    differs.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file: expected the state of an interrupted run")
    try:
        with np.load(path, allow_pickle=False) as archive:
            vectors = {name: archive[name] for name in _VECTORS}
            about = json.loads(str(archive["about"]))
        saved, curve = dict(about["run"]), list(about["curve"])
        numbers = {name: kind(about[name]) for name, kind in _NUMBERS.items()}
        first, *of_muon = vectors.values()
        state = State(first, Muon(int(about["steps"]), *of_muon), about["random"], **numbers)
        if any(v.dtype != np.float32 or v.shape != vectors["weights"].shape or v.ndim != 1 for v in vectors.values()):
            raise ValueError
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise InputError(f"{path}: not the state of a run") from error
    for name, value in run.items():
        if saved.get(name) != value:
            raise InputError(f"{path}: the state of another run: its {name} is {saved.get(name)}, not {value}")
    return state, curve
