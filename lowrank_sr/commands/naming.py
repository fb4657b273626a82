"""How the files are called that pictures become."""

import os
from dataclasses import dataclass
from pathlib import Path

from lowrank_sr.commands.sources import Source
from lowrank_sr.errors import InputError
from lowrank_sr.pictures.formats import FORMATS, SUFFIXES, listed


@dataclass(frozen=True)
class Naming:
    """How the files that are written are called.

    `file` is the name of the only one, where one is given; else each goes to `folder`, None for that of its picture, as
    the picture's name, `suffix` and `extension`, ".png".
    """

    suffix: str
    extension: str
    folder: Path | None = None
    file: Path | None = None

    def target(self, source: Source) -> Path:
        """The file that the picture becomes."""
        if self.file is not None:
            return self.file
        folder = source.path.parent
        if self.folder is not None:
            below = folder.relative_to(source.folder) if source.folder is not None else Path()
            folder = self.folder / below
        return folder / f"{source.path.stem}{self.suffix}{self.extension}"

    def made(self, source: Path) -> bool:
        """Whether the name of `source` may be one that an earlier run has given."""
        return bool(self.suffix) and source.stem.endswith(self.suffix) and source.suffix == self.extension


def naming(output: str | None, suffix: str, extension: str | None) -> Naming:
    """Where -o, --suffix and --format lead; raises InputError where they contradict each other or name no format."""
    if "/" in suffix or os.sep in suffix:
        raise InputError(f"--suffix {suffix}: expected a part of a file's name, without a folder")
    folder_suffix = extension or ".png"
    if output is None:
        return Naming(suffix, folder_suffix)
    if not output:
        raise InputError("-o: an empty name: expected a file or a folder")
    path = Path(output)
    if os.path.isdir(path) or output.endswith(("/", os.sep)) or not path.suffix:
        if os.path.exists(path) and not os.path.isdir(path):
            raise InputError(f"-o {output}: is no folder; expected one, or a name with the suffix {listed(SUFFIXES)}")
        return Naming(suffix, folder_suffix, folder=path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"-o {output}: no image format has this suffix; expected {listed(SUFFIXES)},"
            f" or a folder as {output}{os.sep}"
        )
    if extension is not None and FORMATS[extension] != FORMATS[path.suffix.lower()]:
        raise InputError(f"-o {output}: expected the suffix of --format {extension[1:]}")
    return Naming(suffix, path.suffix, file=path)
