"""One picture file in, one larger picture file out: what `upscale` does with each of its inputs."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lowrank_sr.commands.batch import Job, Outcome, blocked
from lowrank_sr.errors import InputError
from lowrank_sr.machine.memory import resident_bytes, size_text
from lowrank_sr.network.channels import check_channels, coloured, is_grey
from lowrank_sr.network.enlarge import Compute, Progress, enlarged_rows
from lowrank_sr.network.manner import PLAIN, Manner
from lowrank_sr.network.plan import memory_to_use, needed_bytes, plan_picture
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.tiles import TilePlan
from lowrank_sr.pictures.formats import SUFFIXES_WITH_16_BITS, SUFFIXES_WRITTEN_BY_ROWS, listed, rows_of
from lowrank_sr.pictures.metadata import Metadata
from lowrank_sr.pictures.reading import PictureFile
from lowrank_sr.pictures.resize import resized_rows, resized_side, resizing_bytes
from lowrank_sr.pictures.writing import Shape, check_format, encoding_bytes, write_rows

PROCESS_BYTES = 3 * 10**8  # the interpreter, its libraries and the compiled loops
_PARAMETER_BYTES = 4 + 4  # as it is, and in the order in which the loops read it


def writable_shape(
    net: RRDBNet, picture: PictureFile, target: Path, outscale: float | None, quality: int | None = None
) -> Shape:
    """The shape of the file `target` that `picture` becomes at `outscale`, by default the network's scale.

    Raises InputError where its format cannot keep that.
    """
    factor = _factor(net, outscale)
    height, width = (resized_side(net.scale * side, factor) for side in (picture.height, picture.width))
    check_format(target, (height, width, picture.channels), quality)
    return height, width, picture.channels


def _factor(net: RRDBNet, outscale: float | None) -> float:
    """By what the network's result is resized."""
    return (outscale or net.scale) / net.scale


def upscale_file(
    net: RRDBNet,
    source: Path,
    target: Path,
    progress: Progress | None = None,
    memory: int | None = None,
    overlap: int | None = None,
    compute: Compute | None = None,
    frame: int = 0,
    outscale: float | None = None,
    manner: Manner = PLAIN,
    strip: bool = False,
    quality: int | None = None,
) -> None:
    """Enlarge the picture in `source` into `target`, making its folder.

    Parameters
    ----------
    progress : function of float, optional
        Called after each step with the share of the picture that was done in it; together 1.
    memory : int, optional
        Bytes that the process may hold. By default 2 GB in addition to what it holds anyway, or 80% of what is free
        where that is less. A picture that does not fit is computed in tiles.
    overlap : int, optional
        Pixels of context around a tile, by default those of `enlarge`.
    compute : function, optional
        What computes the tiles, where that is not this process.
    frame : int
        The frame or page of `source`, from 0.
    outscale : float, optional
        Output size over input size, by default the network's; for another, its result is resized as by `imresize`.
    manner : Manner
        How the network is used.
    strip : bool
        Whether to leave out what `source` says of the picture, but for how its colours are to be shown.
    quality : int, optional
        1 to 100, of a JPEG or WebP; by default 95, and lossless.

    Raises
    ------
    InputError
        Naming the file at fault: before anything is computed where the picture does not fit into the memory or its
        format, the header of `source` says what cannot be read, or the overlap is negative.
    """
    check_channels(net.architecture)
    picture = PictureFile(source, frame)
    shape = writable_shape(net, picture, target, outscale, quality)
    bits = 16 if picture.dtype == np.uint16 and target.suffix.lower() in SUFFIXES_WITH_16_BITS else 8
    factor = _factor(net, outscale)
    resizing = _resizing_bytes(net, picture, bits, factor)
    plan = _plan(net, picture, target, shape, bits, resizing, memory, overlap, manner)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be made a folder: {error.strerror}") from error
    try:
        dtype, grey = np.dtype(f"u{bits // 8}"), picture.channels >= 3 and _is_grey(picture, plan, frame)
        read = partial(_blue_and_alpha, picture) if grey else picture.rows
        made = enlarged_rows(net, plan, read, dtype, progress, compute, manner)
        rows: Iterator[np.ndarray] = (coloured(band, picture.channels) for band in made)
        if factor != 1:
            rows = resized_rows(rows, net.scale * picture.height, factor)
        write_rows(target, shape, bits, rows, picture.icc, _metadata(picture, shape, strip), quality)
    except MemoryError:
        held = size_text(resident_bytes())
        raise InputError(
            f"{source}: less memory than the system said was free: expected --memory below {held}"
        ) from None


