"""Measure again what stands in README.md and docs/results.md, and write the tables there.

    python docs/remeasure.py                          what is stale, then all tables
    python docs/remeasure.py quality speed            these
    python docs/remeasure.py --keep study WHY         the sources have changed: why what was measured still stands

Times want a machine that does nothing else; the study takes more than an hour, and goes on where it was interrupted.
Set5 and Set14 are looked for in ../shared/data, or where --data says; the peers are in the extra `peers`.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from number_tables import PAGES, written
from provenance import MEASUREMENTS, RESULTS, ROOT, digest, load, stale

from lowrank_sr.files import replacing, write_json
from lowrank_sr.study.origin import origin

PROGRAMS = {"lowrank-sr": [sys.executable, "-m", "lowrank_sr"], "python": [sys.executable]}


def measure(name: str, data: Path) -> None:
    """Run the commands of a measurement in a folder of its own, and write docs/results/NAME.json."""
    of, sources, measured = MEASUREMENTS[name], digest(MEASUREMENTS[name].sources), origin()
    # of these sources: what an interruption has left of others is not gone on from
    folder = ROOT / "docs" / "_build" / "remeasured" / f"{name}-{sources}"
    folder.mkdir(parents=True, exist_ok=True)
    for link, target in {"benchmarks": ROOT / "benchmarks", "Set5": data / "Set5", "Set14": data / "Set14"}.items():
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(target)
    for command in of.commands:
        print(command, flush=True)
        program, *arguments = shlex.split(command)
        subprocess.run([*PROGRAMS[program], *arguments], cwd=folder, check=True)
    found = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in map(folder.joinpath, of.files)}
    for figure in of.figures:
        shutil.copy(folder / figure, RESULTS)
    write_json(RESULTS / f"{name}.json", {"sources": sources, "measured": measured, "found": found})


def keep(name: str, why: str) -> None:
    """Keep a measurement whose sources have changed, with the reason why, which stands below its tables."""
    content = load(name)
    content |= {"sources": digest(MEASUREMENTS[name].sources), "since": [*content.get("since", []), why]}
    write_json(RESULTS / f"{name}.json", content)


def main() -> None:
    """What the command line asks for, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--keep", nargs=2, metavar=("NAME", "WHY"), help="keep what is stale, with the reason")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="with Set5 and Set14 in it")
    options = parser.parse_args()
    for name in (*options.names, *(options.keep or ())[:1]):
        if name not in MEASUREMENTS:
            parser.error(f"{name}: expected one of {', '.join(MEASUREMENTS)}")
    if options.keep:
        keep(*options.keep)
    else:
        for name in options.names or stale():
            measure(name, options.data.resolve())
    for page in PAGES:
        text = written(page)
        if text != page.read_text(encoding="utf-8"):
            with replacing(page) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
