"""The loss of a batch of crops, and its gradient with respect to every parameter.

    loss = mean of |out - high|        d_out = sign(out - high) / numbers in out

L1, as the authors of ESRGAN trained for PSNR (Wang et al. 2018, section 4.1).
"""

from collections.abc import Mapping

import numpy as np

from lowrank_sr.layers import Layer
from lowrank_sr.training.crops import Batch
from lowrank_sr.training.layer import prepare
from lowrank_sr.training.parameters import to_vector
from lowrank_sr.training.walk import Walk


def loss_and_gradient(walk: Walk, layers: Mapping[str, Layer], batch: Batch) -> tuple[float, np.ndarray]:
    """The loss of `layers` on `batch`, and its gradient as a vector in the order of `parameters.to_vector`."""
    run = walk.forward(prepare(layers), batch.low)
    difference = run.out - batch.high
    gradients, _ = run.backward(np.sign(difference) / np.float32(difference.size))
    loss = float(np.abs(difference).mean(dtype=np.float64))
    return loss, to_vector({name: gradients[name] for name in layers})
