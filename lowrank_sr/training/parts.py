"""Each part of the network alone, towards what the dense network's gives: the second of three steps.

    minimise E[eᵀ M e]      e  the error of the part's output at every pixel, M the metric of that output

First the RRDBs, every one towards what the dense block makes of the same maps,

    e = RRDB'(x) - RRDB(x)                       x what the block reads, in turn in the dense network
                                                 and in the compressed one, whose blocks before it are trained

so that what a block adds to the error of the whole becomes small, and stays so where it reads the errors of others. A
block that has stayed dense is the dense network's again: a fit gave its layers other kernels, to correct what others
lost. So are the dense layers of other blocks, where the block is nearer so. Then all layers after them, on what the
compressed blocks make of the crops,

    e = after_blocks'(x', features') - picture   which corrects a part of what the blocks have lost together

The gradient needs one part: its maps, its time, a signal at each of its pixels. So the same minutes give every layer as
many steps as training all layers together would, each of far less noise.

Memory: up to thirteen maps of all crops, 52 num_feat bytes for each of their pixels, the pictures that the teacher
makes of them, and a tape of one part for BATCH crops (`tape.py`); before that what `output_metric.py` takes.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.feature_map import DTYPE
from lowrank_sr.layers import Layer
from lowrank_sr.machine.threads import blas_threads
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.esrgan import after_blocks, rrdb
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
VALIDATION = 16  # maps, the first ones
CROPS = 240  # with 144 a trained block burst at a place of one picture, as none of them has it
AFTER_BLOCKS = 8  # times as long as a block: the picture's fidelity hangs on them, and a step costs a few blocks' steps
RATE = 0.02  # of the error √loss: a step moves an array by as much of its norm, and may not move outputs by more
RATE_AFTER_BLOCKS = 0.0125  # likewise: few layers, each of which all of the picture goes through

Part = Callable[[Sequence[Value], Tape], Value]
"""part(inputs, tape): the output of a part of the network."""


class Trained(NamedTuple):
    """What is known after a part: all layers so far; `before` and `after`, its loss on the crops that validate.

    `parts` are done with it. A loss of 1 is that of the mean in the place of the part's output.
    """

    layers: dict[str, Layer]
    parts: int
    before: float
    after: float


class Task(NamedTuple):
    """A part, its `inputs`, (B, h, h, C) each, the `target` that its output should be, and the metric of errors."""

    part: Part
    inputs: Sequence[np.ndarray]
    target: np.ndarray
    metric: np.ndarray  # (channels of target,) * 2


def count(design: Architecture) -> int:
    """Of the parts: the blocks, and the layers after them."""
    return design.num_block + 1


def train_parts(
    layers: Mapping[str, Layer], first: int, teacher: RRDBNet, low: np.ndarray, length: Length, seed: int
) -> Iterator[Trained]:
    """Train the parts but the `first` ones, which are trained already, on crops `low` (B, h, h, 3).

    `layers` are those of a network of the dense teacher's architecture.
    """
    design, all_layers = teacher.architecture, dict(layers)
    of_each = length.of_each(sum(is_factorised(_of_block(i, layers)) for i in range(design.num_block)) + AFTER_BLOCKS)
    metrics = output_metrics(teacher, low, seed) if first < design.num_block else {}
    image = [pixel_unshuffle(low, design.unshuffle)]
    x = features = _through(_conv_first, teacher.layers, image)
    own_x = own_features = _through(_conv_first, layers, image)
    for i in range(design.num_block):
        block, dense = partial(_rrdb, _name(i)), _of_block(i, teacher.layers)
        both = _in_turn(x, own_x)
        y = _through(block, dense, [both])  # of trained blocks, too: to the bit as in a run without a break
        x = y[::2]
        if i >= first:
            task = Task(block, [both], y, _in_units_of(x, ridged(metrics[f"{_name(i)}.RDB3.conv5"])))
            own, before, after = _block(task, _of_block(i, layers), dense, of_each, seed)
            all_layers |= own
            yield Trained(dict(all_layers), i + 1, before, after)
        own_x = _through(block, all_layers, [own_x])
    picture = partial(_picture, design)
    target = _through(picture, teacher.layers, [x, features])
    task = Task(picture, [own_x, own_features], target, _in_units_of(target, np.eye(target.shape[3])))
    old = {name: layer for name, layer in all_layers.items() if not name.startswith(("conv_first", "RRDB_trunk."))}
    before = _validated(task, old)
    own, after = train(task, old, before, of_each.times(AFTER_BLOCKS), RATE_AFTER_BLOCKS, seed)
    yield Trained({**all_layers, **own}, count(design), before, after)


def _in_turn(dense: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Crops of two kinds, (B, h, h, C) each, one of the first, one of the second: (2 B, h, h, C)."""
    return np.stack([dense, own], axis=1).reshape(-1, *dense.shape[1:])


def _block(
    task: Task, old: Mapping[str, Layer], teacher: Mapping[str, Layer], length: Length, seed: int
) -> tuple[Mapping[str, Layer], float, float]:
    """A block's layers after a run of this length, and its loss before and after.

    It begins with its dense layers as the teacher has them, where that is nearer.
    """
    exact = {name: teacher[name] if layer.rank is None else layer for name, layer in old.items()}
    before, of_exact = (_validated(task, layers) for layers in (old, exact))
    if not is_factorised(old):
        return exact, before, of_exact
    start = (exact, of_exact) if of_exact < before else (old, before)
    own, after = train(task, *start, length, RATE, seed)
    return own, before, after


