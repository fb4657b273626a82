"""Fine-tuning: all parameters of a network, dense or low-rank, moved together towards the picture.

    each step:   16 crops, 24 x 24 pixels at low resolution        `crops.py`
                 what they should become: the photograph, or what a teacher makes of them (Hinton et al. 2015)
                 the loss, and its gradient                        `loss.py`, `walk.py`
                 a step of Adam, its rate on a cosine to zero      `adam.py`

After a factorisation it wins back what the factors lost: they were fitted layer by layer, each to its own output
(Lebedev et al. 2014, section 4, fine-tune CP so).
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.layers import Layer
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import progress
from lowrank_sr.training import adam
from lowrank_sr.training.adam import Adam
from lowrank_sr.training.crops import Batch, Photograph, draw, photographs
from lowrank_sr.training.layer import prepare
from lowrank_sr.training.loss import loss_and_gradient
from lowrank_sr.training.parameters import arrays_of, to_layers, to_vector
from lowrank_sr.training.walk import Walk

CROPS = 16
SIDE = 24  # pixels of low resolution: whole tiles of Winograd's algorithm
RATE = 2e-4


class Length(NamedTuple):
    """How long to train: a number of steps, or minutes of them on this machine."""

    steps: int | None
    minutes: float | None

    def done(self, state: "State") -> float:
        """The part that is done: 1 at the end."""
        if self.steps is not None:
            return state.adam.steps / self.steps
        assert self.minutes is not None
        return state.seconds / (60 * self.minutes)


class State(NamedTuple):
    """All that a run is, between two steps."""

    adam: Adam
    random: Mapping[str, Any]  # the state of the generator that draws the crops
    seconds: float = 0.0  # spent in steps
    loss: float = math.nan  # of the last step


def finetune(
    net: RRDBNet,
    images: Iterable[np.ndarray],
    teacher: RRDBNet | None = None,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> RRDBNet:
    """Train all layers of a network further, dense and factorised ones, for `steps` or for `minutes`.

    Parameters
    ----------
    net : RRDBNet
        It stays as it is.
    images : iterable of (H, W, 3) arrays of floats, 0..1
        High-resolution photographs; with a teacher any pictures, small ones as they are.
    teacher : RRDBNet, optional
        The network whose output is to be reached, of the same scale; by default it is the photograph.
    steps, minutes : int, float
        The length of the run, exactly one of them. The learning rate falls to zero over it.
    seed : int
        Of the crops. The same seed and steps give the same network, to the bit on one number of threads.

    Returns
    -------
    RRDBNet, the moving average of the weights; `meta["finetuning"]` says how it was made

    Raises
    ------
    InputError
        For photographs that are too small or too few, a teacher that does not fit, an impossible length, and where the
        loss is not finite.
    """
    length = checked_length(steps, minutes)
    check_networks(net, teacher)
    return trained(net, photographs(images, net.scale, SIDE, teacher is not None), teacher, length, seed)


def trained(
    net: RRDBNet, pictures: Sequence[Photograph], teacher: RRDBNet | None, length: Length, seed: int
) -> RRDBNet:
    """The network after a run on photographs that are prepared already, with a bar that says how much is done.

    Raises InputError where the loss is not finite.
    """
    state = start = first_state(net, seed)
    with progress(1, "finetune", "run") as bar:
        for state in training(net, pictures, teacher, length, start):
            bar.update(min(1.0, length.done(state)) - bar.n)
    return result(net, state, about(pictures, teacher, length, seed))


def checked_length(steps: int | None, minutes: float | None) -> Length:
    """The length of a run; raises InputError unless exactly one is given, and it is more than none."""
    if (steps is None) == (minutes is None):
        raise InputError("steps and minutes: expected exactly one of them")
    if steps is not None and steps < 1:
        raise InputError(f"{steps} steps: expected at least 1")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"{minutes:g} minutes: expected more than 0")
    return Length(steps, minutes)


def check_networks(net: RRDBNet, teacher: RRDBNet | None) -> None:
    """Raise InputError for networks that do not take RGB, and for a teacher of another scale."""
    for network in (net, teacher):
        if network is not None and (channels := network.architecture.image_channels) != 3:
            raise InputError(f"a network of pictures with {channels} channels: expected RGB")
    if teacher is not None and teacher.scale != net.scale:
        raise InputError(f"a teacher of scale {teacher.scale}: expected {net.scale}, that of the network")


def first_state(net: RRDBNet, seed: int) -> State:
    """The state before the first step."""
    return State(adam.start(to_vector(arrays_of(net.layers))), np.random.default_rng(seed).bit_generator.state)


def training(
    net: RRDBNet, pictures: Sequence[Photograph], teacher: RRDBNet | None, length: Length, start: State
) -> Iterator[State]:
    """Yield the state after each step that follows `start`, until `length` is done.

    Raises InputError where the loss or its gradient is not finite: the state before stands as it was.
    """
    state = start
    walk = Walk(net.architecture, CROPS, SIDE, SIDE)
    if teacher is not None:
        teacher_walk, teacher_layers = Walk(teacher.architecture, CROPS, SIDE, SIDE), prepare(teacher.layers)
    rng = np.random.default_rng()
    rng.bit_generator.state = state.random
    while length.done(state) < 1:
        begin = time.perf_counter()
        batch = draw(pictures, CROPS, SIDE, net.scale, rng)
        if teacher is not None:
            batch = Batch(batch.low, teacher_walk.forward(teacher_layers, batch.low).out)
        loss, gradient = loss_and_gradient(walk, to_layers(state.adam.weights, net.layers), batch)
        if not (math.isfinite(loss) and np.isfinite(gradient).all()):
            raise InputError(f"step {state.adam.steps + 1}: the loss is not finite: the run has diverged")
        after = adam.step(state.adam, gradient, RATE * adam.schedule(length.done(state)))
        state = State(after, rng.bit_generator.state, state.seconds + time.perf_counter() - begin, loss)
        yield state


def result(net: RRDBNet, state: State, description: Mapping[str, Any]) -> RRDBNet:
    """The network of the moving average, of the layers' forms in `net`, with what made it in `meta["finetuning"]`."""
    layers: dict[str, Layer] = to_layers(state.adam.average, net.layers)
    done = {"steps": state.adam.steps, "seconds": round(state.seconds, 1)}
    return RRDBNet(layers, net.method, {**net.meta, "finetuning": {**description, **done}})


def about(pictures: Sequence[Photograph], teacher: RRDBNet | None, length: Length, seed: int) -> dict[str, Any]:
    """What the record says of a run, whatever became of it."""
    return {
        "photographs": len(pictures),
        "target": "photographs" if teacher is None else "teacher",
        "length": length._asdict(),
        "seed": seed,
        "crops": CROPS,
        "side": SIDE,
        "rate": RATE,
    }
