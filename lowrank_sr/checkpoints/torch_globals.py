"""What the pickle of a state dict may ask for by name, and what it gets: a stand-in from here.

The names and the order of the arguments are those of `torch/_utils.py` and `torch/serialization.py`.
"""

from dataclasses import replace

from lowrank_sr.checkpoints.tensors import DTYPES, Storage, Tensor
from lowrank_sr.errors import InputError


def storage_from_persistent_id(persistent_id: object) -> Storage:
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


def _rebuild_tensor(storage, offset, size, stride):
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise InputError("its pickle rebuilds a tensor from other things than a storage, a size and a stride")
    return Tensor(storage, offset, size, stride)


def _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, metadata=None):
    if metadata:  # lazily negated or conjugated: the stored bytes are not the tensor's values
        raise InputError("holds a lazily negated or conjugated tensor, which no state dict needs")
    return _rebuild_tensor(storage, offset, size, stride)


def _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None):
    if type(storage) is not Storage or type(dtype) is not str or dtype not in DTYPES:
        raise InputError("its pickle rebuilds a tensor from other things than a storage and a dtype")
    numel = storage.numel * DTYPES[storage.dtype].itemsize // DTYPES[dtype].itemsize
    storage = replace(storage, dtype=dtype, numel=numel)
    return _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks, metadata)


def _rebuild_parameter(data, requires_grad, backward_hooks, state=None):
    return data


def _ordered_dict():
    # Python 2 also wrote the items here; a pickle that shares one list could have it copied a million times.
    return {}


def _size(dimensions=()):
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

# A storage class and a dtype are both given as the dtype's name.
GLOBALS = {
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
