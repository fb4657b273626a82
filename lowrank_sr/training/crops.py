"""What a network is trained on: random crops of photographs, with their eight flips and turns.

Every photograph is reduced once, by MATLAB's bicubic as `evaluate` reduces its pictures, and both resolutions stay in
memory as bytes: 1 + 1 / scale² bytes for each of its numbers.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lowrank_sr.errors import InputError
from lowrank_sr.pictures.resize import imresize

LARGEST_SIDE = 768  # pixels: of a larger picture the middle is used, 1.8 MB


class Batch(NamedTuple):
    """Crops `low` (B, h, w, 3) and what they are to become, `high` (B, scale h, scale w, 3), float32, 0..1."""

    low: np.ndarray
    high: np.ndarray


class Photograph(NamedTuple):
    """A picture at both resolutions, (h, w, 3) and (scale h, scale w, 3) uint8; `high` is None where it is unknown."""

    low: np.ndarray
    high: np.ndarray | None


def photographs(pictures: Iterable[np.ndarray], scale: int, side: int, with_teacher: bool) -> list[Photograph]:
    """Reduce `pictures`, (H, W, 3) floats, 0..1, by `scale`, for crops of `side` pixels at low resolution.

    A picture too small for that is left out; or, where a teacher will say what it is to become, taken as it is.

    Raises InputError for arrays that are no pictures, and where none is large enough.
    """
    prepared, count = [], 0
    for picture in pictures:
        count += 1
        if np.ndim(picture) != 3 or np.shape(picture)[2] != 3 or np.asarray(picture).dtype.kind != "f":
            raise InputError(f"photograph of shape {np.shape(picture)}: expected (H, W, 3) floats, 0..1")
        height, width = (length // scale for length in picture.shape[:2])
        if min(height, width) >= side:
            high = _middle(picture, scale)
            low = _to_bytes(imresize(_to_bytes(high) / np.float32(255), 1 / scale))
            prepared.append(Photograph(low, None if with_teacher else _to_bytes(high)))
        elif with_teacher and min(picture.shape[:2]) >= side:
            prepared.append(Photograph(_to_bytes(_middle(picture, 1)), None))
    if not prepared:
        least = side if with_teacher else scale * side
        raise InputError(f"photographs: none of {count} is large enough: expected at least {least} x {least} pixels")
    return prepared


def draw(pictures: Sequence[Photograph], count: int, side: int, scale: int, rng: np.random.Generator) -> Batch:
    """`count` random crops of `side` x `side` pixels, each flipped and turned at random; zeros where `high` is unknown.

    Every picture is as likely as every other, and so is every place in it.
    """
    low = np.zeros((count, side, side, 3), np.float32)
    high = np.zeros((count, scale * side, scale * side, 3), np.float32)
    for i in range(count):
        picture = pictures[int(rng.integers(len(pictures)))]
        top, left = (rng.integers(length - side + 1) for length in picture.low.shape[:2])
        symmetry = int(rng.integers(8))
        low[i] = _moved(picture.low[top : top + side, left : left + side], symmetry)
        if picture.high is not None:
            rows, columns = (slice(scale * start, scale * (start + side)) for start in (top, left))
            high[i] = _moved(picture.high[rows, columns], symmetry)
    return Batch(low / np.float32(255), high / np.float32(255))


def _moved(crop: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the square's eight symmetries: a quarter turn 0 to 3 times, and a flip for 4 and above."""
    turned = np.rot90(crop, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def _middle(picture: np.ndarray, scale: int) -> np.ndarray:
    """The middle of a picture, at most LARGEST_SIDE high and wide, its sides whole multiples of `scale`."""
    sides = [min(length, LARGEST_SIDE) // scale * scale for length in picture.shape[:2]]
    top, left = ((length - side) // 2 for length, side in zip(picture.shape[:2], sides, strict=True))
    return picture[top : top + sides[0], left : left + sides[1]]


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
