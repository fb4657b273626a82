"""The state dict in what a training program saved: out of its wrapper, without the prefix of DataParallel."""

from lowrank_sr.checkpoints.tensors import Tensor
from lowrank_sr.errors import InputError

# In order of preference: the moving average of the weights is what a GAN is published with.
WRAPPERS = ("params_ema", "params", "state_dict", "model")
_DATA_PARALLEL = "module."


def unwrap(saved: object) -> tuple[dict[str, Tensor], str]:
    """Return the tensors by name, and the key that they were wrapped in, "" for none.

    Raises InputError, saying what is there instead, where `saved` holds no state dict.
    """
    if not isinstance(saved, dict):
        raise InputError(f"holds a {type(saved).__name__} where a state dict was expected")
    wrapper = next((key for key in WRAPPERS if isinstance(saved.get(key), dict)), "")
    entries = saved[wrapper] if wrapper else saved
    tensors = {key: value for key, value in entries.items() if type(key) is str and type(value) is Tensor}
    if not tensors:
        keys = ", ".join(f"{key[:50]!a}" if type(key) is str else str(key) for key in list(entries)[:4])
        raise InputError(f"holds no tensors where a state dict would, but the keys {keys or '(none)'}")
    if all(name.startswith(_DATA_PARALLEL) for name in tensors):
        tensors = {name.removeprefix(_DATA_PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors, wrapper