def _metadata(picture: PictureFile, shape: Shape, strip: bool) -> Metadata | None:
    """What the file is to say of a picture of `shape`."""
    if picture.metadata is None:
        return None
    return picture.metadata.stripped() if strip else picture.metadata.for_upright(*shape[:2])


def _is_grey(picture: PictureFile, plan: TilePlan, frame: int) -> bool:
    """Whether red, green and blue are equal in every pixel.

    A picture of one tile is read anyway, all at once; of others the rows are looked at beforehand: of most the first.
    """
    if plan.count == 1:
        return is_grey(picture.rows(0, picture.height))
    picture = PictureFile(picture.path, frame)
    rows = rows_of(picture.width * picture.channels * picture.dtype.itemsize)
    return all(is_grey(picture.rows(top, min(top + rows, picture.height))) for top in range(0, picture.height, rows))


def _blue_and_alpha(picture: PictureFile, top: int, bottom: int) -> np.ndarray:
    """Rows of a picture that is grey, stored as RGB or RGB + alpha, in one channel or two."""
    return picture.rows(top, bottom)[:, :, 2:]


def _resizing_bytes(net: RRDBNet, picture: PictureFile, bits: int, factor: float) -> int:
    """What it takes to resize the network's result."""
    if factor == 1:
        return 0
    return resizing_bytes(net.scale * picture.height, net.scale * picture.width, picture.channels, bits // 8, factor)


def _plan(
    net: RRDBNet,
    picture: PictureFile,
    target: Path,
    shape: Shape,
    bits: int,
    resizing: int,
    memory: int | None,
    overlap: int | None,
    manner: Manner,
) -> TilePlan:
    """The plan for a picture; what reading its file, `resizing` and writing the other take is set aside first."""
    suffix = target.suffix.lower()
    encoding = encoding_bytes(suffix, shape, bits)
    files = picture.decoding_bytes + resizing + encoding
    held = max(resident_bytes(), PROCESS_BYTES + _PARAMETER_BYTES * net.parameters)
    budget = memory_to_use(None if memory is None else memory - held) - files
    needs = partial(needed_bytes, picture.channels, np.dtype(f"u{bits // 8}"), picture.dtype.itemsize, manner=manner)
    try:
        return plan_picture(net, picture.height, picture.width, needs, budget, overlap, held + files)
    except InputError as error:
        by_rows = suffix in SUFFIXES_WRITTEN_BY_ROWS or 3 * encoding < files
        hint = "" if by_rows else f"; {suffix} files are held whole: expected {listed(SUFFIXES_WRITTEN_BY_ROWS)}"
        raise InputError(f"{picture.path}: {error}{hint}") from None


def run_job(net: RRDBNet, job: Job, progress: Progress | None = None, compute: Compute | None = None) -> Outcome:
    """Enlarge one picture of a batch; what is wrong with it becomes its outcome. `progress` is called for 1 in all.

    `compute` computes the tiles, where that is not this process.
    """
    start, done = time.perf_counter(), 0.0

    def report(share: float) -> None:
        nonlocal done
        done += share
        if progress is not None:
            progress(share)

    outcome = blocked(job)  # another process may have written it since the plan was made
    try:
        if outcome is None:
            of = job.options
            given = of.memory, of.overlap, compute, job.frame, of.outscale, of.manner, of.strip, of.quality
            upscale_file(net, job.source, job.target, report, *given)
            seconds = time.perf_counter() - start
            outcome = Outcome(job.source, job.target, job.frame, "enlarged", seconds=seconds)
    except InputError as error:
        outcome = Outcome(job.source, job.target, job.frame, "failed", str(error))
    report(1 - done)
    return outcome
