"""Picture files in, larger picture files out."""

import os
from collections.abc import Iterable
from pathlib import Path

from lowrank_sr.errors import InputError
from lowrank_sr.network.picture import upscale
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.pictures import images


def targets(
    inputs: Iterable[str | os.PathLike], output: str | os.PathLike | None, scale: int
) -> list[tuple[Path, Path]]:
    """Pair every picture in `inputs`, files and folders, with the file to write.

    That is `NAME_x4.png` beside the picture or, if `output` is a folder or names no image format, in it; with one
    input file, `output` may be a file. What an earlier run has written into a folder is not enlarged again.

    Raises InputError for a folder without images, for two pictures that would become the same file and for one that
    would be overwritten by its own enlargement.
    """
    sources, listed = [], set()
    for path in map(Path, inputs):
        if path.is_dir():
            listed.update(found := images.images_in(path))
            sources.extend(found)
        else:
            sources.append(path)
    output = None if output is None else Path(output)
    if output is not None and output.suffix.lower() in images.SUFFIXES and not output.is_dir():
        if len(sources) != 1:
            raise InputError(f"{output}: one file for {len(sources)} pictures: expected a folder")
        pairs = [(sources[0], output)]
    else:
        pairs = [(source, (output or source.parent) / f"{source.stem}_x{scale}.png") for source in sources]
        made = {target for _, target in pairs}
        pairs = [(source, target) for source, target in pairs if source not in listed & made]

    taken: dict[Path, Path] = {}
    for source, target in pairs:
        if source.resolve() == target.resolve():
            raise InputError(f"{source}: would be overwritten by its own enlargement: expected another output")
        if target in taken:
            raise InputError(f"{source} and {taken[target]} would both become {target}: expected different names")
        taken[target] = source
    for source, _ in pairs:
        if source in taken:
            raise InputError(f"{source}: would be overwritten by the enlargement of {taken[source]}")
    return pairs


def upscale_file(net: RRDBNet, source: Path, target: Path) -> None:
    """Enlarge the picture in `source` into `target`, making its folder; raises InputError naming the file at fault."""
    image = images.read(source)
    try:
        larger = upscale(net, image, source.name)
    except MemoryError:
        height, width = image.pixels.shape[:2]
        raise InputError(f"{source}: too large for this machine's memory: {width} x {height} pixels") from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be made a folder: {error.strerror}") from error
    images.write(target, larger)
