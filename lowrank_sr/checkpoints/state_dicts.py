"""Where in a saved object the network's state dict is: training programs save it among other things.

`{"params_ema": ...}`, `{"state_dict": {"generator": ...}, "optimizer": ...}`, `{"G": ..., "D": ...}`: the name of a
wrapper is anybody's choice, so it decides nothing but the order in which dicts are looked into.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from lowrank_sr.checkpoints.schemes import is_average, names_dense_block
from lowrank_sr.checkpoints.tensors import Tensor
from lowrank_sr.errors import InputError

_MAX_DEPTH = 3
_WELL_KNOWN = ("params", "state_dict", "model_state_dict", "model", "net", "netG", "net_g", "generator")


def unwrap(saved: object) -> tuple[dict[str, Tensor], str]:
    """Return the tensors by name of the state dict in `saved`, and the keys that lead to it, joined by dots.

    Of all dicts in it that hold dense blocks it is the first, moving averages before the others, then those less deep
    before those deeper, then well-known wrappers in the order of `_WELL_KNOWN` before the rest in the file's order.
    Where no dict has any, it is the one with the most tensors.

    Raises InputError, saying what is there instead, where `saved` holds no tensors.
    """
    if not isinstance(saved, dict):
        raise InputError(f"holds a {type(saved).__name__} where a state dict was expected")
    found = [(path, _tensors(entries)) for path, entries in _dicts(saved)]
    # A hostile file can use one long key in a hundred thousand dicts, so no key is looked at twice.
    in_average, in_dense_block = cache(is_average), cache(names_dense_block)

    def rank(path: tuple[str, ...]) -> tuple[bool, int, int]:
        known = _WELL_KNOWN.index(path[-1]) if path and path[-1] in _WELL_KNOWN else len(_WELL_KNOWN)
        return not any(map(in_average, path)), len(path), known

    found.sort(key=lambda candidate: rank(candidate[0]))
    generators = (candidate for candidate in found if any(map(in_dense_block, candidate[1])))
    path, tensors = next(generators, max(found, key=lambda candidate: len(candidate[1])))
    if not tensors:
        keys = ", ".join(f"{key[:50]!a}" if type(key) is str else str(key) for key in list(saved)[:4])
        raise InputError(f"holds no tensors where a state dict would, but the keys {keys or '(none)'}")
    return tensors, ".".join(path)


def _dicts(saved: dict[Any, Any]) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    """Yield `saved` and each dict in it once, the less deep ones first, with the keys that lead there."""
    level: list[tuple[tuple[str, ...], dict[Any, Any]]] = [((), saved)]
    seen = {id(saved)}  # a pickle can put one dict in many places, even into itself
    for _ in range(_MAX_DEPTH + 1):
        yield from level
        below = []
        for path, entries in level:
            for key, value in entries.items():
                if isinstance(value, dict) and id(value) not in seen:
                    seen.add(id(value))
                    below.append(((*path, str(key)), value))
        level = below


def _tensors(entries: dict[Any, Any]) -> dict[str, Tensor]:
    return {key: value for key, value in entries.items() if type(key) is str and type(value) is Tensor}
