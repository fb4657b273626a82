"""ESRGAN checkpoints, `.pth` and `.safetensors`, without PyTorch and without running what is in them.

In reading order: `checkpoint` (the walk from a file to arrays), `tensors` (what a file says of its tensors), `pth_zip`,
`pth_legacy` and `safetensors_file` (the three formats), `unpickle` and `torch_globals` (the pickles in the first two),
`schemes` (names). What the shapes mean is for `network/architecture.py` to say.
"""

from lowrank_sr.checkpoints.checkpoint import Checkpoint, read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
