"""Each RRDB alone, first to last, towards what the dense network's gives: the second of three steps.

    minimise E[eᵀ M e]      e = RRDB'(x') - RRDB(x) at every pixel, x' what the blocks before it make of the crops
                            x  what they are in the dense network, M the metric of the block's output

The gradient needs one block: its maps, its time, a signal at each of its pixels. So the same minutes give every layer
as many steps as training all layers together would, each of far less noise, and no error travels through 23 blocks
before it is seen. What the blocks before it have lost a block can correct, as in the fit (`compression/fit.py`).

Memory: three maps of all crops, 12 num_feat bytes for each of their pixels, and a tape of one block (`tape.py`).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.feature_map import DTYPE
from lowrank_sr.layers import Layer
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.esrgan import rrdb
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.unshuffle import pixel_unshuffle
from lowrank_sr.training import muon
from lowrank_sr.training.layer import TrainedLayer, prepare
from lowrank_sr.training.length import Length
from lowrank_sr.training.maps import Pool, Value
from lowrank_sr.training.output_metric import output_metrics, ridged
from lowrank_sr.training.parameters import arrays_of, shapes_of, to_layers, to_vector
from lowrank_sr.training.stack import Stack
from lowrank_sr.training.tape import Gradients, Tape

BATCH = 4
VALIDATION = 16  # crops
CROPS = 144  # that every block sees: the first of them validate
SIDE = 32  # pixels of low resolution
RATE = 0.05  # of the error √loss: a step moves an array by as much of its norm, and may not move outputs by more

Operation = Callable[[Value, Tape], Value]


class Trained(NamedTuple):
    """What is known after a block: all layers so far; `before` and `after`, its loss on the crops that validate.

    A loss of 1 is that of the block's mean in the place of its output.
    """

    layers: dict[str, Layer]
    block: int
    before: float
    after: float


class Task(NamedTuple):
    """A block, its input `x` in the network so far, (B, h, h, num_feat), and its `target`, the dense block's output."""

    block: Operation
    x: np.ndarray
    target: np.ndarray
    metric: np.ndarray  # (num_feat, num_feat)


def train_blocks(
    layers: Mapping[str, Layer], first: int, teacher: RRDBNet, low: np.ndarray, length: Length, seed: int
) -> Iterator[Trained]:
    """Train the blocks from number `first` on, those before it being trained, on crops `low` (B, h, h, 3).

    `layers` are those of a network of the dense teacher's architecture. Each block gets the same part of the length.
    """
    design, all_layers = teacher.architecture, dict(layers)
    metrics = output_metrics(teacher, low, seed)
    crops = pixel_unshuffle(low, design.unshuffle)
    x, target = (_through(_conv_first, each, crops) for each in (all_layers, teacher.layers))
    for i in range(design.num_block):
        name = f"RRDB_trunk.{i}"
        block = partial(_rrdb, name)
        target = _through(block, teacher.layers, target)
        if i >= first:
            task = Task(block, x, target, _in_units_of(target, metrics[f"{name}.RDB3.conv5"]))
            old = {each: layer for each, layer in all_layers.items() if each.startswith(f"{name}.")}
            own, before, after = train(task, old, length.of_each(design.num_block), seed)
            all_layers |= own
            yield Trained(dict(all_layers), i, before, after)
        x = _through(block, all_layers, x)


def train(
    task: Task, layers: Mapping[str, Layer], length: Length, seed: int
) -> tuple[Mapping[str, Layer], float, float]:
    """The block's layers after so long a run, and its loss before and after: as they were where it has not fallen."""
    pool, rng, shapes = Pool(), np.random.default_rng(seed), shapes_of(layers)
    state, begin = muon.start(to_vector(arrays_of(layers))), time.perf_counter()
    before = _validated(task, layers, pool)
    rate = RATE * min(1.0, math.sqrt(max(before, 0.0)))  # rounding may make it less than 0
    while (done := length.done(state.steps, time.perf_counter() - begin)) < 1:
        batch = VALIDATION + rng.permutation(len(task.x) - VALIDATION)[:BATCH]
        gradients = _gradients(task, prepare(to_layers(state.weights, layers)), batch, pool)
        gradient = to_vector({name: gradients[name] for name in layers})
        if not np.isfinite(gradient).all():
            break
        state = muon.step(state, gradient, shapes, rate * muon.schedule(done))
    trained = to_layers(state.average, layers)
    after = _validated(task, trained, pool)
    return (trained, before, after) if after < before else (layers, before, before)


class Pass(NamedTuple):
    """A way through a block: its tape, its output, M e at each pixel, and the mean of eᵀ M e."""

    tape: Tape
    y: Value
    weighted: np.ndarray  # (B, h, h, num_feat)
    loss: float


def _forward(task: Task, layers: Mapping[str, TrainedLayer], crops: np.ndarray, pool: Pool) -> Pass:
    """Of the crops of these numbers."""
    pool.give_back_all()
    tape = Tape(layers, pool)
    y = task.block(_value(task.x[crops], pool), tape)
    e = y.stack.take(y.map) - task.target[crops]
    weighted = e @ task.metric.astype(DTYPE)
    return Pass(tape, y, weighted, float(np.vdot(e, weighted)) / e[..., 0].size)


def _validated(task: Task, layers: Mapping[str, Layer], pool: Pool) -> float:
    return _forward(task, prepare(layers), np.arange(VALIDATION), pool).loss


def _gradients(task: Task, layers: Mapping[str, TrainedLayer], crops: np.ndarray, pool: Pool) -> Gradients:
    """Of the loss with respect to every array of the block: 2 M e at each pixel goes back."""
    tape, y, weighted, _ = _forward(task, layers, crops, pool)
    d_y = pool.take(y.stack, y.map.channels)
    y.stack.put(weighted * DTYPE(2 / weighted[..., 0].size), d_y)
    y.gradients.append(d_y)
    with blas_threads(1):
        tape.backward()
    return tape.gradients


def _in_units_of(target: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """The metric, with its ridge, by which the variance of `target` is 1."""
    values = (target - target.mean(axis=(0, 1, 2))).reshape(-1, len(metric))
    weights = ridged(metric)
    return np.asarray(weights / max(np.vdot(values.T @ values / len(values), weights), np.finfo(float).tiny))


def _conv_first(x: Value, tape: Tape) -> Value:
    return tape.conv("conv_first", x)


def _rrdb(name: str, x: Value, tape: Tape) -> Value:
    return rrdb(name, x, tape)


def _through(operation: Operation, layers: Mapping[str, Layer], x: np.ndarray) -> np.ndarray:
    """The output of a part of a network for crops (B, h, h, C): (B, h, h, num_feat)."""
    pool, prepared, out = Pool(), prepare(layers), []
    for first in range(0, len(x), VALIDATION):
        pool.give_back_all()
        y = operation(_value(x[first : first + VALIDATION], pool), Tape(prepared, pool))
        out.append(y.stack.take(y.map))
    return np.concatenate(out)


def _value(crops: np.ndarray, pool: Pool) -> Value:
    stack = Stack(*crops.shape[:3])
    value = Value(stack, pool.take(stack, crops.shape[3]))
    stack.put(crops, value.map)
    return value
