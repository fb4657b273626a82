"""Fine-tuning: all parameters of a network, dense or low-rank, moved towards the picture.

    towards a teacher of the same architecture, first each part alone              `parts.py`
    then all layers together, each step on
        9 crops, 32 x 32 pixels at low resolution                                  `crops.py`
        what they should become: the photograph, or what a teacher makes of them   (Hinton et al. 2015)
        the loss, and its gradient                                                 `loss.py`, `walk.py`
        a step of Muon, its rate on a cosine to zero                               `muon.py`

After a factorisation it wins back what the factors lost: they were fitted layer by layer, each to its own output
(Lebedev et al. 2014, section 4, fine-tune CP so).

A few crops of the photographs are always the same. Every CHECK steps the *fidelity* of the network to its target is
measured on them, the PSNR between the two. Where it is below what it was before the first of these steps, the steps
since the last check are taken back and the rate is halved. So a run never ends below where it began, whatever the
network, and the rate finds itself.
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
from lowrank_sr.training import muon, parts
from lowrank_sr.training.crops import Batch, Photograph, draw, photographs
from lowrank_sr.training.layer import prepare
from lowrank_sr.training.length import Length, checked_length
from lowrank_sr.training.loss import loss_and_gradient
from lowrank_sr.training.muon import Muon
from lowrank_sr.training.parameters import arrays_of, shapes_of, to_layers, to_vector
from lowrank_sr.training.walk import Walk

CROPS = 9
SIDE = 32  # pixels of low resolution
RATE = 0.001  # of the norm of an array, a step
RATE_AFTER_PARTS = 0.0003  # a network that is near its target: larger steps lead away from it
LEAST_RATE = RATE / 2**20  # at which float32 does not move: nothing is better than the network that went in
CHECK = 10  # steps between two looks at the fidelity
ALONE_SHARE = 0.9  # of the whole length, each part alone


class State(NamedTuple):
    """All that a run is, between two steps of the network or two of its parts."""

    first: np.ndarray  # the weights of the network that went in
    muon: Muon
    random: Mapping[str, Any]  # the state of the generator that draws the crops
    rate: float
    seconds: float = 0.0  # spent in all
    loss: float = math.nan  # of the last step on its crops, or of the last part in its metric
    fidelity: float = math.nan  # at the last check, in dB
    floor: float = math.nan  # fidelity before the first step of all layers
    parts: int = 0  # that were trained alone: the blocks, and the layers after them
    alone: float = 0.0  # seconds spent on them
    checked: bool = True  # whether a run may go on from here
    nearer: bool = True  # whether it is known to be no further from the target than the network that went in


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
        The length of the run, exactly one of them: minutes in all, or steps of all layers together. The learning rate
        falls to zero over it, and over each part that is trained alone.
    seed : int
        Of the crops. The same seed and steps give the same network, to the bit on one number of threads.

    Returns
    -------
    RRDBNet, the moving average of the weights; `meta["finetuning"]` says how it was made. On crops that are set aside
    it is not further from the target than `net`.

    Raises
    ------
    InputError
        For photographs that are too small or too few, a teacher that does not fit, an impossible length, and where the
        output of `net` is not finite.
    """
    length = checked_length(steps, minutes)
    check_networks(net, teacher)
    return trained(net, photographs(images, net.scale, SIDE, teacher is not None), teacher, length, seed)


def trained(
    net: RRDBNet, pictures: Sequence[Photograph], teacher: RRDBNet | None, length: Length, seed: int
) -> RRDBNet:
    """The network after a run on photographs that are prepared already, with a bar that says how much is done.

    Raises InputError where the output of `net` is not finite.
    """
    state = start = first_state(net, seed)
    with progress(1, "finetune", "run") as bar:
        for state in training(net, pictures, teacher, length, seed, start):
            bar.update(min(1.0, done(state, length, net, teacher)) - bar.n)
    return result(net, state, about(pictures, teacher, length, seed))