def train(
    task: Task, layers: Mapping[str, Layer], before: float, length: Length, rate: float, seed: int
) -> tuple[Mapping[str, Layer], float]:
    """The part's layers after so long a run, and their loss: as they were where it is not below the one `before`.

    `rate` is that of the first step for an error √loss of 1.
    """
    pool, rng, shapes = Pool(), np.random.default_rng(seed), shapes_of(layers)
    state, begin = muon.start(to_vector(arrays_of(layers))), time.perf_counter()
    rate *= min(1.0, math.sqrt(max(before, 0.0)))  # rounding may make it less than 0
    while (done := length.done(state.steps, time.perf_counter() - begin)) < 1:
        batch = VALIDATION + rng.permutation(len(task.target) - VALIDATION)[:BATCH]
        gradients = _gradients(task, prepare(to_layers(state.weights, layers)), batch, pool)
        gradient = to_vector({name: gradients[name] for name in layers})
        if not np.isfinite(gradient).all():
            break
        state = muon.step(state, gradient, shapes, rate * muon.schedule(done))
    trained = to_layers(state.average, layers)
    after = _validated(task, trained)
    return (trained, after) if after < before else (layers, before)


class Pass(NamedTuple):
    """A way through a part: its tape, its output, M e at each pixel, and the mean of eᵀ M e."""

    tape: Tape
    y: Value
    weighted: np.ndarray  # as the target
    loss: float


def _forward(task: Task, layers: Mapping[str, TrainedLayer], crops: np.ndarray, pool: Pool) -> Pass:
    """Of the crops of these numbers."""
    tape, y = _apply(task.part, layers, [x[crops] for x in task.inputs], pool)
    e = y.stack.take(y.map) - task.target[crops]
    weighted = e @ task.metric.astype(DTYPE)
    return Pass(tape, y, weighted, float(np.vdot(e, weighted)) / e[..., 0].size)


def _validated(task: Task, layers: Mapping[str, Layer]) -> float:
    """The loss of a part with these layers, on the maps that validate."""
    pool, prepared, crops = Pool(), prepare(layers), np.arange(VALIDATION)
    batches = [crops[first : first + BATCH] for first in range(0, VALIDATION, BATCH)]
    return sum(len(batch) * _forward(task, prepared, batch, pool).loss for batch in batches) / VALIDATION


def _gradients(task: Task, layers: Mapping[str, TrainedLayer], crops: np.ndarray, pool: Pool) -> Gradients:
    """Of the loss with respect to every array of the part: 2 M e at each pixel goes back."""
    tape, y, weighted, _ = _forward(task, layers, crops, pool)
    d_y = pool.take(y.stack, y.map.channels)
    y.stack.put(weighted * DTYPE(2 / weighted[..., 0].size), d_y)
    y.gradients.append(d_y)
    with blas_threads(1):
        tape.backward()
    return tape.gradients


def _in_units_of(target: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """The metric by which the variance of `target` is 1."""
    values = (target - target.mean(axis=(0, 1, 2))).reshape(-1, len(metric))
    return np.asarray(metric / max(np.vdot(values.T @ values / len(values), metric), np.finfo(float).tiny))


def _name(block: int) -> str:
    return f"RRDB_trunk.{block}"


def _of_block(block: int, layers: Mapping[str, Layer]) -> dict[str, Layer]:
    return {name: layer for name, layer in layers.items() if name.startswith(f"{_name(block)}.")}


def is_factorised(layers: Mapping[str, Layer]) -> bool:
    """Whether any of the layers is: an SVD pair or CP."""
    return any(layer.rank is not None for layer in layers.values())


def _conv_first(inputs: Sequence[Value], tape: Tape) -> Value:
    (image,) = inputs
    return tape.conv("conv_first", image)


def _rrdb(name: str, inputs: Sequence[Value], tape: Tape) -> Value:
    (x,) = inputs
    return rrdb(name, x, tape)


def _picture(design: Architecture, inputs: Sequence[Value], tape: Tape) -> Value:
    x, features = inputs
    return after_blocks(design, x, features, tape)


def _through(part: Part, layers: Mapping[str, Layer], inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The output of a part for crops (B, h, h, C): (B, h, h, channels)."""
    pool, prepared, out = Pool(), prepare(layers), []
    for first in range(0, len(inputs[0]), BATCH):
        _, y = _apply(part, prepared, [x[first : first + BATCH] for x in inputs], pool)
        out.append(y.stack.take(y.map))
    return np.concatenate(out)


def _apply(
    part: Part, layers: Mapping[str, TrainedLayer], inputs: Sequence[np.ndarray], pool: Pool
) -> tuple[Tape, Value]:
    """A part on a tape, in maps of `pool`, all of which it may have."""
    pool.give_back_all()
    tape = Tape(layers, pool)
    return tape, part([_value(x, pool) for x in inputs], tape)


def _value(crops: np.ndarray, pool: Pool) -> Value:
    stack = Stack(*crops.shape[:3])
    value = Value(stack, pool.take(stack, crops.shape[3]))
    stack.put(crops, value.map)
    return value
