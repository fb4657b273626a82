"""ESRGAN checkpoints, `.pth` and `.safetensors`, without PyTorch and without running what is in them.

In reading order: `checkpoint` (the walk from a file to arrays), `tensors` (what a file says of its tensors),
`pth_zip` over `zip_records`, `pth_legacy` and `safetensors_file` (the three formats), `unpickle` and
`torch_globals` (the pickles in the first two), `state_dict` (wrappers and prefixes), `schemes` (names),
`shapes` (channels and scale).
"""

from lowrank_sr.checkpoints.checkpoint import Checkpoint, read

__all__ = ["Checkpoint", "read"]