def check_networks(net: RRDBNet, teacher: RRDBNet | None) -> None:
    """Raise InputError for networks that do not take RGB, and for a teacher of another scale."""
    for network in (net, teacher):
        if network is not None and (channels := network.architecture.image_channels) != 3:
            raise InputError(f"a network of pictures with {channels} channels: expected RGB")
    if teacher is not None and teacher.scale != net.scale:
        raise InputError(f"a teacher of scale {teacher.scale}: expected {net.scale}, that of the network")


def first_state(net: RRDBNet, seed: int) -> State:
    """The state before the first step."""
    weights = to_vector(arrays_of(net.layers))
    return State(weights, muon.start(weights), np.random.default_rng(seed).bit_generator.state, RATE)


def with_first_weights(state: State) -> State:
    """The state with the weights of the network that went in."""
    return state._replace(muon=muon.start(state.first), nearer=True)


def done(state: State, length: Length, net: RRDBNet, teacher: RRDBNet | None) -> float:
    """The part of a run that is done at `state`: 1 at the end."""
    if length.steps is None:
        return length.done(0, state.seconds)
    if not _by_parts(net, teacher):
        return length.done(state.muon.steps, 0)
    together = _length_together(state, length, net, teacher).done(state.muon.steps, 0)
    return ALONE_SHARE * state.parts / parts.count(net.architecture) + (1 - ALONE_SHARE) * together


def training(
    net: RRDBNet, pictures: Sequence[Photograph], teacher: RRDBNet | None, length: Length, seed: int, start: State
) -> Iterator[State]:
    """Yield the state after each part, then after each step, that follows `start`, until `length` is done.

    The same to the bit from any `start` that is `checked`, on one number of threads, where the length is in steps.

    Raises InputError where the output of `net` on these crops is not finite.
    """
    state, check = start, _Check(net, start.first, pictures, teacher, seed)
    if teacher is not None and _by_parts(net, teacher):
        if state.parts < parts.count(net.architecture):
            for state in _each_part_alone(net, pictures, teacher, length, check, seed, start):
                yield state
        if not state.nearer:
            state = with_first_weights(state)._replace(fidelity=check.start)
    if state.muon.steps == 0:
        state = state._replace(floor=state.fidelity if state.parts else check.start)
    yield from _all_together(net, pictures, teacher, _length_together(state, length, net, teacher), check, state)


def _by_parts(net: RRDBNet, teacher: RRDBNet | None) -> bool:
    """Whether a teacher has the parts that those of a compressed network should become."""
    if teacher is None or teacher.architecture != net.architecture:
        return False
    return parts.is_factorised(net.layers) and not parts.is_factorised(teacher.layers)


def _length_together(state: State, length: Length, net: RRDBNet, teacher: RRDBNet | None) -> Length:
    """What all layers together get of a length, once the parts are done: all steps, or what is left of the minutes."""
    if length.minutes is None or not _by_parts(net, teacher):
        return length
    return Length(None, max(length.minutes - state.alone / 60, 1e-9))


def _each_part_alone(
    net: RRDBNet,
    pictures: Sequence[Photograph],
    teacher: RRDBNet,
    length: Length,
    check: "_Check",
    seed: int,
    start: State,
) -> Iterator[State]:
    """The state after each part. A block that errs less may lead away from the target until those behind it follow."""
    seconds, begin = start.seconds, time.perf_counter()
    low = draw(pictures, parts.CROPS, SIDE, net.scale, np.random.default_rng(seed)).low
    layers = to_layers(start.muon.weights, net.layers)
    alone = length.times(ALONE_SHARE if length.steps is None else ALONE_SHARE / (1 - ALONE_SHARE))
    for each in parts.train_parts(layers, start.parts, teacher, low, alone, seed):
        now = muon.start(to_vector(arrays_of(each.layers)))
        fidelity = check.fidelity(now)
        seconds += time.perf_counter() - begin
        done = start._replace(muon=now, loss=each.after, parts=each.parts, rate=RATE_AFTER_PARTS)
        yield done._replace(seconds=seconds, alone=seconds, fidelity=fidelity, nearer=fidelity >= check.start)
        begin = time.perf_counter()


