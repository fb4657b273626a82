"""How many pixels of context a tile needs so that nobody sees where the picture was cut.

A pixel depends on all pixels within the receptive field, 349 of them in each direction for 23 blocks, but hardly on
those far away: what a cut changes falls off with the distance from it, at a rate that only measuring tells. A network
trained for PSNR looks 12 pixels far; one of the same architecture, trained with a discriminator, 54 to 90.

    overlap = the least distance beyond which cuts through the middle of four calibration pictures change no value of
              the stored picture by more than TOLERANCE steps of 8 bits

Neighbouring tiles are not blended where they overlap: measured on all bundled pictures, that makes the largest change
smaller by a fifth, as 3 more pixels of overlap do, half of the step in which Winograd's algorithm computes.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import partial

import numpy as np

from lowrank_sr.machine.remembered import remembered
from lowrank_sr.machine.rounding import round_up
from lowrank_sr.network.architecture import Architecture
from lowrank_sr.network.footprint import alignment, receptive_field
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures.images import read_image
from lowrank_sr.pictures.resize import imresize
from lowrank_sr.resources import CALIBRATION, OVERLAPS

TOLERANCE = 0.25  # steps of 8 bits: a tile is cut on four sides
PICTURES = ("citrus.png", "meadow.png", "moose.png", "rocket.png")  # of the calibration set: more take longer
SIDE = 252  # pixels of features: each half is a multiple of the 6 that Winograd's algorithm computes at a time


def overlap_of(net: RRDBNet) -> int:
    """The overlap of `net` in pixels: measured now, unless it is a bundled network or this machine remembers it."""
    key = digest(net)
    bundled = json.loads(OVERLAPS.read_text(encoding="utf-8"))
    overlap: int = bundled.get(key) or remembered(
        _file(),
        key,
        lambda kept: type(kept) is int and 0 <= kept <= _most(net),
        partial(measure_overlap, net),
        "measuring how far the network looks, once ...",
    )
    return overlap


def _file() -> str:
    """The name of the file with the overlaps that were measured in this way."""
    how = hashlib.sha256(f"{TOLERANCE}, {SIDE}".encode())
    for name in PICTURES:
        how.update((CALIBRATION / name).read_bytes())
    return f"overlaps-{how.hexdigest()[:16]}.json"


def _most(net: RRDBNet) -> int:
    """The overlap that changes nothing."""
    step = alignment(net.architecture)
    return round_up(receptive_field(net.architecture), step)


def digest(net: RRDBNet) -> str:
    """Of the network's numbers: 16 hexadecimal digits."""
    numbers = hashlib.sha256()
    for name, layer in net.layers.items():
        for field, array in layer.arrays().items():
            numbers.update(f"{name}.{field} {array.shape}".encode())
            numbers.update(array.data)
    return numbers.hexdigest()[:16]


def measure_overlap(net: RRDBNet) -> int:
    """The overlap of `net` in pixels, a multiple of `alignment`; the receptive field where no less is found."""
    return overlap_from(largest_changes(net), net)


def overlap_from(changes: np.ndarray, net: RRDBNet) -> int:
    """The overlap, from `largest_changes`."""
    step = alignment(net.architecture)
    beyond = np.maximum.accumulate(changes[::-1])[::-1]  # the most at this distance or farther
    far_enough = np.flatnonzero(beyond[::step] <= TOLERANCE)
    return min(_most(net), step * int(far_enough[0])) if far_enough.size else _most(net)


def largest_changes(net: RRDBNet) -> np.ndarray:
    """What cuts through the pictures change at most, in steps of 8 bits, by the distance from the cut.

    As much work as 12 calls of the network on SIDE x SIDE pixels of features, three for each picture.
    """
    net = net.with_method("winograd")
    changes: np.ndarray = np.max(
        [change for picture in _pictures(net.architecture) for change in _changes(net, picture)], axis=0
    )
    return changes


def _pictures(design: Architecture) -> Iterator[np.ndarray]:
    """The pictures, (S, S, C), for features of SIDE x SIDE, with the channels that the network takes."""
    for name in PICTURES:
        picture = read_image(CALIBRATION / name).pixels[:SIDE, :SIDE]
        if design.unshuffle > 1:
            picture = imresize(picture, design.unshuffle)
        yield picture[:, :, np.arange(design.image_channels) % 3].astype(np.float32)


def _changes(net: RRDBNet, picture: np.ndarray) -> Iterator[np.ndarray]:
    """What a cut from top to bottom and one from left to right change, in steps of 8 bits by the distance from it."""
    whole = net(picture)
    for axis in (1, 0):
        distances = picture.shape[axis] // 2
        halves = np.split(picture, 2, axis)
        largest = np.zeros(distances)
        for half, seen, outward in zip(halves, np.split(whole, 2, axis), (-1, 1), strict=True):
            change = np.abs(net(half).clip(0, 1) - seen.clip(0, 1)).max(axis=(1 - axis, 2))  # (scale distances,)
            largest = np.maximum(largest, change[::outward].reshape(distances, net.scale).max(axis=1))
        yield 255 * largest
