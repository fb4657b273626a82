"""ESRGAN checkpoints, `.pth`, `.safetensors` and ncnn's, read without PyTorch and without running any code in them.

In reading order: `checkpoint` (from a file to arrays), `tensors` (what a file says about a tensor, and its elements as
float32), `pth_zip`, `pth_legacy` and `safetensors_file` (the three file formats), `unpickle` and `torch_globals` (the
pickles in the first two), `state_dicts` (which of the dicts in it is the network's), `schemes` (prefix and naming
scheme), `wrong_files` (what else a file may be). An ncnn model has no names that mean anything: `ncnn` (its two files),
`ncnn_param` (the text of its layers), `ncnn_graph` (what each computes), `ncnn_rrdbnet` (an RRDBNet recognised in that)
and `ncnn_convolution` (shapes and weights). The package knows files, tensors and names; what the shapes mean (channels,
blocks, scale) is for `network/architecture.py` to say.
"""

from lowrank_sr.checkpoints.checkpoint import Checkpoint, read_checkpoint
from lowrank_sr.checkpoints.tensors import MOST_PARAMETERS

__all__ = ["MOST_PARAMETERS", "Checkpoint", "read_checkpoint"]