def _all_together(
    net: RRDBNet,
    pictures: Sequence[Photograph],
    teacher: RRDBNet | None,
    length: Length,
    check: "_Check",
    start: State,
) -> Iterator[State]:
    state = good = start
    target, shapes = _Target(teacher), shapes_of(net.layers)
    rng = np.random.default_rng()
    rng.bit_generator.state = state.random
    while (so_far := length.done(state.muon.steps, state.seconds - state.alone)) < 1 and state.rate > LEAST_RATE:
        begin, seconds = time.perf_counter(), state.seconds
        batch = target.batch(draw(pictures, CROPS, SIDE, net.scale, rng))
        loss, gradient = loss_and_gradient(check.walk, to_layers(state.muon.weights, net.layers), batch)
        better = math.isfinite(loss) and bool(np.isfinite(gradient).all())
        if better:
            after = muon.step(state.muon, gradient, shapes, state.rate * muon.schedule(so_far))
            state = state._replace(muon=after, loss=loss, checked=False, nearer=False)
            if after.steps % CHECK == 0 or after.steps == 1:
                fidelity = check.fidelity(after)
                better = fidelity >= state.floor
                state = state._replace(fidelity=fidelity, checked=True, nearer=better)
                good = state if better else good
        if not better:
            state = good = good._replace(rate=good.rate / 2)
        state = state._replace(random=rng.bit_generator.state, seconds=seconds + time.perf_counter() - begin)
        yield state
    if not state.checked:
        end = state._replace(fidelity=check.fidelity(state.muon), checked=True, nearer=True)
        yield end if end.fidelity >= end.floor else good._replace(seconds=state.seconds)


class _Target:
    """What crops are to become: the photographs', or what a teacher makes of them."""

    def __init__(self, teacher: RRDBNet | None) -> None:
        self.teacher = teacher
        if teacher is not None:
            self.walk, self.layers = Walk(teacher.architecture, CROPS, SIDE, SIDE), prepare(teacher.layers)

    def batch(self, drawn: Batch) -> Batch:
        """Crops with their target."""
        return drawn if self.teacher is None else Batch(drawn.low, self.walk.forward(self.layers, drawn.low).out)


class _Check:
    """The fidelity to the target on a few crops, always the same, and that of the network that went in."""

    def __init__(
        self, net: RRDBNet, first: np.ndarray, pictures: Sequence[Photograph], teacher: RRDBNet | None, seed: int
    ) -> None:
        drawn = draw(pictures, CROPS, SIDE, net.scale, np.random.default_rng([seed, 1]))
        self.like = net.layers
        self.walk = Walk(net.architecture, CROPS, SIDE, SIDE)
        self.crops = _Target(teacher).batch(drawn)
        self.start = self.fidelity(muon.start(first))
        if not self.start > -math.inf:
            raise InputError("the network's output is not finite: expected one that can be trained")

    def fidelity(self, now: Muon) -> float:
        """PSNR in dB of the average's output, the target being the reference; infinite where they are equal."""
        out = self.walk.forward(prepare(to_layers(now.average, self.like)), self.crops.low).out
        error = float(np.square(out - self.crops.high, dtype=np.float64).mean())
        return -10 * math.log10(error) if error > 0 else math.inf if error == 0 else error


def result(net: RRDBNet, state: State, description: Mapping[str, Any]) -> RRDBNet:
    """The network of the moving average, of the layers' forms in `net`, with what made it in `meta["finetuning"]`."""
    layers: dict[str, Layer] = to_layers(state.muon.average, net.layers)
    counts = {"parts": state.parts, "steps": state.muon.steps, "seconds": round(state.seconds, 1)}
    return RRDBNet(layers, net.method, {**net.meta, "finetuning": {**description, **counts}})


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
