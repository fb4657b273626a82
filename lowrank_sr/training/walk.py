"""ESRGAN's generator forwards and backwards over a batch of crops: `network/esrgan.py` on a tape."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.esrgan import generator
from lowrank_sr.network.unshuffle import pixel_shuffle, pixel_unshuffle
from lowrank_sr.training.layer import TrainedLayer
from lowrank_sr.training.maps import Pool, Value
from lowrank_sr.training.stack import Stack
from lowrank_sr.training.tape import Gradients, Tape


class Walk:
    """Networks of one architecture over `count` crops of `height` x `width` pixels, and the maps that they need.

    The sides are whole multiples of the factor by which the network unshuffles its input.
    """

    def __init__(self, design: Architecture, count: int, height: int, width: int) -> None:
        self.design = design
        self.low = Stack(count, height // design.unshuffle, width // design.unshuffle)
        self.pool = Pool()

    def forward(self, layers: Mapping[str, TrainedLayer], images: np.ndarray) -> "Run":
        """Enlarge crops (count, height, width, C), 0..1, by `layers`; it ends what the walk has done before."""
        self.pool.give_back_all()
        tape = Tape(layers, self.pool)
        pixels = Value(self.low, self.pool.take(self.low, self.design.in_channels))
        self.low.put(pixel_unshuffle(images, self.design.unshuffle), pixels.map)
        result = generator(self.design, pixels, tape)
        return Run(self.design, tape, pixels, result, result.stack.take(result.map))


class Run(NamedTuple):
    """A walk from the crops to `out`, (count, scale h, scale w, C) float32.

    It can be gone back once, before the next one begins.
    """

    design: Architecture
    tape: Tape
    pixels: Value
    result: Value
    out: np.ndarray

    def backward(self, d_out: np.ndarray) -> tuple[Gradients, np.ndarray]:
        """The gradients of every array, and of the crops, from that of `out`."""
        stack, channels = self.result.stack, self.design.out_channels
        d_result = self.tape.pool.take(stack, channels)
        stack.put(d_out, d_result)
        self.result.gradients.append(d_result)
        with blas_threads(1):
            self.tape.backward()
        (d_pixels,) = self.pixels.gradients
        return self.tape.gradients, pixel_shuffle(self.pixels.stack.take(d_pixels), self.design.unshuffle)
