"""The globals that the pickle of a state dict may name, and the stand-in from this file that it gets for each.

The names and the order of the arguments are those of `torch/_utils.py` and `torch/serialization.py`.
"""

from dataclasses import replace
from typing import Any

from lowrank_sr.checkpoints.tensors import DTYPES, Storage, Tensor
from lowrank_sr.errors import InputError


def storage_from_persistent_id(persistent_id: Any) -> Storage:
    """Return the storage that ('storage', type, key, location, numel) stands for.

    The legacy format adds a sixth item: None, or (key, offset, size) of a view of the storage.

    Raises InputError where the id is of another form.
    """
    match persistent_id:
        case ("storage", str(dtype), str(key), _, numel, *view) if dtype in DTYPES:
            match view:
                case [] | [None]:
                    return Storage(key, dtype, numel)
                case [(_, start, size)]:
                    return Storage(key, dtype, size, start)
    raise InputError("its pickle refers to something outside itself that is not a tensor storage")


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise InputError("its pickle rebuilds a tensor from other things than a storage, a size and a stride")
    return Tensor(storage, offset, size, stride)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, backward_hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:  # lazily negated or conjugated: the stored bytes are not the tensor's values
        raise InputError("holds a lazily negated or conjugated tensor, which no state dict needs")
    return _rebuild_tensor(storage, offset, size, stride)


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if type(storage) is not Storage or type(dtype) is not str or dtype not in DTYPES:
        raise InputError("its pickle rebuilds a tensor from other things than a storage and a dtype")
    numel = storage.numel * DTYPES[storage.dtype].itemsize // DTYPES[dtype].itemsize
    viewed = replace(storage, dtype=dtype, numel=numel)
    return _rebuild_tensor_v2(viewed, offset, size, stride, requires_grad, backward_hooks, metadata)


def _rebuild_parameter(data: Any, requires_grad: Any, backward_hooks: Any, state: Any = None) -> Any:
    return data


def _ordered_dict() -> dict[Any, Any]:
    # Python 2 also wrote the items here; a pickle that shares one list could have it copied a million times.
    return {}


def _size(dimensions: Any = ()) -> tuple[Any, ...]:
    if type(dimensions) is not tuple:
        raise InputError("its pickle makes a torch.Size of something that is not a tuple")
    return dimensions


_STORAGE_CLASSES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}

# The stand-in for a storage class or a dtype is the dtype's name.
GLOBALS: dict[str, object] = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    **{f"torch.{name}": dtype for name, dtype in _STORAGE_CLASSES.items()},
    "torch.UntypedStorage": "uint8",
    "torch.storage.UntypedStorage": "uint8",
    **{f"torch.{dtype}": dtype for dtype in DTYPES},
}
