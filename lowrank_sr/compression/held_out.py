"""How far a compressed network is from the dense one on crops that the fit has not seen, block by block.

    error of an RRDB = √(E‖y' - y‖² / Σ_n Var[y_n])      y its output in the dense network, y' in the compressed one

An error of 1 is that of the mean in the place of the output. What a fit gains on its own crops and loses on these, by
noise that it has taken for signal, grows from block to block.
"""

import numpy as np

from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.network.esrgan import OnArrays, rrdb
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.unshuffle import pixel_unshuffle


def block_errors(net: RRDBNet, small: RRDBNet, low: np.ndarray) -> dict[str, float]:
    """The error of each RRDB by its name, on crops `low` (B, h, h, 3)."""
    dense, compressed = _outputs(net, low), _outputs(small, low)
    errors = {}
    for name, y in dense.items():
        variance = float(y.var(axis=(0, 1, 2), dtype=np.float64).mean())
        square = float(np.square(compressed[name] - y, dtype=np.float64).mean())
        errors[name] = float(np.sqrt(square / variance)) if square > 0 else 0.0
    return errors


def _outputs(net: RRDBNet, low: np.ndarray) -> dict[str, np.ndarray]:
    """What each RRDB gives, (B, h, h, num_feat), by its name."""
    walk = OnArrays(lambda name, x: on_stacks(net.layers[name], net.method)(x))
    x = walk.conv("conv_first", pixel_unshuffle(low, net.architecture.unshuffle))
    outputs = {}
    for name in (f"RRDB_trunk.{i}" for i in range(net.architecture.num_block)):
        x = outputs[name] = rrdb(name, x, walk)
    return outputs
